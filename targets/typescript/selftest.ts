import type { Module } from '../../src/program/types.ts'
import type { Printer } from './printer.ts'
export const selftestLines = (_m: Module, _k: readonly string[], _p: Printer): string[] => []
