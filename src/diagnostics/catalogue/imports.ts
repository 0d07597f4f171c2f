/** 11xx: files and imports. */
import { define, type Said } from '../define.ts'

export const fileNotFound = define(
  'TFM1101',
  {
    title: 'file not found',
    explain: 'A source or an imported file does not exist.',
    example: 'import { a } from "./missing.tfm"',
  },
  (path: string, hint?: string): Said => ({ message: `cannot find ${path}`, ...(hint ? { help: hint } : {}) }),
)

export const notExported = define(
  'TFM1102',
  {
    title: 'imported name is not declared there',
    explain: 'Imports name blocks and models at the top level of the other file.',
    example: 'import { gelgu } from "./b.tfm"',
  },
  (name: string, path: string, hint?: string): Said => ({
    message: `${path} declares no \`${name}\``,
    ...(hint ? { fix: hint } : {}),
  }),
)

export const importCycle = define(
  'TFM1103',
  {
    title: 'imports form a cycle',
    explain: 'Files may not import each other in a circle.',
    example: 'import { a } from "./self.tfm"',
  },
  (paths: readonly string[]) => `imports form a cycle: ${paths.join(' → ')}`,
)

export const unreadableFile = define(
  'TFM1104',
  {
    title: 'file cannot be read',
    explain: 'A source is UTF-8 text of moderate size.',
    example: 'tfmc check weights.safetensors',
  },
  (path: string, why: string) => `cannot read ${path}: ${why}`,
)
