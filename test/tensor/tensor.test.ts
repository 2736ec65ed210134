import test from 'ava'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Tensor, liveTensors, manualSeed, tidy, type DType, type TypedArray } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { heldTensors } from '../support/live-tensors.js'

const arrays: [DType, TypedArray][] = [
  ['float32', Float32Array.of(1.5, -0, NaN, Infinity, 3e38, 1e-45)],
  ['float64', Float64Array.of(1.5, -0, NaN, -Infinity, 1e308, 5e-324)],
  ['uint8', Uint8Array.of(0, 1, 127, 128, 255, 7)],
  ['uint8', Uint8ClampedArray.of(0, 1, 127, 128, 255, 7)],
  ['int8', Int8Array.of(0, 1, 127, -128, -1, 7)],
  ['int16', Int16Array.of(0, 1, 32767, -32768, -1, 7)],
  ['int32', Int32Array.of(0, 1, 2147483647, -2147483648, -1, 7)],
  ['int64', BigInt64Array.of(0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 7n)],
]

for (const [dtype, array] of arrays) {
  test(`a ${array.constructor.name} goes in and comes out as ${dtype}`, (t) => {
    using tensor = Tensor.from(array, [2, 3])
    t.deepEqual([tensor.dtype, tensor.device, tensor.size, [...tensor.shape]], [dtype, 'cpu', 6, [2, 3]])
    const back = tensor.toTypedArray()
    t.deepEqual(Array.from<unknown>(back), Array.from<unknown>(array))
    if (!(array instanceof Uint8ClampedArray)) t.is(back.constructor, array.constructor)
    back[0] = back[1] as never
    t.deepEqual(Array.from<unknown>(tensor.toTypedArray()), Array.from<unknown>(array), 'what came out is a copy')
  })
}

test('the data is copied: changing it afterwards changes no tensor', (t) => {
  const array = Float32Array.of(1, 2)
  using tensor = Tensor.from(array)
  array[0] = 9
  t.deepEqual(tensor.tolist(), [1, 2])
})

test('views with an offset, views on shared memory, and a Buffer from the pool', (t) => {
  const whole = Float32Array.from({ length: 10 }, (_, i) => i)
  t.deepEqual(Tensor.from(whole.subarray(3, 6)).tolist(), [3, 4, 5])
  const shared = new Int32Array(new SharedArrayBuffer(16), 4, 2)
  shared.set([5, 6])
  t.deepEqual(Tensor.from(shared).tolist(), [5, 6])
  t.deepEqual(Tensor.from(Buffer.from([1, 2, 3])).tolist(), [1, 2, 3])
  t.deepEqual(Tensor.from(new BigInt64Array([1n, 2n, 3n]).subarray(1), [2, 1]).tolist(), [[2], [3]])
})

test('a buffer that was transferred away is refused, whatever the length of its view', (t) => {
  for (const array of [new Float32Array(4), new Uint8Array(0), new BigInt64Array(1)]) {
    structuredClone(array, { transfer: [array.buffer] })
    t.throws(() => Tensor.from(array), { code: 'ERR_INVALID_ARGUMENT', message: /detached/ })
  }
})

test('typed arrays without a dtype in LibTorch are refused', (t) => {
  for (const array of [new Uint16Array(2), new Uint32Array(2), new BigUint64Array(2), new DataView(new ArrayBuffer(8))])
    t.throws(() => Tensor.from(array as never), { code: 'ERR_DTYPE', message: /Float32Array/ })
})

