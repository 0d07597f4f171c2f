import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { packageRoot } from '../../src/package-root.ts'

/** A file of the project. `path` is relative to the package root, with `/`. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

const generated = new Set(['node_modules', 'dist', 'coverage', '.git', '.cache'])

/** The project's files below `folder` (`.` for all) whose path matches; a folder that does not exist has none. */
export function filesBelow(folder: string, matching: RegExp): SourceFile[] {
  const walk = (at: string): string[] =>
    readdirSync(join(packageRoot(), at), { withFileTypes: true }).flatMap((entry) => {
      const path = posix.join(at, entry.name)
      if (entry.isDirectory()) return generated.has(entry.name) ? [] : walk(path)
      return entry.isFile() && matching.test(path) ? [path] : []
    })
  if (!readdirSync(packageRoot()).includes(folder) && folder !== '.') return []
  return walk(folder)
    .sort()
    .map((path) => ({ path, text: readFileSync(join(packageRoot(), path), 'utf8') }))
}

/** What `file` imports or re-exports, static, dynamic or for types only; relative ones as paths from the package root. */
export function importsOf(file: SourceFile): { specifier: string; path: string | undefined }[] {
  const specifiers: string[] = []
  const visit = (node: ts.Node): void => {
    const from = ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node.moduleSpecifier : undefined
    const dynamic =
      ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments[0] : undefined
    const type = ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined
    for (const found of [from, dynamic, type])
      if (found !== undefined && ts.isStringLiteral(found)) specifiers.push(found.text)
    node.forEachChild(visit)
  }
  visit(ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true))
  return specifiers.map((specifier) => ({
    specifier,
    path: specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : undefined,
  }))
}

/** Every node of the file's syntax tree, parents first. */
export function* nodesOf(file: SourceFile): Generator<ts.Node> {
  const stack: ts.Node[] = [ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true)]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    yield node
    stack.push(...[...node.getChildren()].reverse())
  }
}

/** `path:line` of a node of the file, for messages. */
export function placeOf(file: SourceFile, node: ts.Node): string {
  return placeAt(file, node.getStart())
}

/** `path:line` of an offset in the file, for messages. */
function placeAt(file: SourceFile, offset: number): string {
  return `${file.path}:${file.text.slice(0, offset).split('\n').length}`
}

/** The places where `pattern` (global) occurs in `files`, with what was found. */
export function occurrences(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    [...file.text.matchAll(pattern)].map((match) => `${placeAt(file, match.index)} ${match[0].trim()}`),
  )
}
