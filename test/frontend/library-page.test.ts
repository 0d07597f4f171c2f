import { expect, test } from 'vitest'
import { libraryPage } from '../support/library-page.ts'

test('docs/library.md is current', async () => {
  await expect(libraryPage()).toMatchFileSnapshot('../../docs/library.md')
})
