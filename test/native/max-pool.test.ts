import test from 'ava'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callOperator } from '../../lib/tensor/dispatch.js'
import { Tensor } from '../../lib/index.js'
import type { Operator } from '../../lib/tensor/operators.js'
import { cachedFolder } from '../support/cached-folder.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'

type Arguments = readonly [
  kernel: readonly number[],
  stride: readonly number[],
  padding: readonly number[],
  dilation: readonly number[],
  ceilMode: boolean,
]

interface Pooling {
  readonly shape: readonly number[]
  readonly arguments: Arguments
  readonly seed: number
  readonly odd: boolean
}

/** Those of the usual nets, and what goes to LibTorch's own kernel. */
const usual: readonly Arguments[] = [
  [[3, 3], [2, 2], [1, 1], [1, 1], false],
  [[2, 2], [2, 2], [0, 0], [1, 1], false],
  [[3, 3], [2, 2], [0, 0], [1, 1], true],
  [[2], [], [0], [1], false],
  [[3, 2], [1, 3], [1, 0], [1, 1], false],
  [[5, 4], [3, 2], [2, 2], [1, 1], true],
  [[1, 1], [2, 1], [0, 0], [1, 1], false],
  [[3, 3], [2, 2], [1, 1], [2, 2], false],
]
const shapes = [
  [2, 3, 16, 20],
  [1, 64, 9, 37],
  [3, 1, 8, 7],
]
const cases: Pooling[] = usual.flatMap((args, i) =>
  shapes.flatMap((shape, j) => [false, true].map((odd) => ({ shape, arguments: args, seed: 10 * i + j, odd }))),
)

const python = await testPython()
const job = JSON.stringify({ cases })
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
  cases: Record<'input' | 'output' | 'indices', StoredTensor>[]
}

const maxPool = { name: 'aten::max_pool2d_with_indices', overloads: [''] } as Operator<never>

for (const [i, { shape, arguments: args, odd }] of cases.entries())
  for (const layout of ['contiguous', 'channelsLast'] as const)
    test.serial(
      `max-pooling of [${shape.join()}]${odd ? ' with NaN' : ''}, ${layout}: ${JSON.stringify(args)}`,
      (t) => {
        const { data, shape: sizes } = readTensor(folder, peer.cases[i]!.input)
        using plain = Tensor.from(data, sizes)
        using input = plain.contiguous({ memoryFormat: layout })
        const [output, indices] = callOperator<[Tensor, Tensor]>(maxPool, input, ...args.map((value) => value))
        for (const [found, name] of [
          [output, 'output'],
          [indices, 'indices'],
        ] as const) {
          const expected = readTensor(folder, peer.cases[i]![name])
          t.deepEqual([...found.shape], expected.shape)
          t.deepEqual(found.toTypedArray(), expected.data as never, name)
          found.dispose()
        }
      },
    )
