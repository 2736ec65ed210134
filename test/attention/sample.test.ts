// The sample transformer was told which animals there are, never where: see scripts/samples/train-sample-model.py.
import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AttentionMap, Cam, imagenet, loadImage, ScriptModule, suggestLayers, type Tensor } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'

const samples = join(packageRoot, 'samples')
const labels = readFileSync(join(samples, 'labels.txt'), 'utf8').trim().split('\n')
// Where they sit in cat_dog.png, from left to right as shares of its width: see scripts/samples/draw-cat-dog.mjs.
const animals = { cat: [0.1, 0.5], dog: [0.5, 0.95] } as const

function columnOfPeak(map: Tensor): number {
  const values = Array.from(map.toTypedArray() as Float32Array)
  const columns = map.shape.at(-1) as number
  const peak = values.indexOf(Math.max(...values))
  return ((peak % columns) + 0.5) / columns
}

/** How much of a map lies in the left half. */
function shareOnLeft(map: Tensor): number {
  const values = Array.from(map.toTypedArray() as Float32Array)
  const columns = map.shape.at(-1) as number
  const sum = (of: readonly number[]): number => of.reduce((all, value) => all + value, 0)
  return sum(values.filter((_, i) => i % columns < columns / 2)) / sum(values)
}

test('the sample transformer attends to the animal that is asked for', async (t) => {
  using model = await ScriptModule.load(join(samples, 'animals-vit.pt'))
  using input = await loadImage(join(samples, 'cat_dog.png'), { size: [224, 224], normalize: imagenet })
  using output = await model.forward(input)
  const scores = Array.from(output.toTypedArray() as Float32Array, (value, index) => ({ value, label: labels[index] }))
  scores.sort((a, b) => b.value - a.value)
  t.deepEqual(
    scores
      .slice(0, 2)
      .map(({ label }) => label)
      .sort((a = '', b = '') => a.localeCompare(b)),
    ['cat', 'dog'],
  )

  const [suggestion] = await suggestLayers(model, input)
  t.like(suggestion, { layer: 'blocks.3.norm1', reshape: 'vit' })
  using cam = new Cam(model, { layers: [suggestion!.layer], methods: ['gradcam'], reshape: 'vit' })
  const rollouts = []
  const shares: number[] = []
  for (const [label, [left, right]] of Object.entries(animals)) {
    const target = labels.indexOf(label)
    for (const method of ['transformer-attribution', 'gradient-attention-rollout'] as const) {
      using attention = new AttentionMap(model, { method })
      using found = await attention.explain(input, { target })
      t.deepEqual(found.cam.shape, [1, 1, 14, 14])
      const column = columnOfPeak(found.cam)
      t.true(column > left && column < right, `${method} of ${label}: ${column}`)
    }
    // LeGrad looks at all blocks, of which the first do not know the class: only its shares differ.
    using legrad = new AttentionMap(model, { method: 'legrad' })
    using attended = await legrad.explain(input, { target })
    shares.push(shareOnLeft(attended.cam))
    using found = await cam.explain(input, { target })
    const column = columnOfPeak(found.cam)
    t.true(column > left && column < right, `gradcam of ${label}: ${column}`)
    using rollout = new AttentionMap(model, { method: 'attention-rollout' })
    using same = await rollout.explain(input, { target })
    rollouts.push(same.cam.tolist())
  }
  t.deepEqual(rollouts[0], rollouts[1])
  t.true(shares[0]! > shares[1]!, `LeGrad on the left: ${shares.join(', ')}`)
})
