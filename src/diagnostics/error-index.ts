import { catalogue, ranges } from './catalogue.ts'

/** `docs/errors.md`: every code with what it means and what provokes it. */
export function errorIndex(): string {
  const lines = [
    '# Error index',
    '',
    'Made from the catalogue (`src/diagnostics/catalogue/`); `npm run snapshots` writes it anew.',
    '',
  ]
  for (const [range, title] of Object.entries(ranges)) {
    const entries = catalogue().filter((entry) => entry.code.startsWith(`TFM${range}`))
    if (entries.length === 0) continue
    lines.push(`## ${range}xx: ${title}`, '')
    for (const entry of entries) {
      const kind = entry.severity === 'warning' ? ' (warning)' : ''
      lines.push(`### ${entry.code}: ${entry.title}${kind}`, '', entry.explain, '', '```', entry.example, '```', '')
    }
  }
  return `${lines.join('\n').trimEnd()}\n`
}