test('nested arrays, by what they hold', (t) => {
  const cases: [never, DType, number[]][] = [
    [
      [
        [1, 2, 3],
        [4, 5, 6],
      ] as never,
      'float32',
      [2, 3],
    ],
    [[[[true]], [[false]]] as never, 'bool', [2, 1, 1]],
    [[1n, 2n] as never, 'int64', [2]],
    [7.5 as never, 'float32', []],
    [[] as never, 'float32', [0]],
    [[[], []] as never, 'float32', [2, 0]],
  ]
  for (const [data, dtype, shape] of cases) {
    using tensor = Tensor.from(data)
    t.is(tensor.dtype, dtype)
    t.deepEqual([...tensor.shape], shape)
    t.deepEqual(
      tensor.to({ dtype: 'float64' }).tolist(),
      JSON.parse(
        JSON.stringify(data, (_, v: unknown) => (typeof v === 'bigint' || typeof v === 'boolean' ? Number(v) : v)),
      ),
    )
  }
  const long = 2n ** 53n + 1n
  t.is((Tensor.from([long]).toTypedArray() as BigInt64Array)[0], long)
  t.deepEqual(Tensor.from([0, 2, -1], undefined, { dtype: 'bool' }).tolist(), [0, 1, 1])
  t.deepEqual([...Tensor.from([1, 2, 3, 4], [2, 2]).shape], [2, 2])
})

test('nested arrays that do not fit are refused', (t) => {
  const ragged: unknown[] = [
    [[1, 2], [3]],
    [[1], 2],
    [1, [2]],
    [[], [1]],
    [[[1]], [[1, 2]]],
  ]
  for (const data of ragged) t.throws(() => Tensor.from(data as never), { code: 'ERR_SHAPE' }, JSON.stringify(data))
  for (const data of ['x', [null], [undefined], [{}], ['1'], null, undefined, {}, () => 1, Symbol('s')])
    t.throws(() => Tensor.from(data as never), { code: 'ERR_SHAPE' }, String(data))
  for (const dtype of ['int64', 'int32', 'uint8'] as const)
    t.throws(() => Tensor.from([1.5], undefined, { dtype }), { code: 'ERR_DTYPE', message: /integers/ })
  t.throws(() => Tensor.from([1], undefined, { dtype: 'float8' as never }), { code: 'ERR_DTYPE', message: /float32/ })
  t.throws(() => Tensor.from(Float32Array.of(1), undefined, { dtype: 'x' as never }), { code: 'ERR_DTYPE' })
  t.throws(() => Tensor.from([1], undefined, { device: 'gpu' }), { code: 'ERR_DEVICE' })
})

test('shapes that do not fit the data are refused', (t) => {
  const data = new Float32Array(6)
  for (const shape of [[5], [2, 2], [7, 1], [], [6, 0], [-1, -6], [2.5, 2], [NaN], ['6'], [Infinity], 6, 'x', {}, null])
    t.throws(() => Tensor.from(data, shape as never), { code: 'ERR_SHAPE' }, JSON.stringify(shape))
})

test('tensors that are not contiguous are read in row-major order', (t) => {
  using base = Tensor.from(
    Int32Array.from({ length: 24 }, (_, i) => i),
    [2, 3, 4],
  )
  const at = (i: number, j: number, k: number): number => 12 * i + 4 * j + k
  const all = (sizes: number[], value: (...index: number[]) => number): number[] => {
    const [size, ...rest] = sizes
    if (size === undefined) return [value()]
    return Array.from({ length: size }, (_, i) => all(rest, (...index) => value(i, ...index))).flat()
  }
  const views: [Tensor, number[], (...index: number[]) => number][] = [
    [base.transpose(0, 2), [4, 3, 2], (k, j, i) => at(i!, j!, k!)],
    [base.permute([1, 2, 0]), [3, 4, 2], (j, k, i) => at(i!, j!, k!)],
    [base.slice(2, 1, 4, 2), [2, 3, 2], (i, j, k) => at(i!, j!, 1 + 2 * k!)],
    [base.select(1, 2), [2, 4], (i, k) => at(i!, 2, k!)],
    [base.unsqueeze(0).expand([2, 2, 3, 4]), [2, 2, 3, 4], (_, i, j, k) => at(i!, j!, k!)],
    [base.flip([0]), [2, 3, 4], (i, j, k) => at(1 - i!, j!, k!)],
  ]
  for (const [view, shape, value] of views) {
    t.deepEqual([...view.shape], shape)
    t.deepEqual([...(view.toTypedArray() as Int32Array)], all(shape, value))
    t.deepEqual(view.contiguous().toTypedArray(), view.toTypedArray())
    t.deepEqual((view.tolist() as never[]).flat(4), all(shape, value))
  }
})

