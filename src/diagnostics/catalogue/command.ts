/** 21xx: devices, which compiled modules report too, with their own words. 22xx: the command line. */
import { define, type Said } from '../define.ts'

const itself = (message: string): string => message

export const noWebGpu = define(
  'TFM2101',
  {
    title: 'there is no WebGPU',
    explain: 'The WGSL target runs on WebGPU: in Node through the optional package `webgpu`, in browsers that have it.',
    example: 'tfmc run model.tfm --target wgsl, without the package webgpu',
  },
  (message: string, help?: string): Said => ({ message, ...(help === undefined ? {} : { help }) }),
)

export const noAdapter = define(
  'TFM2102',
  {
    title: 'WebGPU found no adapter',
    explain: 'There is no graphics driver that it can use, or it gave no device.',
    example: 'VK_DRIVER_FILES=/nowhere tfmc run model.tfm --target wgsl',
  },
  (message: string, help?: string): Said => ({ message, ...(help === undefined ? {} : { help }) }),
)

export const deviceLimit = define(
  'TFM2103',
  {
    title: 'the device is too small for the model',
    explain:
      'A kernel or a buffer needs more than a limit that the adapter reports; where another size of the dims would fit, the message says the largest. A module compiled with `--device-profile` for such limits has its weights in smaller parts.',
    example: 'a table of 3 GB on a device that binds 1 GB at most',
  },
  itself,
)

export const kernelRefused = define(
  'TFM2104',
  {
    title: 'the device did not accept a kernel',
    explain: 'Its driver could not compile it. Please report it: emitted kernels are valid WGSL.',
    example: 'a driver with a bug',
  },
  itself,
)

export const deviceLost = define(
  'TFM2105',
  {
    title: 'the device is gone',
    explain: 'The model was disposed, or the driver took the device away.',
    example: 'model.dispose(); await model.run({ ids })',
  },
  itself,
)

export const deviceMemory = define(
  'TFM2106',
  {
    title: 'the GPU has too little memory',
    explain: 'Weights, state and activations must fit.',
    example: 'a model of 7 billion parameters on a card of 8 GB',
  },
  itself,
)

export const tooLarge = define(
  'TFM2107',
  {
    title: 'the model does not fit a device profile',
    explain:
      '`--device-profile` names limits and a memory that a model is to run within; what it takes follows from its dims, before anything runs.',
    example: 'tfmc explain gpt2.tfm --device-profile phone',
  },
  (message: string, fix: string, reasons: readonly string[] = []): Said => ({
    message,
    fix,
    reasons: reasons.map((r) => ({ message: r })),
  }),
)

export const weightRange = define(
  'TFM2108',
  {
    title: 'a weight is too large for arithmetic in f16',
    explain:
      'Sums of 16 products must stay within what f16 holds, so a module compiled with `--arithmetic f16` takes weights up to 120. Compile it without.',
    example:
      'a checkpoint with a weight of 300, loaded by a module that was compiled with --weights-as f16 --arithmetic f16',
  },
  itself,
)

export const wasmMemory = define(
  'TFM2110',
  {
    title: 'there is too little memory for the model',
    explain:
      'Weights, state and activations must fit into one WebAssembly memory: 4 GiB at most, less where the host gives less.',
    example: 'a model of 7 billion parameters in f32',
  },
  itself,
)

export const wasmThreads = define(
  'TFM2111',
  {
    title: 'threads are a whole number from 1 to 64',
    explain: '`load({ threads })` says how many threads compute; by default as many as there are cores, at most 8.',
    example: 'load({ weights, threads: 0 })',
  },
  itself,
)

export const threadStart = define(
  'TFM2112',
  {
    title: 'a thread cannot start',
    explain:
      'Threads start from the file `<model>.worker.js` beside the module. It must be served with the module, from the same origin.',
    example: 'the file was not copied to the server',
  },
  itself,
)

export const threadLost = define(
  'TFM2113',
  {
    title: 'a thread ended, or the model was disposed',
    explain:
      'Without all of its threads a model cannot compute. A thread ends when its worker is ended from outside, or when a kernel fails.',
    example: 'model.dispose(); await model.run({ ids })',
  },
  itself,
)

export const notShared = define(
  'TFM2114',
  {
    title: 'memory cannot be shared, so that one thread computes',
    explain:
      'A page shares memory with workers only if it is cross-origin isolated: served with `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`.',
    example: 'a page without these headers',
  },
  itself,
)

export const binaryRead = define(
  'TFM2115',
  {
    title: 'the binary of a model cannot be read',
    explain: 'The file `<model>.wasm` lies beside the module, or is given to `load({ wasm })`.',
    example: 'the file was not copied to the server',
  },
  itself,
)

