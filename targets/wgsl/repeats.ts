/**
 * Lines that follow each other and differ in numbers only, by the same steps: the sums of a thread, row after row. In a template literal they are
 * written once, for row `i`.
 */

/** A word as what it begins with and the number at its end; a parameter of the literal has none. */
interface Word {
  readonly stem: string
  readonly number: number | undefined
}
function wordsOf(text: string): { readonly words: readonly Word[]; readonly between: readonly string[] } {
  const words: Word[] = []
  const between: string[] = []
  let from = 0
  for (const { 0: word, index } of text.matchAll(/\$\{\w+\}|(?<![\w.])[A-Za-z_]\w*|(?<![\w.])\d+(?![\w.])/g)) {
    const [, stem, digits] = /^(.*?)(0|[1-9]\d*)?$/.exec(word)!
    between.push(text.slice(from, index))
    words.push({ stem, number: digits === undefined ? undefined : Number(digits) })
    from = index + word.length
  }
  return { words, between: [...between, text.slice(from)] }
}

/** A line by its words, and what lines have in common that differ in numbers only. */
interface Line extends ReturnType<typeof wordsOf> {
  readonly key: string
}
function lineOf(text: string): Line {
  const { words, between } = wordsOf(text)
  const stems = words.map((w) => `${w.stem}${w.number === undefined ? '' : '0'}`)
  return { words, between, key: [...between, ...stems].join('\0') }
}

/** How many groups of `size` lines from `at` on are alike, and the steps of their numbers. */
function runOf(
  lines: readonly Line[],
  at: number,
  size: number,
): { readonly count: number; readonly steps: readonly number[] } {
  const group = (n: number) => lines.slice(at + n * size, at + (n + 1) * size)
  const words = (of: readonly Line[]) => of.flatMap((l) => l.words)
  const first = group(0)
  let steps: readonly number[] = []
  for (let count = 1; ; count++) {
    if (at + (count + 1) * size > lines.length) return { count, steps }
    const next = group(count)
    if (!next.every((l, i) => l.key === first[i].key)) return { count, steps }
    const from = words(first)
    const moved = words(next).map((w, i) => (w.number ?? 0) - (from[i].number ?? 0))
    if (count === 1) steps = moved
    if (moved.every((d) => d === 0) || moved.some((d, i) => d !== count * steps[i])) return { count, steps }
  }
}

const times = (step: number): string => (step === 1 ? 'i' : `${step} * i`)
const plus = (n: number): string => (n === 0 ? '' : n < 0 ? ` - ${-n}` : ` + ${n}`)

/** A call of the function `name` instead of lines that repeat, within a template literal. `content` has no backquotes. */
export function withRepeats(content: string, name: string): string {
  if (content.includes('\\')) return content
  const lines = content.split('\n')
  const parsed = lines.map(lineOf)
  const made: string[] = []
  for (let at = 0; at < lines.length;) {
    let best = { text: '', saved: 120, lines: 0 }
    for (let size = 1; at > 0 && size <= 4; size++) {
      const { count, steps } = runOf(parsed, at, size)
      if (count < 3) continue
      const group = lines.slice(at, at + size).join('\n')
      const { words, between } = wordsOf(group)
      const lead = words.findIndex((w, i) => w.stem !== '' && steps[i] === 1)
      const from = lead < 0 ? 0 : words[lead].number!
      const body = words.map(({ stem, number }, i) => {
        const step = steps[i]
        const value = step === 0 ? `${number ?? ''}` : `\${${times(step)}${plus(number! - step * from)}}`
        return `${between[i]}${stem}${value}`
      })
      const text = `\${${name}(${from}, ${from + count}, (i) => \`\n${body.join('')}${between.at(-1)!}\`)}`
      const saved = count * (group.length + 1) - text.length
      if (saved > best.saved) best = { text, saved, lines: count * size }
    }
    if (best.lines === 0) made.push(lines[at++])
    else {
      // The call stands at the end of the line before: each group begins with a line break.
      made.push(`${made.pop() ?? ''}${best.text}`)
      at += best.lines
    }
  }
  return made.join('\n')
}

/** The function that such calls call. */
export const repeatLines = (name: string, type: (t: string) => string): string[] => [
  `const ${name} = (from${type('number')}, to${type('number')}, lines${type('(i: number) => string')})${type('string')} =>`,
  `  Array.from({ length: to - from }, (_, i) => lines(from + i)).join('')`,
  '',
]
