/** What all emitted host modules are made of beside their own sections: titles, the runtime's text, and the declarations beside a `.js`. */
import type { Module } from '../../src/program/types.ts'
import type { Artifact } from '../../src/target.ts'
import { runtimePieces } from '../runtime.generated.ts'
import type { Language } from './printer.ts'
import { runtimeFiles, runtimeImports } from './runtime-files.ts'
import { docComment } from './text.ts'

/** What a caller may want to name. */
export const publicTypes = [
  'TfmError',
  'TensorLike',
  'Nested',
  'Tensor',
  'WeightSource',
  'LoadProgress',
  'WeightWarning',
  'ReadOptions',
  'LoadOptions',
  'SampleOptions',
  'GenerateOptions',
  'LogitsOptions',
  'StreamOptions',
  'TextOptions',
  'BatchOptions',
  'BeamOptions',
  'Beam',
  'SelftestReport',
]
export interface PrintedModule {
  readonly text: string
  /** Declarations for the JavaScript form. */
  readonly declarations: string
  /** Files of the runtime that it imports, where it does not have it in itself; paths are in the folder of the runtime. */
  readonly runtime: readonly Artifact[]
}

export const title = (text: string): string[] => [`// ---- ${text} ${'-'.repeat(Math.max(4, 100 - text.length))}`, '']
/** The runtime's text with those of its types exported that callers name. */
const exportPublic = (text: string, types: readonly string[]): string =>
  text.replace(/^(type|interface|class) (\w+)/gm, (all, kind: string, name: string) =>
    types.includes(name) ? `export ${kind} ${name}` : all,
  )
const exportErrors = (text: string): string =>
  text.replace(/^"use strict"\n/, '').replace(/^class TfmError/m, 'export class TfmError')

/** The sections, then the pieces of the runtime, with `types` of them exported; or, where the runtime has a folder, imports of what they need of it. */
export function moduleText(
  sections: readonly string[],
  pieces: readonly string[],
  language: Language,
  types: readonly string[],
  folder?: string,
): Pick<PrintedModule, 'text' | 'runtime'> {
  const tidy = (lines: readonly string[]): string => lines.join('\n').replace(/\n{3,}/g, '\n\n')
  if (folder !== undefined) {
    // The comment on the module stands first.
    const head = sections.indexOf('') + 1
    const imports = runtimeImports(sections, pieces, language, ['TfmError', ...types], folder)
    const text = tidy([...sections.slice(0, head), ...imports, '', ...sections.slice(head)])
    return { text: `${text.trimEnd()}\n`, runtime: runtimeFiles(pieces, language) }
  }
  const runtime = pieces.map((n) =>
    language === 'ts' ? exportPublic(runtimePieces[n].ts, types) : exportErrors(runtimePieces[n].js),
  )
  return { text: tidy([...sections, ...title('Runtime of tfm'), `\n${runtime.join('\n\n')}\n`]), runtime: [] }
}

/** The `.d.ts` beside a `.js`: the model's own types, `load(given)`, and `types` of the runtime with those that they mention. */
export function declarationsOf(
  module: Module,
  api: readonly string[],
  given: string,
  pieces: readonly string[],
  types: readonly string[],
): string {
  const head = docComment([`Types of ${module.name}, compiled by tfm from ${module.source}.`])
  const load = `export declare function load(${given}): Promise<Model>`
  return [...head, '', ...api, '', load, '', ...typesOf(pieces, types), ''].join('\n')
}

/** Declarations of types of the runtime, and of those that they mention. */
function typesOf(pieces: readonly string[], wanted: readonly string[]): string[] {
  const all = new Map<string, string>()
  for (const piece of pieces) {
    let comment = ''
    for (const part of runtimePieces[piece].dts.split(/\n(?=\/\*\*|export |declare |interface |type )/)) {
      const name = /^(?:export )?(?:declare )?(?:type|interface|class) (\w+)/m.exec(part)?.[1]
      // A comment belongs to what follows it.
      if (name !== undefined) all.set(name, `${comment}${part.trim()}`)
      comment = name === undefined && part.trim().endsWith('*/') ? `${part.trim()}\n` : ''
    }
  }
  const kept = new Set(wanted.filter((name) => all.has(name)))
  for (const name of kept)
    for (const other of all.keys()) if (new RegExp(`\\b${other}\\b`).test(all.get(name)!)) kept.add(other)
  return [...all].filter(([name]) => kept.has(name)).map(([, text]) => text)
}
