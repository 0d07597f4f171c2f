import type { Artifact } from '../../src/target.ts'

/** Artifacts as prettier lays them out. For files that people keep; takes longer than all of the compiler, so not for use in process. */
export async function formatArtifacts(artifacts: readonly Artifact[]): Promise<Artifact[]> {
  const { format } = await import('prettier')
  return Promise.all(
    artifacts.map(async ({ path, text }) => {
      const parser = /\.(ts|mts)$/.test(path) ? 'typescript' : 'babel'
      return { path, text: await format(text, { parser, semi: false, singleQuote: true, printWidth: 120 }) }
    }),
  )
}
