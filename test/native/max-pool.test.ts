import test from 'ava'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputAttribution, manualSeed, ScriptModule, Tensor, tidy } from '../../lib/index.js'
import { cachedFolder } from '../support/cached-folder.js'
import { hostAddon } from '../support/host-addon.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'

manualSeed(0)

/** Kernel, stride, padding, dilation, and whether sizes are rounded up. */
type Pool = readonly [readonly number[], readonly number[], readonly number[], readonly number[], boolean]

/** Those of the usual nets, and others. */
const pools: readonly Pool[] = [
  [[3, 3], [2, 2], [1, 1], [1, 1], false],
  [[2, 2], [2, 2], [0, 0], [1, 1], false],
  [[3, 3], [2, 2], [0, 0], [1, 1], true],
  [[2, 2], [], [0, 0], [1, 1], false],
  [[3, 2], [1, 3], [1, 0], [1, 1], false],
  [[5, 4], [3, 2], [2, 2], [1, 1], true],
  [[1, 1], [2, 1], [0, 0], [1, 1], false],
  [[3, 3], [2, 2], [1, 1], [2, 2], false],
]
/** Usual ones, a large one, and one of a single channel. */
const shapes = [
  [2, 16, 40, 37],
  [1, 64, 23, 29],
  [1, 3, 128, 128],
  [3, 1, 8, 7],
]
const cases = pools.flatMap((_, pool) =>
  shapes.flatMap((shape, j) => [false, true].map((odd) => ({ shape, pool, seed: 10 * pool + j, odd }))),
)

const python = await testPython()
const job = JSON.stringify({ pools, cases })
const folder = await cachedFolder(
  'max-pools',
  [job, programsHash('max_pools.py'), python.identity],
  async (partial) => {
    mkdirSync(partial)
    writeFileSync(join(partial, 'job.json'), job)
    await runPython(python, 'max_pools.py', [join(partial, 'job.json'), partial])
  },
)
const peer = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
  cases: Record<'input' | 'output' | 'weight' | 'gradient', StoredTensor>[]
}

const read = (stored: StoredTensor) => {
  const { data, shape } = readTensor(folder, stored)
  return Tensor.from(data, shape)
}

for (const [pool, settings] of pools.entries())
  for (const kind of ['scripted', 'traced'] as const)
    test.serial(`max-pooling inside a ${kind} model: ${JSON.stringify(settings)}`, async (t) => {
      using model = await ScriptModule.load(join(folder, kind === 'traced' ? `${pool}.traced.pt` : `${pool}.pt`))
      for (const [i, { shape, odd }] of cases.entries()) {
        if (cases[i]?.pool !== pool) continue
        const stored = peer.cases[i]!
        for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
          const what = `[${shape.join()}]${odd ? ' with NaN' : ''}, ${memoryFormat}`
          using plain = read(stored.input)
          using weight = read(stored.weight)
          using input = plain.contiguous({ memoryFormat })
          using withoutGraph = await model.forward(input)
          input.requiresGrad = true
          using output = await model.forward(input)
          await output.backward({ gradient: weight })
          using gradient = input.grad!
          for (const [found, name] of [
            [withoutGraph, 'output'],
            [output, 'output'],
            [gradient, 'gradient'],
          ] as const) {
            const expected = readTensor(folder, stored[name])
            t.deepEqual([...found.shape], expected.shape, what)
            // The gradient of channels-last memory sums what overlapping windows give in another order.
            if (name === 'gradient' && memoryFormat === 'channelsLast') continue
            t.deepEqual(found.toTypedArray(), expected.data as never, `${name} of ${what}`)
          }
        }
      }
    })

test.serial('DeepLIFT keeps its rule for max-pooling, although models run another operator', async (t) => {
  using model = await ScriptModule.load(join(folder, 'net.pt'))
  using input = Tensor.randn([1, 3, 64, 64])
  using baseline = Tensor.zeros([1, 3, 64, 64])
  using deepLift = new InputAttribution(model, { method: 'deeplift' })
  using found = await deepLift.explain(input, { target: 1 })
  const score = async (x: Tensor) => {
    using output = await model.forward(x)
    return output.toTypedArray()[1] as number
  }
  using sum = tidy(() => found.attribution.sum())
  // Attributions add up to the difference of the scores: of 12288 float32 terms, to about 1e-5 of their size.
  t.true(Math.abs(sum.item() - ((await score(input)) - (await score(baseline)))) < 1e-4)
})

test.serial('for everybody else in the process LibTorch is as it was', async (t) => {
  // Runs a max-pooling of ours first, so that all that is registered is there.
  using model = await ScriptModule.load(join(folder, '0.pt'))
  using input = Tensor.randn([1, 16, 64, 64])
  using _output = await model.forward(input)
  const host = await hostAddon()
  const operators = host.kernels('aten').split(/^(?=name: )/m)
  t.true(operators.length > 1000, `${operators.length} operators`)
  const pooling = operators.find((text) => text.startsWith('name: aten::max_pool2d_with_indices\n'))
  t.regex(pooling ?? '', /^CPU: registered at \S*RegisterCPU/m)
  t.deepEqual(
    operators.filter((text) => /native\/(core|node)|gradcam/i.test(text)),
    [],
    'no kernel of aten is ours',
  )
  t.true(host.usesDefaultAllocator(), 'what it allocates is not from our cache')
})
