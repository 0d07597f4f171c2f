import { describe, expect, test } from 'vitest'
import ts from 'typescript'
import { filesBelow, importsOf, nodesOf, occurrences, placeOf, type SourceFile } from './support/sources.ts'

/**
 * The arrows of docs/architecture.md: part → what it may import, with all that those may import in turn. A part is a
 * folder or a file; a file belongs to the longest part that its path starts with.
 */
const arrows: Readonly<Record<string, readonly string[]>> = {
  'src/package-root.ts': [],
  'src/fs-atomic.ts': [],
  'src/gpu': ['src/package-root.ts'],
  'src/diagnostics': [],
  'src/types': ['src/diagnostics'],
  grammar: ['src/diagnostics'],
  'src/kernel': ['src/types'],
  'src/ops': ['src/kernel', 'src/types'],
  'src/ir': ['src/ops'],
  'src/frontend': ['grammar', 'src/ir', 'src/package-root.ts'],
  'src/check': ['src/ir'],
  'src/passes': ['src/ir'],
  'src/sequence': ['src/ir'],
  'src/program': ['src/kernel'],
  'src/lower': ['src/ir', 'src/program'],
  'src/interpret': ['src/ir'],
  'src/weights': ['src/types', 'targets/runtime'],
  'src/text': ['src/types'],
  'src/hf': ['src/frontend', 'src/weights', 'src/text'],
  'src/target.ts': ['src/program', 'src/kernel'],
  'src/compile.ts': [
    ...['grammar', 'src/frontend', 'src/check', 'src/passes', 'src/sequence', 'src/lower', 'src/interpret'],
    ...['src/weights', 'src/text', 'src/target.ts'],
  ],
  'src/diff': ['src/compile.ts', 'src/gpu'],
  'src/explain': ['src/compile.ts'],
  'src/cli': ['src/hf', 'src/diff', 'src/explain', 'targets', 'src/fs-atomic.ts'],
  'targets/runtime': [],
  targets: [
    'targets/runtime',
    'src/program',
    'src/kernel',
    'src/types',
    'src/diagnostics',
    'src/target.ts',
    'src/package-root.ts',
  ],
}
/** Parts that may import what is listed and nothing more: what those import in turn is not theirs to see. */
const exact = new Set(['targets'])

const product = ['grammar', 'src', 'targets'].flatMap((folder) => filesBelow(folder, /\.ts$/))
const targets = product.filter((file) => file.path.startsWith('targets/'))
const tests = ['test', 'bench'].flatMap((folder) => filesBelow(folder, /\.ts$/))
const docs = filesBelow('docs', /\/architecture\.md$/)

function partOf(path: string): string | undefined {
  return Object.keys(arrows)
    .filter((part) => path === part || path.startsWith(`${part}/`))
    .sort((a, b) => b.length - a.length)[0]
}

function reachable(part: string): Set<string> {
  const seen = new Set([part, ...arrows[part]!])
  if (!exact.has(part)) for (const each of seen) for (const next of arrows[each]!) seen.add(next)
  return seen
}

describe('imports', () => {
  test('there is something to check', () => {
    expect(product.length).toBeGreaterThan(5)
    expect(product.flatMap(importsOf).length).toBeGreaterThan(5)
  })

  test('every part is in the table of docs/architecture.md, and the arrows have no cycle', () => {
    const text = docs.map((file) => file.text).join()
    for (const part of Object.keys(arrows)) expect(text).toContain(part)
    for (const part of Object.keys(arrows))
      for (const below of arrows[part]!)
        expect(reachable(below), `${part} → ${below} → … → ${part}`).not.toContain(part)
  })

  test('follow the arrows', () => {
    const wrong = product.flatMap((file) => {
      const part = partOf(file.path)
      if (part === undefined) return [`${file.path} belongs to no part of the table`]
      const allowed = reachable(part)
      return importsOf(file).flatMap(({ path }) => {
        const to = path === undefined ? part : partOf(path)
        return to !== undefined && allowed.has(to) ? [] : [`${file.path} imports ${path}: ${part} may not see ${to}`]
      })
    })
    expect(wrong).toEqual([])
  })

  test('of a target see that target and what targets share', () => {
    const folder = (path: string): string | undefined => /^targets\/(\w+)\//.exec(path)?.[1]
    const common = ['shared', 'runtime']
    const wrong = targets.flatMap((file) =>
      importsOf(file).flatMap(({ path = '' }) => {
        const [from, to] = [folder(file.path), folder(path)]
        return to === undefined || to === from || common.includes(to) ? [] : [`${file.path} imports ${path}`]
      }),
    )
    expect(wrong).toEqual([])
  })

  test('of files carry the .ts ending', () => {
    const wrong = [...product, ...tests].flatMap((file) =>
      importsOf(file).flatMap(({ specifier, path }) =>
        path === undefined || /\.(ts|json)$/.test(path) ? [] : [`${file.path}: ${specifier}`],
      ),
    )
    expect(wrong).toEqual([])
  })

  test('of packages are declared, the optional ones only seen by src/gpu, and none seen by what is emitted', () => {
    const declared = packageNames('dependencies')
    const optional = packageNames('peerDependencies')
    const wrong = product.flatMap((file) =>
      importsOf(file).flatMap(({ specifier, path }) => {
        if (path !== undefined) return isRuntime(file.path) && !isRuntime(path) ? [`${file.path}: ${specifier}`] : []
        if (specifier.startsWith('node:')) return []
        const name = specifier.match(/^(@[^/]+\/)?[^/]+/)![0]
        if (!isRuntime(file.path) && declared.includes(name)) return []
        return partOf(file.path) === 'src/gpu' && optional.includes(name) ? [] : [`${file.path}: ${specifier}`]
      }),
    )
    expect(wrong).toEqual([])
  })
})

