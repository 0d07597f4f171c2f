/**
 * The productions. No meaning here: `build.ts` turns the concrete tree into the AST. Statements that may not stand where they stand are read like any
 * other and reported there, so that one mistake does not hide the next.
 */
import type { CstNode, IToken } from 'chevrotain'
import { EOF } from './chevrotain.ts'
import { ExpressionParser, type Production } from './parser-expressions.ts'
import * as t from './tokens.ts'

export class TfmParser extends ExpressionParser {
  constructor() {
    super()
    this.performSelfAnalysis()
  }

  file: Production = this.RULE('file', () => {
    this.MANY_SEP({ SEP: t.Sep, DEF: () => this.SUBRULE(this.statement) })
    // Named, so that recovery knows what ends the repetition.
    this.CONSUME(EOF)
  })

  body: Production = this.RULE('body', () => {
    this.CONSUME(t.LBrace)
    this.MANY_SEP({ SEP: t.Sep, DEF: () => this.SUBRULE(this.statement) })
    this.CONSUME(t.RBrace)
  })

  statement: Production = this.RULE('statement', () => {
    this.OR({
      // `if` and `repeat` start expressions too; at the start of a statement they are statements.
      IGNORE_AMBIGUITIES: true,
      MAX_LOOKAHEAD: 1,
      DEF: [
        { ALT: () => this.SUBRULE(this.importItem) },
        { ALT: () => this.SUBRULE(this.model) },
        { ALT: () => this.SUBRULE(this.block) },
        { ALT: () => this.SUBRULE(this.sequence) },
        { ALT: () => this.SUBRULE(this.weights) },
        { ALT: () => this.SUBRULE(this.inputStatement) },
        { ALT: () => this.SUBRULE(this.output) },
        { ALT: () => this.SUBRULE(this.param) },
        { ALT: () => this.SUBRULE(this.scope) },
        { ALT: () => this.SUBRULE(this.repeat) },
        { ALT: () => this.SUBRULE(this.ifStatement) },
        { ALT: () => this.SUBRULE(this.share) },
        { ALT: () => this.SUBRULE(this.entry) },
        { ALT: () => this.SUBRULE(this.returnStatement) },
        { ALT: () => this.SUBRULE(this.yieldStatement) },
        { ALT: () => this.SUBRULE(this.plain) },
      ],
      ERR_MSG: 'a statement',
    })
  })

  // ---- files

