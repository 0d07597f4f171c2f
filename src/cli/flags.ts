/** Values of flags. */
import { InvalidArgumentError } from 'commander'

/** `layers=6` pairs, gathered. */
export function setting(text: string, before: Readonly<Record<string, number | boolean | string>> = {}) {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(`--set takes name=value, not '${text}'`)
  const [name, raw] = [text.slice(0, at).trim(), text.slice(at + 1).trim()]
  const number = raw === '' ? NaN : Number(raw)
  const value = raw === 'true' ? true : raw === 'false' ? false : Number.isNaN(number) ? raw : number
  return { ...before, [name]: value }
}

/** `T=16,B=2`, gathered. */
export function sizes(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const out = { ...before }
  for (const part of text.split(',')) {
    const found = /^\s*([A-Za-z]\w*)\s*=\s*(\d+)\s*$/.exec(part)
    if (!found) throw new InvalidArgumentError(`--dims takes sizes such as T=16,B=2, not '${part}'`)
    out[found[1]] = Number(found[2])
  }
  return out
}

/** A whole number from a flag. */
export function wholeNumber(text: string): number {
  const n = Number(text)
  if (!/^\d+$/.test(text.trim()) || !Number.isSafeInteger(n))
    throw new InvalidArgumentError(`'${text}' is not a whole number`)
  return n
}
export function decimal(text: string): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isFinite(n)) throw new InvalidArgumentError(`'${text}' is not a number`)
  return n
}
