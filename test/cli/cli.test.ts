/** What holds for every command: help, usage errors, JSON, colour, exit codes, interruption. */
import { describe, expect, test } from 'vitest'
import { commandNames } from '../../src/cli/program.ts'
import { Interrupted } from '../../src/cli/signals.ts'
import { contents, example, folder, json, tfmc, tiny } from './support.ts'

describe('help', () => {
  test('lists the commands', async () => {
    const { code, out, err } = await tfmc(['--help'])
    expect(code).toBe(0)
    expect(err).toBe('')
    for (const name of commandNames) expect(out).toContain(`  ${name} `)
  })
  test.each(commandNames)('of %s has examples', async (name) => {
    const { code, out } = await tfmc([name, '--help'])
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`Examples:\\n  tfmc ${name}`))
    expect(out).toContain('--json')
  })
  test('without arguments goes to stderr, with exit code 2', async () => {
    const { code, out, err } = await tfmc([])
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('Usage: tfmc')
  })
  test('version', async () => {
    expect(await tfmc(['--version'])).toEqual({ code: 0, out: '0.1.0\n', err: '' })
  })
})

test('compile says why there is no step', async () => {
  const source = 'model m { sequence T; input x: f32[B, T]; output y = flip(x, axis = 1) }'
  const cwd = await folder({ 'm.tfm': source })
  const { code, err } = await tfmc(['compile', 'm.tfm', '--no-format'], { cwd })
  expect(code).toBe(0)
  expect(err).toMatch(/without prefill and step: `flip` looks ahead along the sequence.*m\.tfm:1:/)
})

describe('usage', () => {
  const wrong: [string, string[], RegExp][] = [
    ['unknown command', ['chek', 'a.tfm'], /unknown command 'chek'[\s\S]*check/],
    ['unknown option', ['check', 'a.tfm', '--explian'], /unknown option '--explian'[\s\S]*--explain/],
    ['missing argument', ['check'], /missing required argument 'file'/],
    ['--set without a value', ['check', 'a.tfm', '--set', 'heads'], /--set takes name=value, not 'heads'/],
    ['--dims', ['run', 'a.tfm', '--dims', 'T:3'], /--dims takes sizes such as T=16,B=2, not 'T:3'/],
    ['a number', ['run', 'a.tfm', '--seed', 'x'], /'x' is not a whole number/],
    ['a target', ['compile', example('preln-layer'), '--target', 'cuda'], /no target 'cuda'; choose among typescript, wgsl/],
    ['a level', ['ir', 'a.tfm', '--at', 'x'], /Allowed choices are ast, graph/],
    ['a pass', ['ir', 'a.tfm', '--after', 'x'], /no pass 'x'; the passes are fold,/],
  ] // prettier-ignore
  test.each(wrong)('%s', async (_, argv, message) => {
    const { code, out, err } = await tfmc(argv)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(message)
    const asJson = await json(argv)
    expect(asJson.code).toBe(2)
    expect(asJson.err).toBe('')
    expect(asJson.data).toMatchObject({ ok: false, diagnostics: [{ code: 'TFM2201' }] })
  })
})

describe('colour', () => {
  const ansi = /\u001b\[/
  const check = (tty: boolean, env: Record<string, string>) => tfmc(['check', example('preln-layer')], { tty, env })
  test('on terminals, unless NO_COLOR; elsewhere only with FORCE_COLOR', async () => {
    expect((await check(true, {})).out).toMatch(ansi)
    expect((await check(false, {})).out).not.toMatch(ansi)
    expect((await check(true, { NO_COLOR: '1' })).out).not.toMatch(ansi)
    expect((await check(false, { FORCE_COLOR: '1' })).out).toMatch(ansi)
    expect((await check(true, { FORCE_COLOR: '0' })).out).not.toMatch(ansi)
    expect((await check(true, { TERM: 'dumb' })).out).not.toMatch(ansi)
  })
})

describe('interruption', () => {
  test('ends a generation with exit code 130', async () => {
    const controller = new AbortController()
    const cwd = folder({ 'tiny.tfm': tiny })
    const ran = await tfmc(['generate', 'tiny.tfm', '--random-weights', '1', '--ids', '1', '-n', '9'], {
      cwd,
      signal: controller.signal,
      onOut: (text) => /\d/.test(text) && controller.abort(new Interrupted(130)),
    })
    expect(ran.code).toBe(130)
    expect(ran.err).toBe('interrupted\n')
  })
  test('before anything is written', async () => {
    const cwd = folder({ 'tiny.tfm': tiny })
    const { code } = await tfmc(['compile', 'tiny.tfm'], { cwd, signal: AbortSignal.abort(new Interrupted(143)) })
    expect(code).toBe(143)
    expect(contents(cwd)).toEqual(['tiny.tfm'])
  })
})
