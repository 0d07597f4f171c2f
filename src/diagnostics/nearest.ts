/**
 * Names that a user may have meant: optimal string alignment distance (insert, delete, replace, swap of neighbours), case ignored at half price.
 * Only names within a third of the length (at least one edit) count; the nearest first, then alphabetical.
 */
export function nearest(name: string, candidates: Iterable<string>, most = 3): string[] {
  if (name.length === 0 || name.length > 200) return []
  const limit = Math.max(1, Math.floor(name.length / 3))
  const found: { candidate: string; distance: number }[] = []
  for (const candidate of new Set(candidates)) {
    if (candidate === name || Math.abs(candidate.length - name.length) > limit) continue
    const distance =
      candidate.toLowerCase() === name.toLowerCase() ? 0.5 : editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance <= limit && distance < Math.max(candidate.length, name.length)) found.push({ candidate, distance })
  }
  found.sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
  return found.slice(0, most).map((entry) => entry.candidate)
}

export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** `did you mean a, b or c?`, or undefined when nothing is near. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const names = nearest(name, candidates)
  if (names.length === 0) return undefined
  const last = names[names.length - 1] ?? ''
  const listed = names.length === 1 ? last : `${names.slice(0, -1).join(', ')} or ${last}`
  return `did you mean ${listed}?`
}
