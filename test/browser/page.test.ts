/** The page of examples/web, as it was built, in Chromium: by keyboard, light and dark, on a phone, with and without WebGPU and isolation. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/package-root.ts'
import { openBrowser } from './support/chromium.ts'
import { openPage, type Watched } from './support/page.ts'
import { serve, type Served } from './support/serve.ts'

const dist = join(packageRoot(), 'examples', 'web', 'dist')

let browser: Browser
let isolated: Served
const opened: Watched[] = []
beforeAll(async () => {
  if (!existsSync(join(dist, 'index.html'))) throw new Error('examples/web is not built: npm run web')
  browser = await openBrowser()
  isolated = await serve(dist, { isolated: true })
})
afterEach(async () => {
  const said = opened.flatMap(({ complaints }) => complaints)
  for (const { close } of opened.splice(0)) await close()
  expect(said).toEqual([])
})
afterAll(async () => {
  await browser?.close()
  isolated?.close()
})

async function open(options: BrowserContextOptions = {}, on = isolated, from = browser): Promise<Page> {
  const watched = await openPage(from, `${on.url}/`, options)
  opened.push(watched)
  await watched.page.waitForSelector('[data-ready]')
  return watched.page
}
const finished = (page: Page) => page.waitForSelector('#generate:enabled')
const textOf = (page: Page, target: string) => page.locator(`#text-${target} output`).innerText()

describe('by keyboard alone', () => {
  /** Presses Tab until the element has the focus. */
  async function tabTo(page: Page, selector: string): Promise<void> {
    for (let i = 0; i < 30; i++) {
      if (await page.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`)) return
      await page.keyboard.press('Tab')
    }
    throw new Error(`Tab does not reach ${selector}`)
  }

  test('each target writes, and the focus stays where one can go on', async () => {
    const page = await open()
    await tabTo(page, '#tokens')
    await page.keyboard.type('12')
    const texts = new Set<string>()
    for (const [i, target] of ['wgsl', 'wasm', 'typescript'].entries()) {
      await page.evaluate('document.activeElement.blur()')
      await tabTo(page, '[name=target]')
      if (i > 0) await page.keyboard.press('ArrowDown')
      expect(await page.locator('[name=target]:checked').getAttribute('value')).toBe(target)
      await tabTo(page, '#generate')
      await page.keyboard.press('Enter')
      await finished(page)
      expect(await page.locator('#status').innerText()).toMatch(/: done, 12 tokens, [\d.]+ tokens\/s/)
      expect(await page.evaluate<string>('document.activeElement.id')).toBe('generate')
      texts.add(await textOf(page, target))
    }
    const [text, ...others] = texts
    expect(text).toMatch(/^ROMEO:\n\w/)
    expect(others).toEqual([])
  })

  test('a text is stopped, and the kernels are tested', async () => {
    const page = await open()
    await page.fill('#tokens', '240')
    await tabTo(page, '#generate')
    await page.keyboard.press('Enter')
    await page.locator('.rate', { hasText: /token \d/ }).waitFor()
    expect(await page.evaluate<string>('document.activeElement.id')).toBe('stop')
    await page.keyboard.press('Enter')
    await finished(page)
    expect(await page.locator('#status').innerText()).toMatch(/WGSL: stopped, \d+ tokens/)
    const rows = page.locator('#kernels tr')
    expect(await rows.count()).toBeGreaterThan(5)
    await tabTo(page, '#selftest')
    await page.keyboard.press('Enter')
    await finished(page)
    expect(await page.locator('#status').innerText()).toMatch(/\d+ kernels of WGSL are right on this device/)
    const texts = await rows.allInnerTexts()
    for (const row of texts) expect(row).toMatch(/^\w+\s+([\d,]+|–)\s+([\d,]+|–)\s+(ok, \d+ % of its bound|none)$/)
    expect(texts.filter((row) => /\s[\d,]+\s+[\d,]+\s+ok/.test(row)).length).toBeGreaterThan(5)
  })
})

test('the targets are compared on the same prompt and seed, and agree', async () => {
  const page = await open()
  await page.fill('#tokens', '16')
  await page.fill('#text', 'JULIET:\nGood night, ')
  await page.click('#compare')
  await finished(page)
  expect(await page.locator('#verdict').innerText()).toBe('All 3 targets give the same 16 tokens.')
  for (const rate of await page.locator('.rate').allInnerTexts())
    expect(rate).toMatch(/^[\d.]+ tokens\/s; first after [\d.]+ m?s with loading; 16 tokens$/)
})

test('numbers are translated; words that are none are refused by name', async () => {
  const page = await open()
  await page.check('[value=translate]')
  await page.click('#compare')
  await finished(page)
  for (const target of ['wgsl', 'wasm', 'typescript'])
    expect(await textOf(page, target)).toBe('two hundred and thirty four thousand five hundred and six')
  expect(await page.locator('#verdict').innerText()).toMatch(/^All 3 targets give the same \d+ tokens\.$/)
  await page.fill('#text', 'dos perros')
  await page.click('#generate')
  await finished(page)
  expect(await page.locator('#error').innerText()).toBe('not a Spanish number word that it knows: perros')
})

test.each(['light', 'dark'] as const)('%s: words stand out from what is behind them', async (colorScheme) => {
  const page = await open({ colorScheme })
  const colours = await page.evaluate<readonly (readonly [string, string])[]>(`
    ['body', 'small', '#generate', 'legend', '#phase', 'caption'].map((selector) => {
      const element = document.querySelector(selector)
      let behind = element
      while (behind.parentElement && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement
      return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
    })`)
  /** WCAG 2.2: relative luminance. */
  const luminance = (colour: string): number => {
    const [r, g, b] = colour.match(/[\d.]+/g)!.map((c) => (+c / 255 <= 0.04045 ? +c / 255 / 12.92 : ((+c / 255 + 0.055) / 1.055) ** 2.4)) // prettier-ignore
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const pairs = colours.map((pair) => pair.map(luminance))
  for (const [a, b] of pairs) expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toBeGreaterThan(4.5)
  const [[ink, paper]] = pairs
  expect(ink < paper).toBe(colorScheme === 'light')
})

test('on a phone nothing is wider than the screen, and all can be reached by touch', async () => {
  const page = await open({ viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true })
  await page.fill('#tokens', '8')
  await page.tap('#generate')
  await finished(page)
  const [wide, screen] = await page.evaluate<[number, number]>('[document.documentElement.scrollWidth, innerWidth]')
  expect(wide).toBeLessThanOrEqual(screen)
  for (const button of await page.locator('button:visible').all())
    expect((await button.boundingBox())!.height).toBeGreaterThanOrEqual(44)
})

test('every control has a name, and what changes is announced', async () => {
  const page = await open()
  const unnamed = await page.evaluate<string[]>(`
    [...document.querySelectorAll('input, textarea, button, progress, table, [role=region]')]
      .filter((e) => !(e.labels?.length || e.textContent.trim() || e.caption || e.getAttribute('aria-labelledby')))
      .map((e) => e.outerHTML)`)
  expect(unnamed).toEqual([])
  expect(await page.locator('[role=status], [role=alert]').count()).toBe(2)
  expect(await page.locator('html').getAttribute('lang')).toBe('en')
})

test('a processor that plays the graphics card is named', async () => {
  const page = await open()
  expect(await page.locator('#notes').innerText()).toBe(
    'No graphics card: WebGPU is played by the processor here, so WGSL will be slow.',
  )
})

test('without isolation one thread computes, and the page says so', async () => {
  const plain = await serve(dist, { isolated: false })
  try {
    const page = await open({}, plain)
    expect(await page.locator('#notes').innerText()).toMatch(/^One thread: the page is not cross-origin isolated/m)
    await page.check('[value=wasm]')
    await page.fill('#tokens', '4')
    await page.click('#generate')
    await finished(page)
    expect(await textOf(page, 'wasm')).toMatch(/^ROMEO:\n\w/)
  } finally {
    plain.close()
  }
})

test('without WebGPU the page chooses WebAssembly, and says so', async () => {
  const none = await openBrowser({ gpu: false })
  try {
    const page = await open({}, isolated, none)
    expect(await page.locator('#notes').innerText()).toMatch(/^No WebGPU: .*WebAssembly is chosen\.$/)
    expect(await page.locator('[name=target]:checked').getAttribute('value')).toBe('wasm')
    expect(await page.locator('[value=wgsl]').isDisabled()).toBe(true)
    await page.fill('#tokens', '4')
    await page.click('#compare')
    await finished(page)
    expect(await page.locator('#verdict').innerText()).toBe('All 2 targets give the same 4 tokens.')
  } finally {
    await none.close()
  }
})

test('the page transfers at most 120 KB beside the weights, compressed, with both models on all targets; all of its own server', async () => {
  isolated.asked.length = 0
  const page = await open()
  const hosts = new Set<string>()
  page.on('request', (request) => hosts.add(new URL(request.url()).host))
  await page.fill('#tokens', '2')
  const sizes = new Map<string, number>()
  /** Bytes of what was asked for so far. */
  const transferred = (): number => {
    for (const path of isolated.asked)
      if (!path.endsWith('.safetensors')) sizes.set(path, gzipSync(readFileSync(join(dist, path)), { level: 9 }).length)
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  }
  await page.click('#generate')
  await finished(page)
  const one = transferred()
  await page.click('#compare')
  await finished(page)
  const all = transferred()
  await page.check('[value=translate]')
  await page.click('#compare')
  await finished(page)
  const both = transferred()
  const list = [...sizes]
    .toSorted((a, b) => b[1] - a[1])
    .map(([path, bytes]) => `${path.replace('/assets/', '')} ${bytes}`)
  console.log(
    `the page transfers, in bytes beside the weights: ${one} for Shakespeare on WGSL, ${all} on all targets, ${both} with translation on all too (${list.join(', ')})`,
  )
  expect(sizes.size).toBeGreaterThan(9)
  // Nothing else is there to ask for, but for the WebAssembly of browsers without relaxed SIMD instead of the one that was asked for.
  expect(both).toBeLessThan(120_000)
  expect([...hosts]).toEqual([new URL(isolated.url).host])
  // Weights are read once, whatever the number of targets: the browser keeps what was read to its end.
  expect(isolated.asked.filter((path) => path.endsWith('.safetensors')).length).toBe(2)
})

test('load to first token, and the longest task of the page (figures)', async () => {
  const page = await open()
  await page.evaluate(`
    globalThis.tasks = [0]
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: true })`)
  await page.fill('#tokens', '12')
  await page.click('#generate')
  await finished(page)
  const said = await page.locator('.rate').innerText()
  const longest = await page.evaluate<number>('Math.max(...tasks)')
  console.log(
    `shakespeare on WGSL, load to first token in the page: ${said}; longest task of the page: ${longest.toFixed(0)} ms`,
  )
  expect(said).toMatch(/first after [\d.]+ m?s with loading/)
})
