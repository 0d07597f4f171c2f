/** Prettier's documents (text with choices of where to break), of which only this small module is loaded. */
import { builders, printer } from 'prettier/doc'

export type Doc = builders.Doc

export const {
  group,
  indent,
  line,
  softline,
  hardline,
  join,
  fill,
  ifBreak,
  lineSuffix,
  breakParent,
  conditionalGroup,
} = builders

export function layout(document: Doc): string {
  return printer.printDocToString(document, { printWidth: 120, tabWidth: 2, useTabs: false }).formatted
}

/** The document on one line, whatever its length. */
export function flat(document: Doc): string {
  return printer.printDocToString(document, { printWidth: Infinity, tabWidth: 2, useTabs: false }).formatted
}
