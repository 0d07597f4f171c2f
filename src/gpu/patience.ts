/**
 * Dawn's binding waits for its futures by a callback that asks for itself again with every `setImmediate`: a core that does nothing else, and a
 * function to be collected for each turn. Where the processor plays the graphics card, that core is one of those that compute.
 */

/** Turns of the event loop that come closer than this belong to one wait. In ms. */
const together = 20
/** So long a wait may spin: short ones end without a timer's delay. In ms. */
const spin = 0.2

let patient = false

/** From now on native callbacks that keep coming back by `setImmediate` are called once a millisecond. Others are as before. */
export function waitPatiently(): void {
  if (patient) return
  patient = true
  const immediate = globalThis.setImmediate
  let [since, last] = [-Infinity, -Infinity]
  const patientImmediate = (callback: (...args: unknown[]) => void, ...args: unknown[]): unknown => {
    if (!isNative(callback)) return immediate(callback, ...args)
    const now = performance.now()
    if (now - last > together) since = now
    last = now
    return now - since < spin ? immediate(callback, ...args) : setTimeout(callback, 1, ...args)
  }
  // What `util.promisify` looks for.
  for (const key of Object.getOwnPropertySymbols(immediate))
    Object.defineProperty(patientImmediate, key, Object.getOwnPropertyDescriptor(immediate, key)!)
  globalThis.setImmediate = patientImmediate as typeof setImmediate
}

/** A function of the binding: written in no JavaScript, and without a name, which those of JavaScript itself have. */
const isNative = (f: { readonly name: string }): boolean =>
  f.name === '' && Function.prototype.toString.call(f).endsWith('{ [native code] }')
