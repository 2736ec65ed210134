import test from 'ava'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputAttribution, ScriptModule } from '../../lib/index.js'
import { cachedFolder } from '../support/cached-folder.js'
import { assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

type Pair = readonly [y: number, x: number]

interface Stem {
  readonly input: readonly [images: number, channels: number, height: number, width: number]
  readonly outputs: number
  readonly kernel: Pair
  readonly stride: Pair
  readonly padding: Pair
  readonly dilation?: Pair
  readonly groups?: number
}

const stems: Record<string, Stem> = {
  'as in resnet, densenet': { input: [2, 3, 32, 48], outputs: 16, kernel: [7, 7], stride: [2, 2], padding: [3, 3] },
  'of odd sizes': { input: [2, 3, 31, 45], outputs: 16, kernel: [7, 7], stride: [2, 2], padding: [3, 3] },
  'as in mobilenet': { input: [1, 3, 32, 32], outputs: 8, kernel: [3, 3], stride: [2, 2], padding: [1, 1] },
  'as in googlenet v3, borders left out': {
    input: [2, 3, 30, 33],
    outputs: 8,
    kernel: [3, 3],
    stride: [2, 2],
    padding: [0, 0],
  },
  'as in convnext': { input: [1, 3, 32, 48], outputs: 12, kernel: [4, 4], stride: [4, 4], padding: [0, 0] },
  'patches that do not fit': { input: [1, 3, 35, 46], outputs: 12, kernel: [4, 4], stride: [4, 4], padding: [0, 0] },
  'as in alexnet': { input: [1, 3, 64, 67], outputs: 8, kernel: [11, 11], stride: [4, 4], padding: [2, 2] },
  'of grey images, each direction its own': {
    input: [3, 1, 28, 31],
    outputs: 5,
    kernel: [5, 3],
    stride: [3, 2],
    padding: [2, 0],
  },
  'with the widest padding': { input: [1, 2, 17, 18], outputs: 4, kernel: [4, 5], stride: [2, 3], padding: [3, 4] },
  // Those that are not replaced.
  'without a stride': { input: [1, 3, 16, 20], outputs: 4, kernel: [3, 3], stride: [1, 1], padding: [1, 1] },
  'that leaves places out': { input: [1, 3, 16, 20], outputs: 4, kernel: [1, 2], stride: [2, 3], padding: [0, 0] },
  dilated: { input: [1, 3, 24, 20], outputs: 4, kernel: [3, 3], stride: [2, 2], padding: [2, 2], dilation: [2, 2] },
  'in groups': { input: [1, 4, 16, 20], outputs: 8, kernel: [3, 3], stride: [2, 2], padding: [1, 1], groups: 2 },
}

const python = await testPython()
const cases = Object.values(stems).map((stem) => ({ dilation: [1, 1], groups: 1, ...stem }))
const job = JSON.stringify({ cases })
const folder = await cachedFolder('stems', [job, programsHash('stems.py'), python.identity], async (partial) => {
  mkdirSync(partial)
  writeFileSync(join(partial, 'job.json'), job)
  await runPython(python, 'stems.py', [join(partial, 'job.json'), partial])
})
const peer = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
  cases: { file: string; input: StoredTensor; gradient: StoredTensor }[]
}

for (const [i, name] of Object.keys(stems).entries())
  for (const layout of ['contiguous', 'channelsLast'] as const)
    test.serial(`the gradient at the input of a convolution ${name}, ${layout}`, async (t) => {
      const { file, input, gradient } = peer.cases[i]!
      using model = await ScriptModule.load(join(folder, file))
      using plain = toTensor(readTensor(folder, input))
      using x = plain.contiguous({ memoryFormat: layout })
      using attribution = new InputAttribution(model, { method: 'gradient' })
      for (let time = 0; time < 2; time++) {
        using found = await attribution.explain(x, { target: 0 })
        using exact = found.attribution.to({ dtype: 'float64' })
        assertSame(t, exact, readTensor(folder, gradient), name, 1e-6)
      }
    })
