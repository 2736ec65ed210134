/** @typedef {{ file: string, title: string, what: string, why: string | null, inCi: boolean }} Skip see test/support/needs.ts */

/**
 * What was skipped, as lines: what was missing, why, and how much of which file needs it.
 *
 * @param {readonly Skip[]} skips
 * @param {boolean} ci
 * @returns {{ lines: string[], failed: boolean }} `failed`: something is missing that CI has to have
 */
export function summary(skips, ci) {
  const lines = []
  let failed = false
  for (const what of new Set(skips.map((skip) => skip.what))) {
    const of = skips.filter((skip) => skip.what === what)
    const required = ci && of.some(({ inCi }) => inCi)
    failed ||= required
    const tests = of.length === 1 ? '1 test was' : `${of.length} tests were`
    lines.push('', `${tests} skipped, for lack of ${what}${required ? ' (CI has to have it)' : ''}:`)
    for (const why of new Set(of.map((skip) => skip.why))) if (why) lines.push(`  ${why.replaceAll('\n', '\n  ')}`)
    for (const file of new Set(of.map((skip) => skip.file))) {
      const titles = of.filter((skip) => skip.file === file).map(({ title }) => title)
      lines.push(`  ${file}: ${titles.length === 1 ? titles[0] : `${titles.length} tests`}`)
    }
  }
  return { lines, failed }
}
