/** Productions of expressions. Operators are read flat, in the order in which they stand; `build/operators.ts` ranks them. */
import type { CstNode, ParserMethod } from 'chevrotain'
import { CstParser } from './chevrotain.ts'
import { messages } from './messages.ts'
import * as t from './tokens.ts'

export type Production = ParserMethod<[], CstNode>

export abstract class ExpressionParser extends CstParser {
  constructor() {
    super([...t.allTokens], {
      recoveryEnabled: true,
      maxLookahead: 2,
      nodeLocationTracking: 'onlyOffset',
      errorMessageProvider: messages,
    })
  }

  /** Statements in braces, which `repeat` and `scan` hold. */
  abstract body: Production
  abstract repeat: Production

  expression: Production = this.RULE('expression', () => {
    this.SUBRULE(this.operators)
    this.MANY(() => this.SUBRULE(this.pipeStage))
  })

  pipeStage: Production = this.RULE('pipeStage', () => {
    this.CONSUME(t.PipeOp)
    this.OPTION(() => this.CONSUME(t.Each))
    this.SUBRULE(this.operators)
  })

  /** Operands and operators in a row; the builder ranks them. */
  operators: Production = this.RULE('operators', () => {
    this.SUBRULE(this.operand)
    this.MANY(() => {
      this.CONSUME(t.BinaryOp)
      this.SUBRULE2(this.operand)
    })
  })

  /** The same without comparison, `and`, `or`: bounds. */
  arithmetic: Production = this.RULE('arithmetic', () => {
    this.SUBRULE(this.operand)
    this.MANY(() => {
      this.CONSUME(t.ArithOp)
      this.SUBRULE2(this.operand)
    })
  })

  operand: Production = this.RULE('operand', () => {
    this.MANY(() => {
      this.OR([{ ALT: () => this.CONSUME(t.Minus) }, { ALT: () => this.CONSUME(t.Not) }])
    })
    this.SUBRULE(this.primary)
    this.MANY2(() => {
      this.OR2([{ ALT: () => this.SUBRULE(this.callSuffix) }, { ALT: () => this.SUBRULE(this.indexSuffix) }])
    })
  })

  primary: Production = this.RULE('primary', () => {
    this.OR({
      MAX_LOOKAHEAD: 1,
      DEF: [
        { ALT: () => this.CONSUME(t.Num) },
        { ALT: () => this.CONSUME(t.Str) },
        { ALT: () => this.CONSUME(t.True) },
        { ALT: () => this.CONSUME(t.False) },
        { ALT: () => this.CONSUME(t.Ident) },
        { ALT: () => this.SUBRULE(this.group) },
        { ALT: () => this.SUBRULE(this.list) },
        { ALT: () => this.SUBRULE(this.choice) },
        { ALT: () => this.SUBRULE(this.repeat) },
        { ALT: () => this.SUBRULE(this.scan) },
      ],
      ERR_MSG: 'an expression',
    })
  })

  group: Production = this.RULE('group', () => {
    this.CONSUME(t.LParen)
    this.SUBRULE(this.expression)
    this.CONSUME(t.RParen)
  })

  list: Production = this.RULE('list', () => {
    this.CONSUME(t.LBracket)
    this.OR([
      { ALT: () => this.SUBRULE(this.comprehension) },
      { ALT: () => this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.expression) }) },
    ])
    this.CONSUME(t.RBracket)
  })

  comprehension: Production = this.RULE('comprehension', () => {
    this.CONSUME(t.For)
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.binder) })
    this.CONSUME(t.Colon)
    this.SUBRULE(this.expression)
  })

  binder: Production = this.RULE('binder', () => {
    this.CONSUME(t.Ident)
    this.CONSUME(t.Less)
    this.SUBRULE(this.arithmetic)
  })

  callSuffix: Production = this.RULE('callSuffix', () => {
    this.CONSUME(t.LParen)
    this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.argument) })
    this.CONSUME(t.RParen)
  })

  argument: Production = this.RULE('argument', () => {
    this.OPTION(() => {
      this.CONSUME(t.Ident)
      this.CONSUME(t.Eq)
    })
    this.SUBRULE(this.expression)
  })

  indexSuffix: Production = this.RULE('indexSuffix', () => {
    this.CONSUME(t.LBracket)
    this.OR([
      { ALT: () => this.SUBRULE(this.comprehension) },
      { ALT: () => this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.indexItem) }) },
    ])
    this.CONSUME(t.RBracket)
  })

  indexItem: Production = this.RULE('indexItem', () => {
    this.OR({
      DEF: [
        { ALT: () => this.CONSUME(t.Ellipsis) },
        {
          ALT: () => {
            this.CONSUME(t.Colon)
            this.OPTION(() => this.SUBRULE(this.operators, { LABEL: 'to' }))
            this.OPTION1(() => {
              this.CONSUME1(t.Colon)
              this.SUBRULE1(this.operators, { LABEL: 'step' })
            })
          },
        },
        {
          ALT: () => {
            this.SUBRULE2(this.operators, { LABEL: 'from' })
            this.OPTION2(() => {
              this.CONSUME2(t.Colon)
              this.OPTION3(() => this.SUBRULE3(this.operators, { LABEL: 'to' }))
              this.OPTION4(() => {
                this.CONSUME3(t.Colon)
                this.SUBRULE4(this.operators, { LABEL: 'step' })
              })
            })
          },
        },
      ],
      ERR_MSG: 'an index, `:` or `...`',
    })
  })

  choice: Production = this.RULE('choice', () => {
    this.CONSUME(t.If)
    this.SUBRULE(this.operators, { LABEL: 'cond' })
    this.CONSUME(t.Then)
    this.SUBRULE(this.expression, { LABEL: 'yes' })
    this.CONSUME(t.Else)
    this.SUBRULE2(this.operators, { LABEL: 'no' })
  })

  scan: Production = this.RULE('scan', () => {
    this.CONSUME(t.Scan)
    this.CONSUME(t.Ident)
    this.CONSUME(t.Less)
    this.SUBRULE(this.arithmetic)
    this.MANY(() => {
      this.CONSUME(t.Comma)
      this.SUBRULE(this.carry, { LABEL: 'option' })
    })
    this.OPTION(() => {
      this.CONSUME(t.Carry)
      this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE2(this.carry) })
    })
    this.SUBRULE(this.body)
  })

  /** `h = h0` */
  carry: Production = this.RULE('carry', () => {
    this.CONSUME(t.Ident)
    this.CONSUME(t.Eq)
    this.SUBRULE(this.operators)
  })
}
