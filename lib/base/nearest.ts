/** The name that was most likely meant, or null when none is near: for "Did you mean ...?". */
export function nearestName(query: string, names: readonly string[]): string | null {
  const mostOff = (name: string): number => Math.max(1, Math.floor(Math.max(query.length, name.length) / 3))
  // Two texts are at least as far apart as their lengths, and to compare a very long one with all names takes seconds.
  const possible = names.filter((name) => Math.abs(query.length - name.length) <= mostOff(name))
  const near = ranked(query.toLowerCase(), possible, (name) => name.toLowerCase()).find(
    ({ name, distance }) => distance <= mostOff(name),
  )
  return near?.name ?? null
}

/**
 * The few paths that are most like one that does not exist, the nearest first. Paths are compared by their components from
 * the end: one that ends in what was asked for ('features.conv2' for 'conv2'), or in the end of it ('layer4.1' for
 * 'module.layer4.1'), comes before all others: that is most often what was meant. Python's ways to write a path, 'layer4[-1]',
 * are understood.
 */
export function nearestPaths(query: string, paths: readonly string[], count = 3): string[] {
  const asked = componentsOf(query, paths)
  const rank = new Map(paths.map((path) => [path, sharedEnd(asked, path.split('.'))]))
  const meant = paths
    .filter((path) => (rank.get(path) ?? 0) > 0)
    .sort((a, b) => (rank.get(b) ?? 0) - (rank.get(a) ?? 0))
  const best = rank.get(meant[0] ?? '') ?? 0
  const tails = ranked(
    query,
    meant.filter((path) => rank.get(path) === best),
  )
  const others = ranked(
    query,
    paths.filter((path) => rank.get(path) !== best || best === 0),
  )
  return [...tails, ...others].slice(0, count).map(({ name }) => name)
}

/** How many components two paths share at their ends, where the whole of the shorter one is shared; else 0. */
function sharedEnd(asked: readonly string[], path: readonly string[]): number {
  const most = Math.min(asked.length, path.length)
  for (let i = 1; i <= most; i++) if (asked.at(-i)?.toLowerCase() !== path.at(-i)?.toLowerCase()) return 0
  return most
}

/** The components of a path as it may be written in Python: indices in brackets, from the end where they are negative. */
function componentsOf(query: string, paths: readonly string[]): string[] {
  const components = query
    .replace(/\[(-?\d+)\]/g, '.$1')
    .split(/[./]/)
    .filter((component) => component !== '')
  return components.map((component, i) => {
    if (!/^-\d+$/.test(component)) return component
    const before = components[i - 1]
    const last = paths.flatMap((path) => {
      const parts = path.split('.')
      return parts.at(-2) === before && /^\d+$/.test(parts.at(-1) ?? '') ? [Number(parts.at(-1))] : []
    })
    return last.length === 0 ? component : String(Math.max(...last) + 1 + Number(component))
  })
}

/** By distance, then by name. */
function ranked(query: string, names: readonly string[], compared = (name: string) => name) {
  return names
    .map((name) => ({ name, distance: editDistance(query, compared(name)) }))
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
