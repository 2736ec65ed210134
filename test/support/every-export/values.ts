import { Tensor, type ScriptModule } from '../../../lib/index.js'

/** What getters, traps and callbacks below throw: the caller's own error, which is passed on as it is. */
export class Trap extends Error {}

const spring = (): never => {
  throw new Trap('trap')
}

const trapped = new Proxy({}, { get: spring, has: spring, ownKeys: spring, getOwnPropertyDescriptor: spring })

function cyclic(): unknown[] {
  const list: unknown[] = []
  list.push(list)
  return list
}

function cyclicObject(): object {
  const object: Record<string, unknown> = {}
  object['self'] = object
  return object
}

function detached(): Float32Array {
  const array = new Float32Array(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}

function liar(): Float32Array {
  const array = new Float32Array(4)
  for (const [key, value] of Object.entries({ length: 1e8, byteLength: 4e8, byteOffset: 1e6 }))
    Object.defineProperty(array, key, { value })
  return array
}

function disposed(): Tensor {
  const tensor = Tensor.ones([2, 2])
  tensor.dispose()
  return tensor
}

/** One value of every kind that a caller may pass by mistake. They are made again for each use: calls may keep them. */
export const kinds: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  zero: () => 0,
  one: () => 1,
  minusOne: () => -1,
  fraction: () => 0.5,
  nan: () => NaN,
  infinity: () => Infinity,
  minusInfinity: () => -Infinity,
  huge: () => 2 ** 53 - 1,
  hugeFloat: () => 1e308,
  wide: () => 2 ** 32,
  bigint: () => 5n,
  hugeBigint: () => -(2n ** 70n),
  emptyString: () => '',
  string: () => 'x',
  nul: () => 'a\0b',
  prototypeName: () => '__proto__',
  longString: () => 'a'.repeat(100_000),
  symbol: () => Symbol('s'),
  function: () => () => undefined,
  throwingFunction: () => spring,
  asyncFunction: () => async () => await Promise.reject(new Trap('rejected')),
  class: () => class {},
  emptyArray: () => [],
  numbers: () => [1, 2],
  strings: () => ['x'],
  negative: () => [-1, -1],
  hugeSizes: () => [1e9, 1e9],
  ragged: () => [[1, 2], [3]],
  nested: () => [[[]]],
  cyclic,
  sparse: () => Array.from({ length: 3 }).fill(undefined, 0, 0) && new Array(5),
  throwingArray: () => Object.defineProperty([1, 2, 3], 1, { get: spring }),
  object: () => ({}),
  nullObject: () => Object.create(null) as object,
  cyclicObject,
  throwingGetter: () => ({
    get signal() {
      return spring()
    },
  }),
  trapped: () => trapped,
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  uninspectable: () => ({ [Symbol.for('nodejs.util.inspect.custom')]: spring }),
  badSignal: () => ({ signal: {} }),
  fakeSignal: () => ({ signal: { aborted: false, addEventListener: spring, removeEventListener: spring } }),
  forgedSignal: () => ({ signal: Object.create(AbortSignal.prototype) as AbortSignal }),
  nullSignal: () => ({ signal: null }),
  badTarget: () => ({ target: { kind: 'nope' } }),
  badDType: () => ({ dtype: 'float33', device: 7 }),
  badDevice: () => ({ device: 'gpu' }),
  thenable: () => ({ then: (resolve: (value: unknown) => void) => resolve(1) }),
  rejected: () => {
    const promise = Promise.reject(new Trap('rejected'))
    promise.catch(() => {})
    return promise
  },
  map: () => new Map([[1, 2]]),
  date: () => new Date(NaN),
  regExp: () => /x/,
  error: () => new Error('e'),
  url: () => new URL('http://x/'),
  fileUrl: () => new URL('file:///nope'),
  forgedUrl: () => Object.create(URL.prototype) as URL,
  bytes: () => new Uint8Array(7),
  emptyBytes: () => new Uint8Array(0),
  floats: () => new Float32Array([NaN, Infinity, -0, 1e-45]),
  bigints: () => new BigUint64Array(2),
  view: () => new DataView(new ArrayBuffer(8)),
  buffer: () => new ArrayBuffer(8),
  detached,
  liar,
  disposed,
  forgedTensor: () => Object.create(Tensor.prototype) as Tensor,
  proxyTensor: () => new Proxy(Tensor.ones([2, 2]), {}),
  scalarTensor: () => Tensor.ones([]),
  emptyTensor: () => Tensor.zeros([0, 3, 16, 20]),
  integers: () => Tensor.ones([2, 3, 16, 20], { dtype: 'int64' }),
  flags: () => Tensor.ones([2, 2], { dtype: 'bool' }),
  halves: () => Tensor.ones([2, 1, 4, 4], { dtype: 'float16' }),
  notFinite: () => Tensor.full([2, 3, 16, 20], NaN),
  wrongShape: () => Tensor.ones([2, 4, 16, 20]),
}

/** Models that cannot be used. */
export const badModels = (model: ScriptModule, gone: ScriptModule): Readonly<Record<string, () => unknown>> => ({
  disposedModel: () => gone,
  forgedModel: () => Object.create(Object.getPrototypeOf(model) as object) as object,
  proxyModel: () => new Proxy(model, {}),
  handle: () => model.handle,
})
