/** The name that is nearest to the given one; null when none is near. */
export function nearestName(given: string, names: readonly string[]): string | null {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(Math.max(given.length, name.length) / 3)))
    .sort((a, b) => a.distance - b.distance)
  return ranked[0]?.name ?? null
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
