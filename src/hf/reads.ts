/** What a model reads of a configuration, told from its source. */
import type * as ast from '../../grammar/ast.ts'
import { plainText } from '../../grammar/desugar.ts'

/** The model of that name, or the only one. */
export function modelIn(file: ast.File, name: string | undefined): ast.Model | undefined {
  const models = file.items.filter((item) => item.k === 'model')
  return name === undefined ? (models.length === 1 ? models[0] : undefined) : models.find((m) => m.name.name === name)
}

/** The paths after `from`. */
export const readsOf = (model: ast.Model): string[] =>
  model.params.flatMap((p) => p.from.map(plainText)).filter((path) => path !== undefined)
