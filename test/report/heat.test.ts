// What the pages paint of a map, on a canvas that only remembers its pixels.
import test from 'ava'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { readFileSync } from 'node:fs'
import { packageRoot } from '../../lib/base/paths.js'
import { bundleModules } from '../../lib/report/bundle-modules.js'

const folder = join(packageRoot, 'assets', 'report')
const script = await bundleModules('entry.js', async (name) =>
  name === 'entry.js'
    ? "import { paintCells } from './heat.js'\nimport { palettes } from './palettes.js'\nuse(paintCells, palettes)"
    : readFileSync(join(folder, name), 'utf8'),
)

/** The colours of all pixels of a map of 3 x 3 cells that is painted in jet at 24 x 24. */
function coloursOf(cells: ArrayLike<number>): { readonly painted: Set<string>; readonly first: string } {
  let pixels = new Uint8ClampedArray()
  const context = {
    createImageData: (width: number, height: number) => ({
      data: (pixels = new Uint8ClampedArray(4 * width * height)),
    }),
    putImageData: () => {},
  }
  let first = ''
  const [low, high] = [Math.min(...Array.from(cells)), Math.max(...Array.from(cells))]
  runInNewContext(script, {
    document: { createElement: () => ({ getContext: () => context }) },
    Float32Array,
    atob,
    use(paintCells: (...given: unknown[]) => void, { jet }: { jet: { table: ArrayLike<number> } }) {
      first = [jet.table[0], jet.table[1], jet.table[2]].join()
      paintCells({ height: 3, width: 3, cells }, 24, 24, { low, high, table: jet.table })
    },
  })
  const painted = new Set<string>()
  for (let at = 0; at < pixels.length; at += 4) painted.add(pixels.slice(at, at + 3).join())
  return { painted, first }
}

test('a map that varies is painted in many colours, however small its values are', (t) => {
  t.true(coloursOf([0, 1, 2, 3, 4, 5, 6, 7, 8]).painted.size > 50)
  t.true(coloursOf([0, 1, 2, 3, 4, 5, 6, 7, 8].map((value) => value * 1e-12)).painted.size > 50)
  t.true(coloursOf([1000, 1000.5, 1001, 1001, 1002, 1003, 1003, 1003, 1004]).painted.size > 50)
})

test('a map with one value is painted in the first colour, also where it differs by rounding', (t) => {
  const ulp = 2 ** -23
  for (const scale of [1, -1, 1e-5, 1e6])
    for (const cells of [Array<number>(9).fill(scale), [0, 1, 2, 3, 0, 1, 5, 2, 4].map((i) => scale * (1 + i * ulp))]) {
      const { painted, first } = coloursOf(Float32Array.from(cells))
      t.deepEqual([...painted], [first], `${scale}`)
    }
})
