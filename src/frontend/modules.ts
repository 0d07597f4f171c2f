/** Files and what they declare: imports, the standard library, and the blocks that a name may mean. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type * as ast from '../../grammar/ast.ts'
import { plainText } from '../../grammar/desugar.ts'
import { parse } from '../../grammar/parse.ts'
import { declaredTwice, fileNotFound, importCycle, notExported, unreadableFile } from '../diagnostics/catalogue.ts'
import { hasErrors, sourceFile, type Collector, type SourceFile } from '../diagnostics/index.ts'
import { packageRoot } from '../package-root.ts'
import { suggestion, type BlockScope, type Scope } from './context.ts'
import { libraryFiles } from './why.ts'

export interface BlockDef {
  readonly name: string
  readonly decl: ast.Block
  readonly module: Module
  readonly std: boolean
  /** What the body sees besides its parameters. */
  readonly hypers?: Scope
  readonly blocks?: BlockScope
}

export interface ModelDef {
  readonly decl: ast.Model
  readonly module: Module
}

export interface Module {
  readonly path: string
  readonly file: ast.File
  readonly std: boolean
  readonly blocks: Map<string, BlockDef>
  readonly models: Map<string, ModelDef>
}

/** The standard library: one table of names, from several files. */
export interface Library {
  readonly blocks: ReadonlyMap<string, BlockDef>
}

/** The text of an imported file, or undefined if there is none. `path` is relative to the same folder as the main file's path. */
export type Resolve = (path: string) => string | SourceFile | undefined

let standard: Library | undefined

/** Parses `std/` once per process. A fault in it is ours. */
export function standardLibrary(): Library {
  standard ??= loadLibrary(join(packageRoot(), 'std'))
  return standard
}

function loadLibrary(folder: string): Library {
  const blocks = new Map<string, BlockDef>()
  const files = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.tfm'))
        .sort()
    : []
  for (const name of files) {
    const source = sourceFile(`std/${name}`, readFileSync(join(folder, name), 'utf8'))
    libraryFiles.add(source)
    const { ast: file, diagnostics } = parse(source)
    if (hasErrors(diagnostics)) {
      throw new Error(`internal: std/${name}: ${diagnostics.map((d) => `${d.span?.start} ${d.message}`).join('; ')}`)
    }
    const module: Module = { path: source.path, file, std: true, blocks: new Map(), models: new Map() }
    for (const item of file.items) {
      if (item.k !== 'block') continue
      if (blocks.has(item.name.name)) throw new Error(`internal: std declares ${item.name.name} twice`)
      const def: BlockDef = { name: item.name.name, decl: item, module, std: true }
      module.blocks.set(def.name, def)
      blocks.set(def.name, def)
    }
  }
  return { blocks }
}

/** Declarations of the main file and, through imports, of all others. Faults are reported; what can be found is kept. */
export function loadModules(main: ast.File, resolve: Resolve, diagnostics: Collector): { main: Module; all: Module[] } {
  const all = new Map<string, Module>()
  const load = (file: ast.File, chain: readonly string[]): Module => {
    const path = file.span.file.path
    const module: Module = { path, file, std: false, blocks: new Map(), models: new Map() }
    all.set(path, module)
    for (const item of file.items) {
      if (item.k === 'block') declareBlock(module, item, diagnostics)
      else if (item.k === 'model') {
        if (module.models.has(item.name.name)) diagnostics.add(declaredTwice(item.name.span, item.name.name))
        else module.models.set(item.name.name, { decl: item, module })
      }
    }
    for (const item of file.items) if (item.k === 'import') importFrom(module, item, [...chain, path])
    return module
  }
  const importFrom = (module: Module, item: ast.Import, chain: readonly string[]): void => {
    const written = plainText(item.from)
    if (written === undefined) {
      diagnostics.add(unreadableFile(item.from.span, 'of an import', 'the path must be plain text'))
      return
    }
    const path = relativeTo(module.path, written)
    if (chain.includes(path)) {
      diagnostics.add(importCycle(item.from.span, [...chain.slice(chain.indexOf(path)), path]))
      return
    }
    const from = all.get(path) ?? read(path, item, chain)
    if (!from) return
    for (const one of item.names) importName(module, from, one)
  }
  const read = (path: string, item: ast.Import, chain: readonly string[]): Module | undefined => {
    const found = resolve(path)
    if (found === undefined) {
      diagnostics.add(fileNotFound(item.from.span, path))
      return undefined
    }
    const parsed = parse(typeof found === 'string' ? sourceFile(path, found) : found)
    diagnostics.add(...parsed.diagnostics)
    return load(parsed.ast, chain)
  }
  const importName = (module: Module, from: Module, one: ast.ImportName): void => {
    const alias = one.as ?? one.name
    const block = from.blocks.get(one.name.name)
    const model = from.models.get(one.name.name)
    if (!block && !model) {
      const names = [...from.blocks.keys(), ...from.models.keys()]
      diagnostics.add(notExported(one.name.span, one.name.name, from.path, suggestion(one.name.name, names)))
      return
    }
    if (module.blocks.has(alias.name) || module.models.has(alias.name)) {
      diagnostics.add(declaredTwice(alias.span, alias.name))
      return
    }
    if (block) module.blocks.set(alias.name, block)
    if (model) module.models.set(alias.name, model)
  }
  return { main: load(main, []), all: [...all.values()] }
}

function declareBlock(module: Module, decl: ast.Block, diagnostics: Collector): void {
  if (module.blocks.has(decl.name.name)) diagnostics.add(declaredTwice(decl.name.span, decl.name.name))
  else module.blocks.set(decl.name.name, { name: decl.name.name, decl, module, std: module.std })
}

/** `./b.tfm` beside `models/a.tfm` is `models/b.tfm`; slashes only, on every system. */
export function relativeTo(file: string, written: string): string {
  const normal = file.replaceAll('\\', '/')
  if (written.startsWith('/')) return written
  const parts = normal.split('/').slice(0, -1)
  for (const part of written.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..' && parts.at(-1) !== '') parts.pop()
    else parts.push(part)
  }
  return parts.join('/')
}
