/** The name that was most likely meant, or null when none is near: for "Did you mean ...?". */
export function nearestName(wanted: string, names: readonly string[]): string | null {
  const near = ranked(wanted.toLowerCase(), names, (name) => name.toLowerCase()).find(
    ({ name, distance }) => distance <= Math.max(1, Math.floor(Math.max(wanted.length, name.length) / 3)),
  )
  return near?.name ?? null
}

/**
 * The few paths that are most like one that does not exist, the nearest first. A path that ends in what was asked for
 * ('features.conv2' for 'conv2') comes before all others: that is most often what was meant.
 */
export function nearestPaths(wanted: string, paths: readonly string[], count = 3): string[] {
  const isTail = (path: string) => wanted !== '' && path.endsWith(wanted)
  const tails = ranked(wanted, paths.filter(isTail))
  const others = ranked(
    wanted,
    paths.filter((path) => !isTail(path)),
  )
  return [...tails, ...others].slice(0, count).map(({ name }) => name)
}

/** By distance, then by name. */
function ranked(wanted: string, names: readonly string[], compared = (name: string) => name) {
  return names
    .map((name) => ({ name, distance: editDistance(wanted, compared(name)) }))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
}

/** The least number of characters to insert, delete or replace to make one text of the other (Levenshtein 1965). */
function editDistance(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let row = 0; row < from.length; row++) {
    const current = [row + 1]
    for (let at = 0; at < to.length; at++) {
      const replaced = (above[at] ?? 0) + (from[row] === to[at] ? 0 : 1)
      current.push(Math.min(replaced, (above[at + 1] ?? 0) + 1, (current[at] ?? 0) + 1))
    }
    above = current
  }
  return above[to.length] ?? 0
}
