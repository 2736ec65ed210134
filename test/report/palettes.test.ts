import test from 'ava'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../lib/base/paths.js'
import { needing, orMissing } from '../support/needs.js'
import { temporaryFolder } from '../support/package-copy.js'
import { runPython } from '../support/python.js'
import { pythonPackages } from '../support/python-packages.js'

interface Palettes {
  readonly palettes: Readonly<Record<string, { readonly table: Uint8ClampedArray }>>
  readonly colourAt: (value: number) => number
}

const python = await orMissing('packages', pythonPackages)
const { palettes, colourAt } = (await import(
  pathToFileURL(join(packageRoot, 'assets', 'report', 'palettes.js')).href
)) as Palettes
/** Those of the pages, and what matplotlib calls them. */
const names = { jet: 'jet', viridis: 'viridis', grey: 'gray', bwr: 'bwr' }

needing('packages', python)('the colour maps of the pages are matplotlib’s, to the nearest byte', async (t) => {
  t.deepEqual(Object.keys(palettes), Object.keys(names))
  const env = { ...python?.env, MPLCONFIGDIR: temporaryFolder(t) }
  const peer = JSON.parse(
    await runPython({ ...(python as NonNullable<typeof python>), env }, 'palettes.py', Object.values(names)),
  ) as Record<string, number[][]>
  for (const [own, theirs] of Object.entries(names)) {
    const expected = (peer[theirs] as number[][]).flat().map((share) => share * 255)
    const table = palettes[own]?.table ?? []
    t.is(table.length, 768)
    // Half a level, and what the sums that a linear segment is computed by round to.
    for (const [i, level] of expected.entries())
      t.true(Math.abs((table[i] as number) - level) <= 0.5 + 1e-6, `${own}: ${table[i]} at ${i} is not ${level}`)
  }
})

test('a value gets the colour that the library gives it', (t) => {
  for (const [value, colour] of [
    [-1, 0],
    [0, 0],
    [1 / 256 - 1e-9, 0],
    [1 / 256, 1],
    [0.5, 128],
    [1, 255],
    [2, 255],
  ] as const)
    t.is(colourAt(value), colour)
})
