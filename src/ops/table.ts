/** Every op, by the name that nodes carry. Language names differ only where `call` says so. */
import { attention } from './attention.ts'
import * as binary from './binary.ts'
import * as cast from './cast.ts'
import { contract } from './contract.ts'
import type { Op } from './define.ts'
import { gather } from './gather.ts'
import * as join from './join.ts'
import * as leaves from './leaves.ts'
import { matmul } from './matmul.ts'
import * as reduce from './reduce.ts'
import * as scans from './scan.ts'
import { select } from './select.ts'
import * as sources from './sources.ts'
import * as unary from './unary.ts'
import * as views from './views.ts'

const table = {
  ...leaves,
  ...sources,
  ...unary,
  ...binary,
  select,
  ...cast,
  ...reduce,
  matmul,
  contract,
  ...views,
  ...join,
  gather,
  attention,
  ...scans,
}

export type OpName = keyof typeof table
export const ops: Readonly<Record<OpName, Op>> = table
export const isOpName = (name: string): name is OpName => Object.hasOwn(ops, name)

/** The record of a node's op; a graph that names none is a bug. */
export function opOf(name: string): Op {
  if (!isOpName(name)) throw new Error(`internal: no op ${name}`)
  return ops[name]
}
