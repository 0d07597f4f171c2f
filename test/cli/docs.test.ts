/** `docs/cli.md` is made by a script; the help in it must be that of the commands as they are. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandNames } from '../../src/cli/program.ts'
import { packageRoot } from '../../src/package-root.ts'
import { tfmc } from './support.ts'

const page = readFileSync(join(packageRoot(), 'docs/cli.md'), 'utf8')

test.each(commandNames)('tfmc %s is shown as it is; else run `npm run docs:cli`', async (name) => {
  const { out } = await tfmc([name, '--help'])
  expect(page).toContain(out.slice(0, out.indexOf('\nExamples:')).trim())
  expect(page).toMatch(new RegExp(`^\\$ tfmc ${name}\\b`, 'm'))
})
