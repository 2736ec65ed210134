// Calls every operator with arguments that make no sense, for a while. Any refusal must be a GradCamError; the process
// must end by itself. Run by tensor.test.ts with a seed and a number of calls: the same seed makes the
// same calls.
import { GradCamError, Tensor, interpolate, liveTensors, manualSeed, tidy } from '../../lib/index.js'
import { operators } from '../../lib/tensor/operators.js'

const [seed = '1', calls = '1000'] = process.argv.slice(2)
manualSeed(Number(seed))

/** Mulberry32: the same numbers for the same seed. */
let state = Number(seed)
function random(below: number): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below
}
const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item

const disposed = Tensor.zeros([1])
disposed.dispose()
const tensors = [
  Tensor.randn([2, 3, 4]),
  Tensor.randn([1, 3, 6, 8]),
  Tensor.randn([3]),
  Tensor.full([], 2),
  Tensor.zeros([0]),
  Tensor.zeros([2, 0, 3]),
  Tensor.arange(0, 4),
  Tensor.from([true, false, true]),
  Tensor.zeros([2, 2], { dtype: 'uint8' }),
  Tensor.ones([2, 3], { dtype: 'float16' }),
  Tensor.ones([2, 3, 4], { dtype: 'bfloat16' }),
  Tensor.randn([4, 3]).transpose(0, 1),
  disposed,
]

// Sizes are small, or so large that no memory would do: what lies between would only try the machine's patience.
// prettier-ignore
const junk: readonly unknown[] = [
  undefined, null, NaN, Infinity, -Infinity, 0, -0, 1, -1, 2, 3, 7, -100, 0.5, 2 ** 53 - 1, 2 ** 53, -(2 ** 60), 1e308,
  10n, 2n ** 62n, 2n ** 64n, true, false, '', 'x', 'float32', 'cuda:7', 'reflect', 'contiguous', '\0', '💥',
  Symbol('s'), () => 1, class {}, new Date(0), /x/, new Map(), Promise.resolve(), new ArrayBuffer(4),
  new Float32Array(3), new BigInt64Array(1), {}, { dim: 1 }, { alpha: 'x' }, { keepdim: 1 }, { nonsense: 1 },
  { correction: -5 }, { then: 1 }, Object.create(null), new Proxy({}, {}), new Error('x'), Tensor,
  [], [[]], [0], [1], [-1], [1, 2], [2, 3], [0, 0], [1, 1, 1, 1], [NaN], ['x'], [null], [2 ** 53 - 1], [undefined, 1],
  [tensors[0]], [disposed], new Array(70).fill(1), { handle: 1 },
]

const names = Object.keys(operators) as (keyof typeof operators)[]
const any = (): unknown => (random(3) === 0 ? pick(tensors) : pick(junk))

function call(): unknown {
  const args = Array.from({ length: random(5) }, any)
  const what = random(20)
  if (what === 0) return Tensor.cat(args as never, any() as never)
  if (what === 1) return Tensor.stack(args as never, any() as never)
  if (what === 2) return interpolate(pick(tensors), any() as never, any() as never)
  if (what === 3) return Tensor.from(any() as never, any() as never, any() as never)
  if (what === 4)
    return Tensor[pick(['zeros', 'full', 'arange', 'linspace'] as const)](...(args as [never, never, never]))
  if (what === 5) return pick(tensors).to(any() as never)
  if (what === 6) return pick(tensors).indexSelect(any() as never, any() as never)
  const method = pick(tensors)[pick(names)] as (...values: unknown[]) => unknown
  return method.apply(pick(tensors), args)
}

const before = liveTensors()
let refused = 0
for (let i = 0; i < Number(calls); i++) {
  const start = state
  try {
    tidy(() => void call())
  } catch (error) {
    if (!(error instanceof GradCamError)) {
      console.error(`seed ${start}: ${error instanceof Error ? error.stack : String(error)}`)
      process.exit(3)
    }
    refused++
  }
}
if (liveTensors() !== before) throw new Error(`${liveTensors() - before} tensors are left`)
console.log(`${calls} calls, ${refused} refused`)
