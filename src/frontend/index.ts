export { elaborate, type ElaborateOptions, type Elaborated, type Explanation } from './elaborate.ts'
export type { Assumption, Provenance } from './context.ts'
export type { HyperValue, Json } from './hyper.ts'
export { standardLibrary, relativeTo, type Resolve } from './modules.ts'
