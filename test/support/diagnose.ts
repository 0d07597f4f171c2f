/** Type checks of emitted text. */
import ts from 'typescript'

/** The library's own files, which no test changes: parsed once. */
const library = new Map<string, ts.SourceFile | undefined>()

/** What TypeScript says of files that exist in memory only; `types` are packages whose globals they may use. */
export function diagnose(files: ReadonlyMap<string, string>, types: readonly string[] = []): string[] {
  const options: ts.CompilerOptions = {
    strict: true, noEmit: true, noUnusedLocals: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true, lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.dom.asynciterable.d.ts'], types: [...types],
  } // prettier-ignore
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists, readFile } = host
  host.getSourceFile = (name, target) => {
    const text = files.get(name)
    if (text !== undefined) return ts.createSourceFile(name, text, target)
    if (!library.has(name)) library.set(name, getSourceFile(name, target))
    return library.get(name)
  }
  host.fileExists = (name) => files.has(name) || fileExists(name)
  // Folders in memory only are not asked for.
  delete host.directoryExists
  host.readFile = (name) => files.get(name) ?? readFile(name)
  const program = ts.createProgram(
    [...files.keys()].filter((f) => f.endsWith('.ts')),
    options,
    host,
  )
  // Of these files only: to check the library's own declarations takes most of a second each time.
  const mine = program.getSourceFiles().filter((f) => files.has(f.fileName))
  const found = mine.flatMap((f) => [...program.getSyntacticDiagnostics(f), ...program.getSemanticDiagnostics(f)])
  return [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(), ...found].map(
    (d) =>
      `${d.file?.fileName}:${d.file?.getLineAndCharacterOfPosition(d.start ?? 0).line}: ${ts.flattenDiagnosticMessageText(d.messageText, '\n')}`,
  )
}
