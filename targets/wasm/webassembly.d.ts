/** What is used of the JavaScript interface of WebAssembly, which the language's own library leaves to hosts (WebAssembly JS API 2). */
declare namespace WebAssembly {
  type Source = Uint8Array<ArrayBuffer> | ArrayBuffer
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean })
    readonly buffer: ArrayBuffer | SharedArrayBuffer
    grow(pages: number): number
  }
  class Module {
    constructor(source: Source)
  }
  type Imports = Readonly<Record<string, Readonly<Record<string, Memory | ((...args: readonly number[]) => unknown)>>>>
  class Instance {
    constructor(module: Module, imports?: Imports)
    readonly exports: Readonly<Record<string, unknown>>
  }
  function validate(source: Source): boolean
  function compile(source: Source): Promise<Module>
  function compileStreaming(source: Response | Promise<Response>): Promise<Module>
  function instantiate(source: Source, imports?: Imports): Promise<{ module: Module; instance: Instance }>
  function instantiate(module: Module, imports?: Imports): Promise<Instance>
}
