/**
 * Paints scenes for training in Python.
 *
 *     node scripts/samples/dump-scenes.mjs --range training|validation|held-out [--first N] --count N --out FILE
 *
 * FILE gets the pixels, uint8 [count, 224, 224, 3] without a header; FILE.json the labels' names and each scene's seed and
 * boxes.
 */
import { open, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { hasKey } from '../support/access.mjs'
import { heldOutSeeds, labels, renderScene, sceneSide, trainingSeeds, validationSeeds } from './scenes.mjs'

const ranges = { training: trainingSeeds, validation: validationSeeds, 'held-out': heldOutSeeds }

const { values } = parseArgs({
  options: {
    range: { type: 'string' },
    first: { type: 'string', default: '0' },
    count: { type: 'string' },
    out: { type: 'string' },
  },
})
const [first, count] = [Number(values.first), Number(values.count)]
const range = values.range ?? ''
if (!hasKey(ranges, range) || !Number.isSafeInteger(first) || !(count > 0) || !values.out) {
  console.error(
    'Usage: node scripts/samples/dump-scenes.mjs --range training|validation|held-out [--first N] --count N --out FILE',
  )
  process.exit(2)
}

const scenes = []
const file = await open(values.out, 'w')
try {
  // sharp paints on threads of its own: a few at once keep two cores busy.
  for (let done = 0; done < count; done += 8) {
    const seeds = Array.from({ length: Math.min(8, count - done) }, (_, i) => ranges[range] + first + done + i)
    const painted = await Promise.all(seeds.map(renderScene))
    await file.write(Buffer.concat(painted.map((scene) => scene.rgb)))
    for (const { seed, boxes } of painted) scenes.push({ seed, boxes })
  }
} finally {
  await file.close()
}
await writeFile(`${values.out}.json`, JSON.stringify({ labels, side: sceneSide, scenes }))