test('tensors without elements', (t) => {
  for (const shape of [[0], [0, 3], [2, 0, 3]]) {
    using tensor = Tensor.zeros(shape)
    t.is(tensor.size, 0)
    t.is(tensor.toTypedArray().length, 0)
    t.deepEqual([...Tensor.from(new Float32Array(0), shape).shape], shape)
    t.is(tensor.sum().item(), 0)
    t.throws(() => tensor.item(), { code: 'ERR_SHAPE' })
    t.throws(() => tensor.max(), { code: 'ERR_TORCH' })
  }
  t.deepEqual(Tensor.zeros([2, 0]).tolist(), [[], []])
  t.deepEqual(Tensor.zeros([0, 2]).tolist(), [])
})

test('float16 and bfloat16 come as float32, rounded as their formats say', (t) => {
  const numbers = [1, 1 + 2 ** -11, 2 ** -8 + 1, 65504, 1e6, -0.1]
  // 10 and 7 bits after the point, to nearest, ties to even; beyond 65504 float16 has infinity.
  const round = (x: number, bits: number): number => {
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - bits)
    const scaled = x / unit
    const down = Math.floor(scaled)
    const up = scaled - down > 0.5 || (scaled - down === 0.5 && down % 2 !== 0)
    return (down + (up ? 1 : 0)) * unit
  }
  using wide = Tensor.from(numbers)
  const half = wide.to({ dtype: 'float16' })
  const brain = Tensor.from(numbers, undefined, { dtype: 'bfloat16' })
  t.deepEqual([half.dtype, brain.dtype], ['float16', 'bfloat16'])
  t.deepEqual(
    [...(half.toTypedArray() as Float32Array)],
    numbers.map((x) => (x > 65504 ? Infinity : round(x, 10))),
  )
  t.deepEqual(
    [...(brain.toTypedArray() as Float32Array)],
    numbers.map((x) => round(x, 7)),
  )
})

test('item, tolist and the text of a tensor', (t) => {
  t.is(Tensor.from([[3.5]]).item(), 3.5)
  t.is(Tensor.from(BigInt64Array.of(7n)).item(), 7)
  t.is(Tensor.from([true]).item(), 1)
  t.throws(() => Tensor.from([1, 2]).item(), { code: 'ERR_SHAPE', message: /\[2\]/ })
  t.is(Tensor.from(2).tolist(), 2)
  t.deepEqual(
    Tensor.from([
      [1, 2],
      [3, 4],
    ]).tolist(),
    [
      [1, 2],
      [3, 4],
    ],
  )
  using tensor = Tensor.zeros([2, 3], { dtype: 'int16' })
  for (const text of [String(tensor), inspect(tensor), `${tensor}`]) t.is(text, 'Tensor [2, 3] int16 cpu')
  tensor.dispose()
  t.is(inspect({ tensor }), '{ tensor: Tensor (disposed) }')
})

test.serial('dispose: at once, once, and for good', async (t) => {
  const before = await heldTensors()
  const tensor = Tensor.zeros([2, 3])
  const view = tensor.select(0, 0)
  t.is(liveTensors(), before + 2)
  tensor.dispose()
  tensor.dispose()
  tensor[Symbol.dispose]()
  t.true(tensor.disposed)
  t.is(liveTensors(), before + 1)
  t.deepEqual(view.tolist(), [0, 0, 0], 'a view has its own share of the memory')
  const uses = [
    () => tensor.toTypedArray(),
    () => tensor.tolist(),
    () => tensor.item(),
    () => tensor.dtype,
    () => tensor.device,
    () => tensor.shape,
    () => tensor.grad,
    () => tensor.requiresGrad,
    () => {
      tensor.requiresGrad = true
    },
    () => tensor.add(1),
    () => view.add(tensor),
    () => Tensor.cat([view, tensor]),
    () => tensor.to({ dtype: 'int8' }),
  ]
  for (const use of uses) t.throws(use, { code: 'ERR_DISPOSED', message: /was disposed/ }, use.toString())
  t.throws(() => view.interpolate([1, 1]), { code: 'ERR_SHAPE' })
  view.dispose()
  t.is(liveTensors(), before)
})

