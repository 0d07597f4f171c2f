export { check, isProved, type Checked, type CheckedGraph } from './check.ts'
export { lint } from './lint.ts'
