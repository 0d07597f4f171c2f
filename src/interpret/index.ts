export { bindDims, evaluateAt, type Dims } from './bind.ts'
export { interpret, type Interpreted, type InterpretOptions, type Tensors } from './interpret.ts'
