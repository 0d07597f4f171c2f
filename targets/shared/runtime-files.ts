/**
 * The runtime beside emitted modules instead of in them: files that modules of several models and targets import, each file the same whatever
 * module it is written for.
 */
import type { Artifact } from '../../src/target.ts'
import { runtimePieces } from '../runtime.generated.ts'
import type { Language } from './printer.ts'

/** `wgsl/runtime/load.ts` is `wgsl/load.ts` in the folder of the runtime. */
const fileOf = (piece: string, language: Language): string => piece.replace('runtime/', '').replace(/ts$/, language)
const isType = (piece: string, name: string): boolean =>
  new RegExp(`^(?:interface|type) ${name}\\b`, 'm').test(runtimePieces[piece].ts)

/** An import, or export, of these names of a piece; in JavaScript there are no types. */
function statement(
  word: 'import' | 'export',
  piece: string,
  names: readonly string[],
  language: Language,
  from: string,
): string[] {
  const listed = names.flatMap((n) => (!isType(piece, n) ? [n] : language === 'ts' ? [`type ${n}`] : []))
  return listed.length === 0 ? [] : [`${word} { ${listed.join(', ')} } from '${from}'`]
}

/** Imports of what `sections` mention of the pieces, and exports of `types`; `folder` is where the pieces are, seen from the module. */
export function runtimeImports(
  sections: readonly string[],
  pieces: readonly string[],
  language: Language,
  types: readonly string[],
  folder: string,
): string[] {
  const words = new Set(withoutTexts(sections.join('\n')).match(/(?<!\w|(?<!\.\.)\.)[A-Za-z_]\w*/g))
  return pieces.flatMap((piece) => {
    const { names } = runtimePieces[piece]
    const from = `${folder}/${fileOf(piece, language)}`
    return [
      ...statement('import', piece, names.filter((n) => words.has(n)), language, from),
      ...statement('export', piece, names.filter((n) => types.includes(n)), language, from),
    ] // prettier-ignore
  })
}
/** Without comments, strings and what template literals hold of other languages. */
const withoutTexts = (text: string): string =>
  text.replace(/\/\* wgsl \*\/ `(?:[^`\\]|\\[^])*`|'(?:[^'\\\n]|\\.)*'|\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')

/** The pieces as modules. */
export function runtimeFiles(pieces: readonly string[], language: Language): Artifact[] {
  return pieces.map((piece) => {
    const { needs, uses } = runtimePieces[piece]
    const up = '../'.repeat(fileOf(piece, language).split('/').length - 1) || './'
    const imports = needs.flatMap((n) => {
      const names = uses.filter((name) => runtimePieces[n].names.includes(name))
      return statement('import', n, names, language, `${up}${fileOf(n, language)}`)
    })
    const text = runtimePieces[piece][language].replace(
      /^(?=(?:async function|function|const|let|class|interface|type)\b)/gm,
      'export ',
    )
    return {
      path: fileOf(piece, language),
      text: `${[...imports, ...(imports.length > 0 ? [''] : []), text].join('\n')}\n`,
    }
  })
}