test.serial('tidy disposes what was made in it but its result, also when nested and when it throws', async (t) => {
  const before = await heldTensors()
  const result = tidy(() => {
    const a = Tensor.ones([3])
    const inner = tidy(() => a.add(1).mul(2))
    return inner.sum()
  })
  t.is(result.item(), 12)
  t.is(liveTensors(), before + 1)
  result.dispose()
  const mine = new Error('mine')
  const thrown = t.throws(() =>
    tidy(() => {
      Tensor.ones([3]).add(1)
      throw mine
    }),
  )
  t.is(thrown, mine)
  t.is(
    tidy(() => Tensor.ones([3]).sum().item()),
    3,
  )
  t.is(liveTensors(), before)
})

test('random tensors repeat with their seed', (t) => {
  const draw = (): unknown[] => [Tensor.rand([4]).tolist(), Tensor.randn([2, 2]).tolist()]
  manualSeed(5)
  const first = draw()
  const second = draw()
  manualSeed(5)
  t.deepEqual(draw(), first)
  t.notDeepEqual(second, first)
  for (const seed of [-1, 1.5, NaN, 'x']) t.throws(() => manualSeed(seed as never), { code: 'ERR_INVALID_ARGUMENT' })
})

test('arguments that fit no overload: the message is one line that names them', (t) => {
  using tensor = Tensor.ones([2])
  for (const call of [() => tensor.add('x' as never), () => tensor.select(0.5, 0), () => tensor.sum('x' as never)]) {
    const error = t.throws(call, { code: 'ERR_INVALID_ARGUMENT', message: /do not fit '\w+'/ })
    t.false(error?.message.includes('\n'))
  }
  t.throws(() => tensor.add(1, { beta: 2 } as never), { code: 'ERR_INVALID_ARGUMENT', message: /no option 'beta'/ })
  t.throws(() => tensor.reshape([3]), { code: 'ERR_TORCH', message: /shape '\[3\]'/ })
  t.throws(() => tensor.to({ dtype: 'x' as never }), { code: 'ERR_DTYPE' })
  // LibTorch itself takes any integer for a dtype and reads beyond its tables.
  t.throws(() => (tensor.softmax as (...args: number[]) => Tensor)(0, 2 ** 40), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /'dtype'/,
  })
  t.throws(() => (tensor.logSoftmax as (...args: number[]) => Tensor)(0, 6), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /'dtype'/,
  })
  t.throws(() => tensor.select('float32' as never, 0), { code: 'ERR_INVALID_ARGUMENT', message: /'dim'/ })
  t.throws(() => tensor.to({ device: 'cuda:99' }), { code: 'ERR_DEVICE' })
})

for (const seed of [1, 2]) {
  test.serial(`junk for arguments is refused with typed errors and never crashes, seed ${seed}`, async (t) => {
    const program = join(packageRoot, 'dist', 'test', 'support', 'fuzz-operators.js')
    const child = await run(process.execPath, [program, String(seed), '3000'], { timeout: 60_000 })
    t.is(child.signal, null, child.stderr)
    t.is(child.code, 0, child.stderr)
    const [, calls, refused] = /^(\d+) calls, (\d+) refused/.exec(child.stdout) ?? []
    t.true(Number(calls) === 3000 && Number(refused) < 2900, child.stdout)
    t.log(child.stdout.trim())
  })
}
