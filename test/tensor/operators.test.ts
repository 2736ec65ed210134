import test from 'ava'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tensor, interpolate, interpolateAsync } from '../../lib/index.js'
import { callOperator } from '../../lib/tensor/dispatch.js'
import { functions, operators } from '../../lib/tensor/operators.js'
import { cachedFolder } from '../support/cached-folder.js'
import { operatorCases, type Case, type Inputs } from '../support/operator-cases.js'
import { assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'

const full = (size: readonly number[], mode: string, corners: string): string =>
  `F.interpolate(image, (${size.join(', ')}), mode="${mode}"${corners})`

/** Functions that are not methods of the table. */
const functionCases: Record<string, readonly Case[]> = {
  cat: [
    ['torch.cat([a, b, a], 1)', ({ a, b }) => Tensor.cat([a, b, a], 1)],
    ['torch.cat([n, a])', ({ n, a }) => Tensor.cat([n, a])],
  ],
  stack: [['torch.stack([a, b], -1)', ({ a, b }) => Tensor.stack([a, b], -1)]],
  zeros: [['torch.zeros(2, 3, dtype=torch.int64)', () => Tensor.zeros([2, 3], { dtype: 'int64' })]],
  ones: [['torch.ones(2, 3)', () => Tensor.ones([2, 3])]],
  full: [['torch.full((2, 2), 0.25)', () => Tensor.full([2, 2], 0.25)]],
  arange: [
    ['torch.arange(5)', () => Tensor.arange(0, 5)],
    ['torch.arange(-1, 2, 0.5)', () => Tensor.arange(-1, 2, 0.5)],
  ],
  linspace: [['torch.linspace(-1, 2, 7)', () => Tensor.linspace(-1, 2, 7)]],
  to: [
    ['a.to(torch.float64)', ({ a }) => a.to({ dtype: 'float64' })],
    ['a.to(torch.int64)', ({ a }) => a.to({ dtype: 'int64' })],
    ['a.to(torch.float16)', ({ a }) => a.to({ dtype: 'float16' })],
    ['a.to(torch.bfloat16)', ({ a }) => a.to({ dtype: 'bfloat16', device: 'cpu' })],
    ['n.to(torch.bool)', ({ n }) => n.to({ dtype: 'bool' })],
    ['n.abs().to(torch.uint8)', ({ n }) => n.abs().to({ dtype: 'uint8' })],
  ],
  indexSelect: [
    ['a.index_select(1, torch.tensor([2, 0, 2]))', ({ a }) => a.indexSelect(1, [2, 0, 2])],
    [
      'a.index_select(0, n[0, 0].remainder(2))',
      ({ a, n }) => a.indexSelect(0, n.select(0, 0).select(0, 0).remainder(2)),
    ],
  ],
  sortStable: [
    [
      'a.round().sort(dim=1, descending=True, stable=True)',
      ({ a }) => callOperator<Tensor[]>(functions.sortStable, a.round(), { stable: true, dim: 1, descending: true }),
    ],
  ],
  baddbmm: [
    [
      'torch.baddbmm(a[:, :, :1], a, b.transpose(1, 2))',
      ({ a, b }) => callOperator(functions.baddbmm, a.slice(2, 0, 1), a, b.transpose(1, 2)),
    ],
  ],
  conv2d: [
    [
      'F.conv2d(image, b[:1, :, None].transpose(0, 1), padding=(0, 2), groups=3)',
      ({ image, b }) =>
        callOperator(functions.conv2d, image, b.slice(0, 0, 1).unsqueeze(2).transpose(0, 1), null, {
          stride: [1, 1],
          padding: [0, 2],
          groups: 3,
        }),
    ],
  ],
  leastSquares: [
    [
      'torch.linalg.lstsq(a.detach().double(), b.detach().double(), driver="gelsd").solution',
      ({ a, b }) => {
        const [matrix, right] = [a, b].map((tensor) => tensor.detach().to({ dtype: 'float64' }))
        return callOperator<Tensor[]>(functions.leastSquares, matrix, right, null, { driver: 'gelsd' })[0]!
      },
    ],
  ],
  searchsorted: [
    [
      'torch.searchsorted(a.detach().sort(2).values, b.detach(), right=True)',
      ({ a, b }) =>
        callOperator(functions.searchsorted, a.detach().sort(2)[0], b.detach().contiguous(), { right: true }),
    ],
  ],
  nearest: [[full([9, 5], 'nearest', ''), ({ image }) => interpolate(image, [9, 5], { mode: 'nearest' })]],
  bilinear: [
    [full([9, 5], 'bilinear', ', align_corners=False'), ({ image }) => interpolate(image, [9, 5])],
    [
      full([9, 5], 'bilinear', ', align_corners=True'),
      ({ image }) => image.interpolate([9, 5], { alignCorners: true }),
    ],
  ],
  nearest1d: [
    [
      'F.interpolate(image[:, :, 0], (5,), mode="nearest")',
      ({ image }) => callOperator(functions.nearest1d, image.select(2, 0), [5], null),
    ],
  ],
  nearest3d: [
    [
      'F.interpolate(image[:, :, None], (2, 9, 5), mode="nearest")',
      ({ image }) => callOperator(functions.nearest3d, image.unsqueeze(2), [2, 9, 5], null),
    ],
  ],
  linear1d: [
    [
      'F.interpolate(image[:, :, 0], (5,), mode="linear", align_corners=False)',
      ({ image }) => callOperator(functions.linear1d, image.select(2, 0), [5], false, null),
    ],
  ],
  trilinear: [
    [
      'F.interpolate(torch.stack([image, 2 * image], 2), (3, 9, 5), mode="trilinear", align_corners=False)',
      ({ image }) => callOperator(functions.trilinear, Tensor.stack([image, image.mul(2)], 2), [3, 9, 5], false, null),
    ],
  ],
  bicubic: [
    [full([9, 5], 'bicubic', ', align_corners=False'), ({ image }) => interpolate(image, [9, 5], { mode: 'bicubic' })],
  ],
  bilinearAntialias: [
    [full([3, 5], 'bilinear', ', antialias=True'), ({ image }) => interpolate(image, [3, 5], { antialias: true })],
  ],
  bicubicAntialias: [
    [
      full([3, 5], 'bicubic', ', antialias=True'),
      ({ image }) => interpolate(image, [3, 5], { mode: 'bicubic', antialias: true }),
    ],
  ],
}

interface Index {
  readonly inputs: Record<string, StoredTensor>
  readonly cases: Record<string, { outputs: StoredTensor[]; gradients: Record<string, StoredTensor> }>
}

const cases = Object.entries({ ...operatorCases, ...functionCases })
const python = await testPython()
const job = JSON.stringify({
  cases: Object.fromEntries(cases.flatMap(([, calls]) => calls.map(([expression]) => [expression, expression]))),
})
const folder = await cachedFolder('operators', [job, programsHash(), python.identity], async (partial) => {
  mkdirSync(partial)
  writeFileSync(join(partial, 'job.json'), job)
  await runPython(python, 'operator_values.py', [join(partial, 'job.json'), partial])
})
const peer = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index

/** The inputs that Python had, with a graph where it had one. */
function inputs(): Inputs {
  const tensors = Object.entries(peer.inputs).map(([name, stored]) => {
    const { data, shape } = readTensor(folder, stored)
    const tensor = Tensor.from(data, shape, { dtype: stored.dtype })
    if (stored.dtype === 'float32') tensor.requiresGrad = true
    return [name, tensor]
  })
  return Object.fromEntries(tensors) as Inputs
}

test('every operator of the table is tried', (t) => {
  t.deepEqual(Object.keys(operatorCases).sort(), Object.keys(operators).sort())
  const random = ['rand', 'randn']
  t.deepEqual([...Object.keys(functionCases), ...random].sort(), Object.keys(functions).sort())
  for (const [name, calls] of cases) t.true(calls.length > 0, name)
})

for (const [name, calls] of cases) {
  for (const [expression, call] of calls) {
    test.serial(`${name}: ${expression}`, async (t) => {
      const expected = peer.cases[expression]!
      const given = inputs()
      const result = call(given)
      const outputs = result instanceof Tensor ? [result] : result
      t.is(outputs.length, expected.outputs.length)
      for (const [i, output] of outputs.entries()) {
        const stored = expected.outputs[i]!
        if (output.dtype !== 'float16' && output.dtype !== 'bfloat16') t.is(output.dtype, stored.dtype)
        assertSame(t, output, readTensor(folder, stored), `output ${i}`, 1e-6)
      }
      const differentiable = outputs.filter((output) => output.requiresGrad)
      t.is(differentiable.length > 0, Object.keys(expected.gradients).length > 0)
      const squares = differentiable.map((output) => output.mul(output).sum().to({ dtype: 'float64' }))
      if (squares.length > 0) await squares.reduce((sum, square) => sum.add(square)).backward()
      for (const [input, tensor] of Object.entries(given)) {
        const stored = expected.gradients[input]
        t.is(tensor.grad !== null, stored !== undefined, `whether a gradient reaches ${input}`)
        if (stored) assertSame(t, tensor.grad as Tensor, readTensor(folder, stored), `gradient of ${input}`)
      }
    })
  }
}

test.serial('interpolateAsync is interpolate on the executor thread', async (t) => {
  const { image } = inputs()
  using at = await interpolateAsync(image, [7, 9], { mode: 'bicubic' })
  t.deepEqual(at.toTypedArray(), interpolate(image, [7, 9], { mode: 'bicubic' }).toTypedArray())
  await t.throwsAsync(async () => interpolateAsync(image, [0, 9]), { code: 'ERR_SHAPE' })
})
