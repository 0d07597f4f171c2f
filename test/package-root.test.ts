import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findPackageRoot, packageRoot } from '../src/package-root.ts'

test('finds our package.json, from src, from dist/src, and from nowhere', () => {
  const root = packageRoot()
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).toMatchObject({ name: 'tfm' })
  expect(findPackageRoot(join(root, 'dist/src/cli'))).toBe(root)
  // A package.json of somebody else on the way up does not count.
  expect(findPackageRoot(join(root, 'node_modules/webgpu/build'))).toBe(root)
  expect(() => findPackageRoot('/')).toThrow('internal: no package.json')
})
