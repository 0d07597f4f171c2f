/** A page that watches itself: whatever it complains of fails the test that it was opened for. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

export interface Watched {
  readonly page: Page
  /** Errors, warnings of the console, and violations of the policy. */
  readonly complaints: string[]
  close(): Promise<void>
}

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`))
  await page.goto(url)
  return { page, complaints, close: () => context.close() }
}
