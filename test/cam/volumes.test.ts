// Volumes and signals, by the methods whose maps are as large as the input. See test/python/part_nets.py for the nets.
import test from 'ava'
import {
  Cam,
  FullGrad,
  GuidedGradCam,
  InputPerturbation,
  riseMasks,
  Tensor,
  type GradCamError,
} from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('part_nets.py')
const target = 1

for (const name of ['volume', 'signal']) {
  test(`${name}: Grad-CAM, Guided Grad-CAM and FullGrad`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    using cam = new Cam(model, { layers: ['last'] })
    using map = await cam.explain(both, { target })
    assertParity(t, map.cam, nets.value(name, 'cam'), 'Grad-CAM')
    for (const [mode, value] of [
      ['bilinear', 'guided-gradcam'],
      ['nearest', 'nearest'],
    ] as const) {
      using guided = new GuidedGradCam(model, { layer: 'last', mode })
      using mixed = await guided.explain(both, { target })
      assertParity(t, mixed.attribution, nets.value(name, value), mode)
    }
    using fullGrad = new FullGrad(model)
    t.deepEqual(fullGrad.layers.slice(0, 3), ['stem', 'norm', 'last'])
    using full = await fullGrad.explain(both, { target })
    assertParity(t, full.cam, nets.value(name, 'fullgrad'), 'FullGrad')
  })

  test(`${name}: RISE is the mean of its masks, weighted by the scores under them`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const [images = 0, , ...size] = both.shape
    const options = { masks: 12, grid: 3, probability: 0.4, seed: 5 }
    using rise = new InputPerturbation(model, { method: 'rise', ...options })
    using found = await rise.explain(both, { target })
    t.deepEqual(found.shape, both.shape)
    using masks = await riseMasks(size, options)
    t.deepEqual(masks.shape, [12, 1, ...size])
    const cells = size.reduce((product, length) => product * length, 1)
    const values = masks.toTypedArray() as Float32Array
    const expected = new Float64Array(images * cells)
    for (let i = 0; i < options.masks; i++) {
      using mask = masks.narrow(0, i, 1)
      using masked = both.mul(mask)
      using output = await model.forward(masked)
      using chances = output.softmax(1)
      const scores = chances.tolist() as number[][]
      for (let n = 0; n < images; n++)
        for (let c = 0; c < cells; c++)
          expected[n * cells + c]! += ((scores[n]?.[target] ?? 0) * (values[i * cells + c] ?? 0)) / (12 * 0.4)
    }
    using first = found.attribution.narrow(1, 0, 1)
    assertParity(t, first, { shape: [images, 1, ...size], data: expected }, 'RISE')
  })
}

test('masks of any dimensions are linear along each line between the centres of cells', async (t) => {
  // 4 cells are upsampled to 20 positions: their centres are 5 apart, and whole positions. Along each dimension a mask bends
  // there alone, wherever it was cropped.
  const [length, grid, count] = [16, 4, 8]
  for (const size of [[length], [length, length], [length, length, length]]) {
    using masks = await riseMasks(size, { masks: count, grid, seed: 1 })
    const values = masks.toTypedArray() as Float32Array
    t.true(values.every((value) => value >= 0 && value <= 1))
    for (let dim = 2; dim < size.length + 2; dim++) {
      using bends = secondDifferences(masks, dim, length - 2)
      const flat = bends.toTypedArray() as Float32Array
      const perMask = flat.length / count
      let bent = 0
      for (let i = 0; i < count; i++) {
        const at = new Set<number>()
        for (let k = 0; k < perMask; k++)
          if (Math.abs(flat[i * perMask + k] as number) > 1e-5) at.add((k % (length - 2)) % 5)
        t.true(at.size <= 1, `${size.length} dimensions, mask ${i}, dimension ${dim}`)
        bent += at.size
      }
      t.true(bent > count / 2)
    }
    using all = await riseMasks(size, { masks: 2, probability: 1 })
    t.true((all.toTypedArray() as Float32Array).every((value) => Math.abs(value - 1) < 1e-6))
  }
})

/** Along a dimension, which comes last in the result. */
function secondDifferences(masks: Tensor, dim: number, count: number): Tensor {
  using before = masks.narrow(dim, 0, count)
  using middle = masks.narrow(dim, 1, count)
  using after = masks.narrow(dim, 2, count)
  using twice = middle.mul(2)
  using ends = before.add(after)
  using bends = ends.sub(twice)
  return bends.transpose(dim, -1).contiguous()
}

test('sizes that cannot be the size of an input are refused', async (t) => {
  for (const size of [[], [4, 4, 4, 4], [0, 4], [4.5]])
    await t.throwsAsync<GradCamError>(riseMasks(size, { masks: 1 }), { code: 'ERR_INVALID_ARGUMENT' })
})
