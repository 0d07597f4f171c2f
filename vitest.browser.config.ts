import { defineConfig } from 'vitest/config'

/** `npm run test:browser`: what runs in Chromium. One file after the other: they would share two cores with the browsers. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default'],
    passWithNoTests: false,
  },
})