describe('targets know no ops', () => {
  /** Ops that are more than one scalar function: naming one in a target or in the kernel IR is always a mistake. */
  const compound = ['matmul', 'attention', 'softmax', 'layernorm', 'rmsnorm', 'gelu', 'silu', 'conv1d', 'gather']

  test('no string of theirs is the name of an op', async () => {
    const words = kernelWords()
    const names = new Set([...compound, ...(await opNames())].filter((name) => !words.has(name)))
    const wrong = targets.flatMap((file) =>
      [...nodesOf(file)].flatMap((node) =>
        ts.isStringLiteralLike(node) && names.has(node.text) ? [`${placeOf(file, node)} '${node.text}'`] : [],
      ),
    )
    expect(wrong).toEqual([])
  })

  test('nor does the kernel IR', () => {
    const words = kernelWords()
    expect(compound.filter((name) => words.has(name))).toEqual([])
  })

  /** The keys of the op table, which a checkout without one does not have. */
  async function opNames(): Promise<string[]> {
    const table = 'src/ops/table.ts'
    if (!product.some((file) => file.path === table)) return []
    const module = (await import(/* @vite-ignore */ `../${table}`)) as { ops: Readonly<Record<string, unknown>> }
    return Object.keys(module.ops)
  }

  /**
   * The vocabulary that targets share with the levels below them: strings in types (`k: 'load'`, `'add' | 'mul'`) and in
   * `as const` lists, such as the scalar functions. Some ops have the name of the scalar function that they map.
   */
  function kernelWords(): Set<string> {
    const words = new Set<string>()
    for (const file of product) {
      if (!/^src\/(kernel|program|types)\/|^src\/target\.ts$/.test(file.path)) continue
      for (const node of nodesOf(file)) {
        const holder = ts.isLiteralTypeNode(node) || (ts.isAsExpression(node) && ts.isConstTypeReference(node.type))
        if (holder) node.forEachChild((child) => collect(child))
      }
    }
    return words

    function collect(node: ts.Node): void {
      if (ts.isStringLiteral(node)) words.add(node.text)
      else node.forEachChild(collect)
    }
  }
})

describe('files', () => {
  test('have at most 500 lines', () => {
    const long = product.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    expect(long.filter(({ lines }) => lines > 500)).toEqual([])
  })

  test('do not silence the type checker', () => {
    const files = [...product, ...tests]
    expect(occurrences(files, /@ts-(?:ignore|nocheck)\b/g)).toEqual([])
    const casts = files.flatMap((file) =>
      [...nodesOf(file)].flatMap((node) =>
        ts.isAsExpression(node) && node.type.kind === ts.SyntaxKind.AnyKeyword ? [placeOf(file, node)] : [],
      ),
    )
    expect(casts).toEqual([])
  })

  test('of tests leave no test out', () => {
    expect(occurrences(tests, /\.(?:skip|only|todo|skipIf|runIf)\b\s*[(.]/g)).toEqual([])
  })

  test('name no path of a machine and no package registry', () => {
    const text = filesBelow('.', /(?:\.(?:ts|js|mjs|md|json|ya?ml|tfm|html|wgsl)|\/run|\.npmrc|ignore)$/)
    const small = text.filter((file) => file.text.length < 1_000_000 && !file.path.startsWith('test/models/'))
    expect(occurrences(small, /(?<![\w.:/}])\/(?:work|home|root|Users|tmp)\/[\w.]+/g)).toEqual([])
    expect(occurrences(small, /\bregistry\.[\w-]+\.\w+|"resolve[d]":.*/g)).toEqual([])
  })
})

function isRuntime(path: string): boolean {
  return /^targets\/(\w+\/)?runtime\//.test(path)
}

function packageNames(kind: 'dependencies' | 'peerDependencies'): string[] {
  const file: SourceFile = filesBelow('.', /^package\.json$/)[0]!
  const json = JSON.parse(file.text) as Readonly<Record<string, Readonly<Record<string, string>>>>
  return Object.keys(json[kind] ?? {})
}
