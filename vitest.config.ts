import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Of `npm run test:browser`.
    exclude: ['test/browser/**'],
    globalSetup: ['test/support/global-setup.ts'],
    // Child processes: a native crash of the WebGPU binding then fails one file instead of taking the run with it.
    pool: 'forks',
    // By default a machine with two cores would get one worker.
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default'],
    passWithNoTests: false,
  },
})
