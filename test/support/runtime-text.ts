import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { publicTypes } from '../../targets/shared/module-text.ts'
import { packageRoot } from '../../src/package-root.ts'

/**
 * The text of `targets/runtime.generated.ts`: every file of the runtimes without its imports and `export`s, as TypeScript, as JavaScript and
 * as declarations, with the files it needs and the names that it takes. Emitters then need no compiler.
 */
export function runtimeText(files: readonly string[]): string {
  const lines = [
    '// Generated from the runtime files by `npm run snapshots`; a test compares. Do not edit.',
    '',
    'export interface RuntimePiece {',
    '  readonly ts: string',
    '  readonly js: string',
    '  readonly dts: string',
    '  /** Pieces that must come before it. */',
    '  readonly needs: readonly string[]',
    '  /** What it takes from them. */',
    '  readonly uses: readonly string[]',
    '  /** What it declares at top level. */',
    '  readonly names: readonly string[]',
    '}',
    '',
    'export const runtimePieces: Readonly<Record<string, RuntimePiece>> = {',
  ]
  for (const file of files) {
    const piece = pieceOf(file)
    lines.push(`  ${JSON.stringify(file)}: {`)
    for (const [key, value] of Object.entries(piece)) lines.push(`    ${key}: ${JSON.stringify(value)},`)
    lines.push('  },')
  }
  return [...lines, '}', ''].join('\n')
}

function pieceOf(file: string): {
  ts: string
  js: string
  dts: string
  needs: string[]
  uses: string[]
  names: string[]
} {
  const text = readFileSync(join(packageRoot(), 'targets', file), 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const needs: string[] = []
  const uses: string[] = []
  const names: string[] = []
  const cuts: { from: number; to: number }[] = []
  for (const s of source.statements) {
    if (ts.isImportDeclaration(s)) {
      needs.push(posix.join(posix.dirname(file), (s.moduleSpecifier as ts.StringLiteral).text))
      const taken = s.importClause?.namedBindings
      if (taken && ts.isNamedImports(taken)) uses.push(...taken.elements.map((e) => e.name.text))
      cuts.push({ from: s.getStart(), to: s.end })
      continue
    }
    const modifier = ts.canHaveModifiers(s)
      ? ts.getModifiers(s)?.find((m) => m.kind === ts.SyntaxKind.ExportKeyword)
      : undefined
    if (modifier) cuts.push({ from: modifier.getStart(), to: modifier.end + 1 })
    if (ts.isVariableStatement(s)) names.push(...s.declarationList.declarations.map((d) => d.name.getText()))
    else if (
      ts.isFunctionDeclaration(s) ||
      ts.isClassDeclaration(s) ||
      ts.isInterfaceDeclaration(s) ||
      ts.isTypeAliasDeclaration(s)
    )
      names.push(s.name!.text)
  }
  const blanks = commentLines(source)
  cuts.push(...blanks)
  let plain = text
  for (const { from, to } of cuts.sort((a, b) => b.from - a.from)) plain = plain.slice(0, from) + plain.slice(to)
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    strict: true,
    verbatimModuleSyntax: true,
  }
  const js = ts
    .transpileModule(plain, { compilerOptions: options })
    .outputText.replace(/^( {4})+/gm, (s) => s.slice(s.length / 2))
    // What begins with a bracket would go on with the line before.
    .replace(/;$(?!\n\s*[([`])/gm, '')
    .replace(/^[ \t]*(?:\/\*\*[\s\S]*?\*\/|\/\/.*)\n/gm, '')
    .replace(/^"use strict"\n/, '')
  const dts = ts.transpileDeclaration(text, {
    compilerOptions: { ...options, declaration: true, stripInternal: true },
    fileName: file,
  }).outputText
  return {
    ts: tidy(plain),
    js: tidy(js),
    dts: tidy(
      dts
        .replace(/^import .*$/gm, '')
        .replace(/^export (declare )?/gm, 'export $1')
        .replace(/^export \{\};?$/gm, ''),
    ),
    needs: [...new Set(needs)],
    uses: [...new Set(uses)],
    names,
  }
}
const named = new Set([...publicTypes, 'GpuOptions', 'OpenOptions'])
/**
 * Comments on lines of their own, except on types that callers can name: emitted files are read for their kernels and programs, and
 * their size counts. The runtime's own comments are in its files.
 */
function commentLines(source: ts.SourceFile): { from: number; to: number }[] {
  const text = source.text
  const shown = source.statements.filter(
    (s) => (ts.isInterfaceDeclaration(s) || ts.isTypeAliasDeclaration(s)) && named.has(s.name.text),
  )
  const cuts: { from: number; to: number }[] = []
  for (const match of text.matchAll(/^[ \t]*(?:\/\*\*[\s\S]*?\*\/|\/\/.*)\n/gm)) {
    const from = match.index
    const to = from + match[0].length
    if (!shown.some((s) => s.getFullStart() <= from && to <= s.end)) cuts.push({ from, to })
  }
  return cuts
}
const tidy = (text: string): string => text.trim().replace(/\n{3,}/g, '\n\n')
