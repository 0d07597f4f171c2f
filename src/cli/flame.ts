/** A profile as a picture: programs, the layers in them and the kernels in those, as wide as they take time. One SVG, light and dark. */
import type { Kind, Profile, ProfiledDispatch, ProfiledKernel, ProfiledProgram } from './profile.ts'

const WIDTH = 1200
const MARGIN = 24
const ROW = 24
const INNER = WIDTH - 2 * MARGIN
/** Of one letter, in a font of 12 px; rather more than less. */
const LETTER = 7
/** Groups beyond this many side by side are drawn as one. */
const MANY_GROUPS = 48
const MOST_BARS = 16

interface Frame {
  readonly name: string
  readonly kind: Kind | 'group'
  readonly milliseconds: number
  readonly about: string
  readonly children: readonly Frame[]
}

const kindNames: Readonly<Record<Kind, string>> = {
  contraction: 'contractions',
  rows: 'norms, softmax and other rows',
  carried: 'attention and other carried reductions',
  map: 'pointwise',
  other: 'of the target',
}

/** Text in XML: what would be markup is escaped, what XML does not allow is left out. */
export const escapeXml = (text: string): string =>
  text
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '')
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`) // prettier-ignore

/** Milliseconds as people read them. */
export const time = (ms: number): string =>
  ms >= 1 ? `${Number(ms.toPrecision(3))} ms` : `${Number((1000 * ms).toPrecision(3))} µs`

/** The picture of a profile whose kernels were timed. */
export function flameSvg(profile: Profile): string {
  const { model, target, device, ceilings, programs } = profile
  const out: string[] = []
  let y = MARGIN + 20
  const text = (x: number, at: number, words: string, kind = ''): void =>
    void out.push(`<text x="${round(x)}" y="${round(at)}"${kind === '' ? '' : ` class="${kind}"`}>${escapeXml(words)}</text>`) // prettier-ignore
  text(MARGIN, y, `${model} on ${target}`, 'title')
  y += 20
  const limits = ceilings ? `; copies at ${rate(ceilings.copy)}B/s, multiplies and adds at ${rate(ceilings.arithmetic)}FLOP/s` : '' // prettier-ignore
  text(MARGIN, y, `${device}${limits}`, 'dim')
  y += 24
  const kinds = new Set(programs.flatMap((p) => p.kernels.map((k) => k.kind)))
  let x = MARGIN
  for (const kind of (Object.keys(kindNames) as Kind[]).filter((k) => kinds.has(k))) {
    out.push(`<rect x="${x}" y="${y - 11}" width="12" height="12" rx="2" class="${kind}"/>`)
    text(x + 18, y, kindNames[kind], 'dim')
    x += 34 + kindNames[kind].length * LETTER
  }
  y += 16
  for (const program of programs) {
    if (program.dispatches.length === 0) continue
    y = drawProgram(program, profile, out, y + 16, text)
  }
  const height = Math.ceil(y + MARGIN)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(`Profile of ${model} on ${target}`)}">`,
    `<title>${escapeXml(`Profile of ${model} on ${target}`)}</title>`,
    `<style>${style}</style>`,
    `<rect width="${WIDTH}" height="${height}" class="paper"/>`,
    ...out,
    '</svg>',
    '',
  ].join('\n')
}

const style = [
  'text{font:12px system-ui,sans-serif;fill:#1b1f24}.title{font-size:17px;font-weight:600}.head{font-size:14px;font-weight:600}.dim{fill:#57606a}.on{pointer-events:none}',
  '.end{text-anchor:end}.paper{fill:#fff}.group{fill:#e4e8ec}.contraction{fill:#9cc7f5}.rows{fill:#a5dba0}.carried{fill:#f8c27c}.map{fill:#d3b8ee}.other{fill:#cfd4d9}.track{fill:#f1f3f5}',
  'rect{stroke:none}.frame{stroke:#fff;stroke-width:1}.frame:hover{stroke:#1b1f24}',
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9aa5b1}.paper{fill:#14181d}.group{fill:#2d343c}.contraction{fill:#1f4f82}.rows{fill:#2b5f2b}.carried{fill:#7a4a10}.map{fill:#54367a}.other{fill:#444c55}.track{fill:#1d232a}.frame{stroke:#14181d}.frame:hover{stroke:#e6edf3}}',
].join('') // prettier-ignore

function drawProgram(
  p: ProfiledProgram,
  profile: Profile,
  out: string[],
  top: number,
  text: (x: number, y: number, words: string, kind?: string) => void,
): number {
  const sizes = Object.entries(p.dims).map(([name, n]) => `${name} = ${n}`).join(', ') // prettier-ignore
  const root = framesOf(p)
  let y = top + 12
  text(MARGIN, y, p.program, 'head')
  const words = `${sizes}; ${time(root.milliseconds)} in ${p.dispatches.length} dispatches, ${time(p.call.best)} a call`
  text(MARGIN + p.program.length * 9 + 12, y, words, 'dim')
  y += 10
  const depth = drawFrame(root, root.milliseconds, MARGIN, INNER, y, out, text)
  y += depth * ROW + 14
  const shown = p.kernels.slice(0, MOST_BARS)
  const longest = Math.max(...shown.map((k) => k.milliseconds), 1e-9)
  const [names, bars] = [260, 430]
  for (const k of shown) {
    const about = `${k.calls}×, ${time(k.milliseconds)}, ${share(k.milliseconds, root.milliseconds)}${against(k, profile)}`
    text(MARGIN, y + 12, cut(k.name, names - 10))
    out.push(`<rect x="${MARGIN + names}" y="${y}" width="${bars}" height="16" rx="2" class="track"/>`)
    const width = Math.max(1, (bars * k.milliseconds) / longest)
    out.push(`<rect x="${MARGIN + names}" y="${y}" width="${round(width)}" height="16" rx="2" class="${k.kind}"/>`)
    text(MARGIN + names + bars + 10, y + 12, about, 'dim')
    y += 20
  }
  const rest = p.kernels.slice(MOST_BARS)
  if (rest.length > 0) {
    const ms = rest.reduce((sum, k) => sum + k.milliseconds, 0)
    text(MARGIN, y + 12, `and ${rest.length} more: ${time(ms)}, ${share(ms, root.milliseconds)}`, 'dim')
    y += 20
  }
  return y
}