  importItem: Production = this.RULE('importItem', () => {
    this.CONSUME(t.Import)
    this.CONSUME(t.LBrace)
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.importName) })
    this.CONSUME(t.RBrace)
    this.CONSUME(t.From)
    this.CONSUME(t.Str)
  })

  importName: Production = this.RULE('importName', () => {
    this.CONSUME(t.Ident)
    this.OPTION(() => {
      this.CONSUME(t.As)
      this.CONSUME2(t.Ident)
    })
  })

  model: Production = this.RULE('model', () => {
    this.CONSUME(t.Model)
    this.CONSUME(t.Ident)
    this.OPTION(() => {
      this.CONSUME(t.LParen)
      this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.hyper) })
      this.CONSUME(t.RParen)
    })
    this.OPTION2(() => this.SUBRULE(this.where))
    this.SUBRULE(this.body)
  })

  hyper: Production = this.RULE('hyper', () => {
    this.CONSUME(t.Ident)
    this.OPTION(() => {
      this.CONSUME(t.Eq)
      this.SUBRULE(this.expression)
    })
    this.OPTION2(() => {
      this.CONSUME(t.From)
      this.AT_LEAST_ONE_SEP({ SEP: t.Or, DEF: () => this.CONSUME(t.Str) })
    })
  })

  where: Production = this.RULE('where', () => {
    this.CONSUME(t.Where)
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.operators) })
  })

  block: Production = this.RULE('block', () => {
    this.MANY(() => {
      this.OR([{ ALT: () => this.CONSUME(t.Pattern) }, { ALT: () => this.CONSUME(t.Override) }])
    })
    this.CONSUME(t.Block)
    this.CONSUME(t.Ident)
    this.CONSUME(t.LParen)
    this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.blockParam) })
    this.CONSUME(t.RParen)
    this.OPTION(() => {
      this.CONSUME(t.Arrow)
      this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.type) })
    })
    this.OPTION2(() => this.SUBRULE(this.where))
    this.OR2({
      DEF: [
        {
          ALT: () => {
            this.CONSUME(t.Eq)
            this.SUBRULE(this.expression)
          },
        },
        { ALT: () => this.SUBRULE(this.body) },
      ],
      ERR_MSG: '`=` or `{`',
    })
  })

  blockParam: Production = this.RULE('blockParam', () => {
    this.OPTION(() => this.CONSUME(t.Auto))
    this.CONSUME(t.Ident)
    this.OPTION2(() => {
      this.CONSUME(t.Colon)
      this.SUBRULE(this.type)
    })
    this.OPTION3(() => {
      this.CONSUME(t.Eq)
      this.SUBRULE(this.expression)
    })
  })

  type: Production = this.RULE('type', () => {
    this.CONSUME(t.Ident)
    this.OPTION(() => {
      this.CONSUME(t.LBracket)
      this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.dim) })
      this.CONSUME(t.RBracket)
    })
  })

  dim: Production = this.RULE('dim', () => {
    this.OR({
      DEF: [{ ALT: () => this.CONSUME(t.Ellipsis) }, { ALT: () => this.SUBRULE(this.operators) }],
      ERR_MSG: 'a dim',
    })
  })

  // ---- statements

  sequence: Production = this.RULE('sequence', () => {
    this.CONSUME(t.Sequence)
    this.CONSUME(t.Ident)
  })

  weights: Production = this.RULE('weights', () => {
    this.CONSUME(t.Weights)
    this.CONSUME(t.LBrace)
    this.MANY_SEP({ SEP: t.Sep, DEF: () => this.SUBRULE(this.weightsRule) })
    this.CONSUME(t.RBrace)
  })

  weightsRule: Production = this.RULE('weightsRule', () => {
    this.OR({
      DEF: [
        {
          ALT: () => {
            this.CONSUME(t.Prefix)
            this.CONSUME(t.Str)
            this.OPTION(() => this.CONSUME(t.Optional))
          },
        },
        {
          ALT: () => {
            this.CONSUME(t.Ignore)
            this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.CONSUME2(t.Str) })
          },
        },
        {
          ALT: () => {
            this.CONSUME(t.Rename)
            this.CONSUME3(t.Str)
            this.CONSUME(t.To)
            this.CONSUME4(t.Str)
          },
        },
      ],
      ERR_MSG: '`prefix`, `ignore` or `rename`',
    })
  })

  inputStatement: Production = this.RULE('inputStatement', () => {
    this.CONSUME(t.Input)
    this.CONSUME(t.Ident)
    this.CONSUME(t.Colon)
    this.SUBRULE(this.type)
    this.OPTION(() => {
      this.CONSUME(t.Eq)
      this.SUBRULE(this.expression)
    })
    this.OPTION2(() => this.SUBRULE(this.where))
  })

  output: Production = this.RULE('output', () => {
    this.CONSUME(t.Output)
    this.SUBRULE(this.names)
    this.CONSUME(t.Eq)
    this.SUBRULE(this.expression)
  })

  names: Production = this.RULE('names', () => {
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.CONSUME(t.Ident) })
  })

  param: Production = this.RULE('param', () => {
    this.CONSUME(t.Param)
    this.CONSUME(t.Ident)
    this.CONSUME(t.Colon)
    this.SUBRULE(this.type)
    this.OPTION(() => {
      this.CONSUME(t.Eq)
      this.CONSUME(t.Str)
    })
    this.OPTION2(() => {
      this.CONSUME(t.Or)
      this.SUBRULE(this.expression)
    })
  })

  scope: Production = this.RULE('scope', () => {
    this.CONSUME(t.Scope)
    this.CONSUME(t.Str)
    this.SUBRULE(this.body)
  })

  repeat: Production = this.RULE('repeat', () => {
    this.CONSUME(t.Repeat)
    this.SUBRULE(this.operators)
    this.OPTION(() => {
      this.CONSUME(t.As)
      this.CONSUME(t.Ident)
    })
    this.MANY(() => {
      this.OR([
        { ALT: () => this.CONSUME(t.Unrolled) },
        {
          ALT: () => {
            this.CONSUME(t.Scope)
            this.CONSUME(t.Str)
          },
        },
      ])
    })
    this.SUBRULE(this.body)
  })

  ifStatement: Production = this.RULE('ifStatement', () => {
    this.CONSUME(t.If)
    this.SUBRULE(this.operators)
    this.SUBRULE(this.body)
    this.OPTION(() => {
      this.CONSUME(t.Else)
      this.OR({
        DEF: [{ ALT: () => this.SUBRULE(this.ifStatement) }, { ALT: () => this.SUBRULE2(this.body) }],
        ERR_MSG: '`{` or `if`',
      })
    })
  })

  share: Production = this.RULE('share', () => {
    this.CONSUME(t.Share)
    this.CONSUME(t.Ident)
    this.CONSUME(t.Eq)
    this.SUBRULE(this.expression)
  })

  entry: Production = this.RULE('entry', () => {
    this.CONSUME(t.Entry)
    this.CONSUME(t.Ident)
    this.CONSUME(t.Colon)
    this.OPTION(() => this.SUBRULE(this.names))
    this.CONSUME(t.Arrow)
    this.SUBRULE2(this.names)
  })

  returnStatement: Production = this.RULE('returnStatement', () => {
    this.CONSUME(t.Return)
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.expression) })
  })

  yieldStatement: Production = this.RULE('yieldStatement', () => {
    this.CONSUME(t.Yield)
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.expression) })
  })

  /** An assignment, or an expression where none should be. */
  plain: Production = this.RULE('plain', () => {
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.expression) })
    this.OPTION(() => {
      this.CONSUME(t.Eq)
      this.SUBRULE2(this.expression)
    })
  })

  /** Reads `tokens` with a rule; the caller takes the errors at once, since the parser is used again. */
  read(rule: 'file' | 'expression', tokens: IToken[]): { cst: CstNode; errors: TfmParser['errors'] } {
    this.input = tokens
    const cst = this[rule]()
    const errors = [...this.errors]
    return { cst, errors }
  }
}

let made: TfmParser | undefined
/** One parser for the process, made on first use: its self-analysis costs tens of milliseconds. */
export const parser = (): TfmParser => (made ??= new TfmParser())
