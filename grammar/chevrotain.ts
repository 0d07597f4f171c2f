/**
 * Chevrotain from its one-file build where there is one: its entry point loads some 350 files, which takes longer than compiling a model.
 * Elsewhere (bundlers, browsers) the entry point.
 */
async function load(): Promise<typeof import('chevrotain')> {
  try {
    const bundle = new URL('../chevrotain.mjs', import.meta.resolve('chevrotain'))
    return (await import(/* @vite-ignore */ bundle.href)) as typeof import('chevrotain')
  } catch {
    return import('chevrotain')
  }
}

export const { CstParser, EOF, Lexer, createToken, createTokenInstance, tokenLabel, tokenMatcher } = await load()