/** A frame with those inside it below; gives how many rows that took. */
function drawFrame(
  frame: Frame,
  whole: number,
  x: number,
  width: number,
  y: number,
  out: string[],
  text: (x: number, y: number, words: string, kind?: string) => void,
): number {
  const title = `${frame.name}: ${time(frame.milliseconds)}, ${share(frame.milliseconds, whole)}${frame.about}`
  out.push(
    `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${ROW - 2}" class="frame ${frame.kind}"><title>${escapeXml(title)}</title></rect>`,
  )
  const words = cut(frame.name, width - 10)
  if (words !== '') text(x + 5, y + 15, words, 'on')
  let deepest = 0
  let at = x
  for (const child of frame.children) {
    const own = frame.milliseconds > 0 ? (width * child.milliseconds) / frame.milliseconds : 0
    // What is narrower than a hair is not drawn, nor what is in it.
    if (own >= 0.2) deepest = Math.max(deepest, drawFrame(child, whole, at, own, y + ROW, out, text))
    at += own
  }
  return 1 + deepest
}

/** A program's dispatches as a tree: layers around kernels. */
function framesOf(p: ProfiledProgram): Frame {
  return frameOf(p.program, p.dispatches, 0)
}
function frameOf(name: string, dispatches: readonly ProfiledDispatch[], depth: number): Frame {
  const runs: { readonly within: string | undefined; readonly own: ProfiledDispatch[] }[] = []
  for (const d of dispatches) {
    const within = d.within[depth]
    const last = runs[runs.length - 1]
    if (last && within !== undefined && last.within === within) last.own.push(d)
    else runs.push({ within, own: [d] })
  }
  const groups = runs.filter((r) => r.within !== undefined)
  const together = groups.length > MANY_GROUPS
  const children = runs.flatMap((r): Frame[] => {
    if (r.within === undefined) return r.own.map(leaf)
    if (!together) return [frameOf(r.within, r.own, depth + 1)]
    const name = `${r.within} … ${groups[groups.length - 1].within}`
    return r === groups[0] ? [merged(name, groups.flatMap((g) => g.own))] : [] // prettier-ignore
  })
  return { name, kind: 'group', milliseconds: sum(children), about: '', children }
}
const sum = (frames: readonly Frame[]): number => frames.reduce((ms, f) => ms + f.milliseconds, 0)
const leaf = (d: ProfiledDispatch): Frame => ({
  name: d.name,
  kind: d.kind,
  milliseconds: d.milliseconds,
  about: [d.entry === undefined || d.entry === '' ? '' : `, ${d.entry}`, d.groups ? `, ${d.groups.filter((n, i) => i === 0 || n > 1).join(' × ')} workgroups` : ''].join(''),
  children: [],
}) // prettier-ignore
/** Many groups as one: each kernel once. */
function merged(name: string, dispatches: readonly ProfiledDispatch[]): Frame {
  const byName = new Map<string, Frame>()
  for (const d of dispatches) {
    const known = byName.get(d.name)
    byName.set(d.name, { ...leaf(d), about: '', milliseconds: d.milliseconds + (known?.milliseconds ?? 0) })
  }
  const children = [...byName.values()]
  return { name, kind: 'group', milliseconds: sum(children), about: '', children }
}

/** Rates of a kernel, and what part of the machine's they are. */
export function against({ milliseconds: ms, bytes, flops }: ProfiledKernel, { ceilings }: Profile): string {
  if (ms <= 0 || bytes + flops === 0) return ''
  const [copy, arithmetic] = [bytes, flops].map((n) => (1000 * n) / ms)
  const part = (own: number, most: number | undefined): string => most === undefined ? '' : ` (${Math.round((100 * own) / most)} %)` // prettier-ignore
  return `, ${rate(copy)}B/s${part(copy, ceilings?.copy)}, ${rate(arithmetic)}FLOP/s${part(arithmetic, ceilings?.arithmetic)}`
}

/** `12.3 G`: three digits of so many a second. */
export function rate(n: number): string {
  const [unit, size] = n >= 1e12 ? ['T', 1e12] : n >= 1e9 ? ['G', 1e9] : ['M', 1e6]
  return `${Number((n / size).toPrecision(3))} ${unit}`
}
const share = (part: number, whole: number): string =>
  `${Number(((100 * part) / Math.max(whole, 1e-9)).toPrecision(2))} %`
const round = (x: number): number => Math.round(100 * x) / 100
/** As much of a name as fits; nothing where too little does. */
function cut(name: string, width: number): string {
  const room = Math.floor(width / LETTER)
  const letters = [...name]
  if (letters.length <= room) return name
  return room < 4 ? '' : `${letters.slice(0, room - 1).join('')}…`
}
