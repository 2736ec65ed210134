import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import sharp from 'sharp'
import { packageRoot } from '../../lib/base/paths.js'
import { farthest } from '../support/arithmetic.js'
import { sampleModel } from '../support/batch.js'
import { decodeImage } from '../support/drawings.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'

const sample = join(packageRoot, 'samples', 'cat_dog.png')
const common = ['--model', sampleModel, '--layer', 'features', '--target', '1']

interface Line {
  readonly score: number
  readonly size: readonly [number, number]
  readonly peak: { readonly x: number; readonly y: number } | null
  readonly files: Record<string, string>
}

/**
 * The two compute the same numbers in another order (hooked, and split), which may move a value by one level; a level of
 * the map is up to 4 levels of one of its colours, of which an overlay shows half.
 */
const levels = { grey: 1, overlay: 2 }

for (const [what, preprocess, wide] of [
  ['the default', [], true],
  ['a preset that shows the whole image', ['--preprocess', 'letterbox'], true],
  ['JSON', ['--preprocess', '{"resize": [192, 160], "mean": 0.5, "std": 0.25}'], false],
] as const)
  test.serial(`explain makes of an image what batch does: ${what}`, async (t) => {
    const folder = temporaryFolder(t)
    const image = join(folder, 'image.png')
    // Not a square, so that cropping, padding and resizing differ.
    const [width, height] = wide ? [300, 180] : [130, 210]
    await sharp(sample).resize(width, height, { fit: 'cover' }).toFile(image)
    const one = gradcam(['explain', image, ...common, ...preprocess, '--out', join(folder, 'one'), '--json'])
    t.is(one.code, 0, one.stderr)
    const many = ['--write', 'overlay-png,grey', '--out', join(folder, 'many'), '--json']
    const batch = gradcam(['batch', image, ...common, ...preprocess, ...many])
    t.is(batch.code, 0, batch.stderr)
    const explained = JSON.parse(one.stdout.trim()) as Line
    const [line = ''] = readFileSync(join(folder, 'many', 'manifest.jsonl'), 'utf8').split('\n')
    const { score } = JSON.parse(line) as Line
    t.true(Math.abs(explained.score - score) < 1e-4 * Math.abs(score), `${explained.score} and ${score}`)

    for (const [mine, theirs, tolerance] of [
      ['gcam', 'image.png.grey.png', levels.grey],
      ['overlay', 'image.png.overlay.png', levels.overlay],
    ] as const) {
      const [a, b] = await Promise.all([explained.files[mine] ?? '', join(folder, 'many', theirs)].map(decodeImage))
      t.deepEqual([a?.width, a?.height], [width, height], mine)
      t.deepEqual([b?.width, b?.height], [width, height], theirs)
      t.true(farthest(Array.from(a?.data ?? []), Array.from(b?.data ?? [])) <= tolerance, mine)
    }
    const map = await decodeImage(explained.files['gcam'] ?? '')
    const { x = -1, y = -1 } = explained.peak ?? {}
    t.is(map.data[(y * width + x) * 3], 255, 'the peak is in pixels of the image')
  })

test.serial(
  '--size goes on to resize the whole image, and to draw in that size; both ways at once are refused',
  async (t) => {
    const folder = temporaryFolder(t)
    const call = (...more: string[]) => gradcam(['explain', sample, ...common, '--out', folder, '--json', ...more])
    const { stdout, code } = call('--size', '64x96')
    t.is(code, 0)
    const { size, files } = JSON.parse(stdout.trim()) as Line
    t.deepEqual(size, [64, 96])
    const drawn = await decodeImage(files['overlay'] ?? '')
    t.deepEqual([drawn.height, drawn.width], [64, 96])
    for (const more of [
      ['--size', '64x96'],
      ['--normalize', 'none'],
    ]) {
      const refused = call('--preprocess', 'timm', ...more)
      t.is(refused.code, 2)
      t.regex(refused.stderr, /leave out --size and --normalize/)
    }
    const file = join(folder, 'preprocess.json')
    writeFileSync(file, JSON.stringify({ resize: 300 }))
    t.deepEqual((JSON.parse(call('--preprocess', file).stdout.trim()) as Line).size, [300, 300])
  },
)