export const usage = define(
  'TFM2201',
  {
    title: 'the command is not used as it should be',
    explain: 'An unknown command or option, a missing argument, or a value in the wrong form. The exit code is 2.',
    example: 'tfmc check model.tfm --set layers',
  },
  itself,
)

export const wontOverwrite = define(
  'TFM2202',
  {
    title: 'a file is in the way',
    explain: '`tfmc init` writes new files only.',
    example: 'tfmc init, twice',
  },
  (path: string): Said => ({ message: `${path} exists already; nothing was written`, fix: 'name another folder' }),
)

export const fileSystem = define(
  'TFM2203',
  {
    title: 'a file cannot be read or written',
    explain: 'The file system said no.',
    example: 'tfmc compile model.tfm -o /',
  },
  (path: string, why: string) => `${path}: ${why}`,
)

export const needsWeights = define(
  'TFM2204',
  {
    title: 'no weights were named',
    explain:
      'A model with parameters runs with a checkpoint or with made-up weights; one beside the model is found by itself.',
    example: 'tfmc run model.tfm',
  },
  (model: string, params: number): Said => ({
    message: `${model} has ${params} parameters and no weights were named`,
    fix: '--weights model.safetensors, or --random-weights 1',
  }),
)

export const badInput = define(
  'TFM2205',
  {
    title: 'an input cannot be read',
    explain: 'Inputs are JSON (nested lists of numbers), or files with JSON or safetensors.',
    example: 'tfmc run model.tfm --input "ids=[1, 2"',
  },
  (name: string, why: string) => `input \`${name}\`: ${why}`,
)

export const differs = define(
  'TFM2206',
  {
    title: 'a target is not within its bound',
    explain: '`tfmc diff` found a value that is further from the reference than rounding explains.',
    example: 'a kernel that a driver miscompiles',
  },
  (message: string, help?: string): Said => ({ message, ...(help === undefined ? {} : { help }) }),
)

export const notFormatted = define(
  'TFM2207',
  {
    title: 'a source is not formatted',
    explain: '`tfmc fmt --check` changes nothing and says what it would change.',
    example: 'tfmc fmt --check model.tfm',
  },
  (path: string): Said => ({ message: `${path} is not formatted`, fix: `tfmc fmt ${path}` }),
)

export const cannotGenerate = define(
  'TFM2208',
  {
    title: 'the model cannot generate',
    explain:
      'It takes a model that can be stepped: one i32 input on its `sequence` axis, and one f32 output of logits.',
    example: 'tfmc generate examples/postln-block/model.tfm --ids 1',
  },
  (model: string, why: string, fix?: string): Said => ({
    message: `${model} cannot generate: ${why}`,
    ...(fix === undefined ? {} : { fix }),
  }),
)

export const badTuning = define(
  'TFM2210',
  {
    title: 'a tuning file cannot be used',
    explain:
      '`--tune` takes a file that `tfmc tune` wrote: JSON with a version, a target, and a choice for each kind of kernel.',
    example: 'tfmc compile model.tfm --target wasm --tune package.json',
  },
  (path: string, why: string): Said => ({
    message: `${path} is no tuning file: ${why}`,
    fix: `tfmc tune model.tfm --out ${path}`,
  }),
)

export const onlyWholeTimes = define(
  'TFM2211',
  {
    title: 'kernels cannot be timed one by one',
    explain:
      'Times of kernels come from timestamp queries, which a WebGPU device may lack. Then there are the times of whole calls, and of submissions as the processor waits for them.',
    example: 'tfmc profile model.tfm, on an adapter without timestamp-query',
    severity: 'warning',
  },
  (why: string) => `only whole calls are timed: ${why}`,
)

export const noKernelTimes = define(
  'TFM2212',
  {
    title: 'there are no times of kernels to draw',
    explain: '`--svg` draws kernels as wide as they take time; without timestamp queries there are no such times.',
    example: 'tfmc profile model.tfm --svg profile.svg, on an adapter without timestamp-query',
  },
  (why: string): Said => ({ message: `nothing can be drawn: ${why}`, fix: 'leave out --svg' }),
)

export const badProfile = define(
  'TFM2213',
  {
    title: 'a device profile cannot be used',
    explain:
      '`--device-profile` takes the name of one that is built in, or a JSON file with a name, a memory and limits.',
    example: 'tfmc explain model.tfm --device-profile package.json',
  },
  (profile: string, why: string, known: readonly string[]): Said => ({
    message: `${profile} is no device profile: ${why}`,
    fix: `one of ${known.join(', ')}, or a file such as { "name": "tablet", "memory": 536870912, "limits": { "maxBufferSize": 268435456 } }`,
  }),
)

export const bug = define(
  'TFM2209',
  {
    title: 'tfmc failed',
    explain: 'A bug in tfm. Please report it.',
    example: 'none that we know of',
  },
  (message: string) => `this is a bug in tfm: ${message}`,
)
