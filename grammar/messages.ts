/** What the parser says was expected, in words; `errors.ts` adds what was found. */
import type { IParserErrorMessageProvider, TokenType } from 'chevrotain'
import { EOF, tokenLabel } from './chevrotain.ts'
import * as t from './tokens.ts'

/** After a list, another element was possible as well as its end. */
const listRules = new Set([
  'callSuffix',
  'indexSuffix',
  'list',
  'model',
  'block',
  'type',
  'importItem',
  'comprehension',
])

/** What stands after `param name: type =`. */
export const tensorName = 'the name of the tensor as a string'

export const messages: IParserErrorMessageProvider = {
  buildMismatchTokenMessage({ expected, actual, ruleName }) {
    const label = tokenLabel(expected)
    const ends =
      expected === t.RParen || expected === t.RBracket || (expected === t.RBrace && ruleName === 'importItem')
    if (ends && listRules.has(ruleName)) return `\`,\` or ${label}`
    if (expected === t.RBrace || expected === EOF) return 'the end of the statement'
    if (expected === t.LBrace && (ruleName === 'body' || ruleName === 'weights')) return label
    if (expected === t.Str && ruleName === 'param') return tensorName
    return actual.tokenType === expected ? 'something else' : label
  },
  buildNotAllInputParsedMessage: () => 'the end of the statement',
  buildNoViableAltMessage: ({ expectedPathsPerAlt, customUserDescription }) =>
    customUserDescription ?? listed(expectedPathsPerAlt.flatMap((paths) => paths.map((path) => path[0]))),
  buildEarlyExitMessage: ({ expectedIterationPaths, customUserDescription }) =>
    customUserDescription ?? listed(expectedIterationPaths.map((path) => path[0])),
}

function listed(types: readonly (TokenType | undefined)[]): string {
  const labels = [...new Set(types.filter((type) => type !== undefined).map((type) => tokenLabel(type)))]
  // A long list is the start of an expression.
  if (labels.length > 5) return 'an expression'
  const final = labels.pop() ?? 'something else'
  return labels.length === 0 ? final : `${labels.join(', ')} or ${final}`
}
