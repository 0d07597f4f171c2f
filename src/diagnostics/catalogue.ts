/**
 * Every code, once. To add one, add a `define` in the file of its range; it then appears in the error index (`docs/errors.md`).
 *
 * 10xx reading · 11xx files and imports · 12xx names, arguments, hyperparameters · 13xx residual · 14xx dims, shapes, indices ·
 * 15xx parameters and paths · 16xx tuples and statements · 17xx sequence and entries · 18xx dtypes · 19xx weights files · 20xx running ·
 * 21xx devices and targets · 22xx command line
 */
import { definedEntries, type Entry } from './define.ts'

export * from './catalogue/syntax.ts'
export * from './catalogue/imports.ts'
export * from './catalogue/names.ts'
export * from './catalogue/residual.ts'
export * from './catalogue/shapes.ts'
export * from './catalogue/rest.ts'
export * from './catalogue/elaborate.ts'
export * from './catalogue/running.ts'
export * from './catalogue/weights.ts'
export * from './catalogue/hf.ts'
export * from './catalogue/command.ts'

export const ranges: Readonly<Record<string, string>> = {
  '10': 'Reading the text',
  '11': 'Files and imports',
  '12': 'Names, arguments, hyperparameters',
  '13': 'Residual',
  '14': 'Dims, shapes, indices',
  '15': 'Parameters and their paths',
  '16': 'Tuples and statements',
  '17': 'Sequence and entries',
  '18': 'Dtypes',
  '19': 'Weights files',
  '20': 'Running',
  '21': 'Devices and targets',
  '22': 'Command line',
}

/** All codes in order. */
export const catalogue = (): readonly Entry[] => definedEntries()
