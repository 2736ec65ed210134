import type { TensorHandle } from '../addon/native-values.js'
import { native } from '../addon/native.js'
import { cancellable, type CallOptions } from '../addon/abort.js'
import { callOperator } from './dispatch.js'
import { bytesToArray, type DType, type TensorOptions, type TypedArray } from './dtype.js'
import { fromNested, fromView, type NestedNumbers } from './elements.js'
import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { interpolate, type InterpolateOptions } from './interpolate.js'
import { functions, operators, type TensorOperators } from './operators.js'
import { checkShape, checkTensorOptions } from './tensor-options.js'
import { addToScope } from './tidy.js'

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the methods come from the table, see the end
export interface Tensor extends TensorOperators {}

/**
 * A tensor of LibTorch, on the CPU or a CUDA device, that may take part in a graph of gradients. Its memory is freed by
 * `dispose()`, or at the end of the block of a `using` declaration; the garbage collector is only a back-stop, which for
 * large tensors comes too late.
 *
 * Operators are synchronous and run on the calling thread, as hooks do; models and `backward` run on executor threads.
 */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging
export class Tensor {
  readonly #handle: TensorHandle
  #shape: readonly number[] | undefined
  #disposed = false

  private constructor(handle: TensorHandle) {
    this.#handle = handle
    addToScope(this)
  }

  /** True of real tensors alone: what merely has the prototype, such as a Proxy, has no elements to work with. */
  static [Symbol.hasInstance](value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #handle in value
  }

  /** @internal Takes over a native handle. */
  static own(handle: TensorHandle): Tensor {
    return new Tensor(handle)
  }

  /**
   * A tensor with a copy of `data`.
   *
   * @param data a typed array, whose dtype it takes, or numbers in nested arrays, which make float32 (bool for booleans,
   *   int64 for bigints) unless `dtype` is given
   * @param shape of the tensor; by default the shape of the nested arrays, or one dimension for a typed array
   * @throws GradCamError ERR_SHAPE when the number of elements differs from the shape's, or nested arrays are ragged;
   *   ERR_INVALID_ARGUMENT for a typed array whose buffer was transferred away; ERR_DTYPE, ERR_DEVICE
   */
  static from(data: TypedArray | NestedNumbers, shape?: readonly number[], options: TensorOptions = {}): Tensor {
    const { dtype: requested, device } = checkTensorOptions(options)
    // The shape and the options are read before the elements: reading them may call functions of the caller.
    const given = shape === undefined ? undefined : checkShape('shape', shape)
    const { bytes, length, dtype, naturalShape } = ArrayBuffer.isView(data)
      ? fromView(data)
      : fromNested(data, requested)
    const sizes = given ?? naturalShape
    const elements = sizes.reduce((product, size) => product * size, 1)
    if (elements !== length)
      throw new GradCamError(
        'ERR_SHAPE',
        `The shape [${sizes.join(', ')}] has ${elements} elements, but the data has ${length}.`,
        { details: { shape: sizes, elements, length } },
      )
    const tensor = new Tensor(native().tensor(bytes, dtype, sizes, device ?? 'cpu'))
    if (requested === undefined || requested === dtype) return tensor
    using source = tensor
    return source.to({ dtype: requested })
  }

  /** Zeros, float32 on the CPU unless `options` say otherwise. */
  static zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
    return callOperator(functions.zeros, checkShape('shape', shape), checkTensorOptions(options))
  }

  /** Ones, float32 on the CPU unless `options` say otherwise. */
  static ones(shape: readonly number[], options: TensorOptions = {}): Tensor {
    return callOperator(functions.ones, checkShape('shape', shape), checkTensorOptions(options))
  }

  /** Float32 unless `dtype` is given. */
  static full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
    const given = { dtype: 'float32', ...checkTensorOptions(options) }
    return callOperator(functions.full, checkShape('shape', shape), value, given)
  }

  /** Uniform in [0, 1). */
  static rand(shape: readonly number[], options: TensorOptions = {}): Tensor {
    return callOperator(functions.rand, checkShape('shape', shape), checkTensorOptions(options))
  }

  /** Normal with mean 0 and variance 1. */
  static randn(shape: readonly number[], options: TensorOptions = {}): Tensor {
    return callOperator(functions.randn, checkShape('shape', shape), checkTensorOptions(options))
  }

  /** Integers from `start` up to, not including, `end`: int64 unless `dtype` is given. */
  static arange(start: number, end: number, step = 1, options: TensorOptions = {}): Tensor {
    return callOperator(functions.arange, start, end, step, checkTensorOptions(options))
  }

  /** [steps] evenly spaced numbers from `start` to `end`, both included. */
  static linspace(start: number, end: number, steps: number, options: TensorOptions = {}): Tensor {
    return callOperator(functions.linspace, start, end, steps, checkTensorOptions(options))
  }

  /** Joins tensors along a dimension that they have. */
  static cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return callOperator(functions.cat, checkTensors('tensors', tensors), dim)
  }

  /** Joins tensors of one shape along a new dimension. */
  static stack(tensors: readonly Tensor[], dim = 0): Tensor {
    return callOperator(functions.stack, checkTensors('tensors', tensors), dim)
  }

  /** @internal The native tensor. */
  get handle(): TensorHandle {
    if (#handle in this) return this.#handle
    throw invalid('this', 'a Tensor', this)
  }

  /** The size of each dimension; [] for a scalar. */
  get shape(): readonly number[] {
    const { handle } = this
    return (this.#shape ??= Object.freeze(handle.shape))
  }

  /** The number of elements. */
  get size(): number {
    return this.shape.reduce((product, size) => product * size, 1)
  }

  /** The type of the elements. */
  get dtype(): DType {
    return this.handle.dtype as DType
  }

  /** 'cpu', 'cuda:0', ... */
  get device(): string {
    return this.handle.device
  }

  /** Whether it was disposed: any other use throws ERR_DISPOSED. */
  get disposed(): boolean {
    void this.handle // refuses what is not a tensor
    return this.#disposed
  }

  /** Whether operators on this tensor record a graph for `backward`. May be set on a tensor that no operator made. */
  get requiresGrad(): boolean {
    return this.handle.requiresGrad
  }

  /** Starts or ends recording of a graph at this tensor; floating point only. */
  set requiresGrad(value: boolean) {
    this.handle.requiresGrad = expect.boolean('requiresGrad', value)
  }

  /** The gradient that `backward` has added up here, as a tensor of its own to dispose; null where there is none. */
  get grad(): Tensor | null {
    const grad = this.handle.grad
    return grad && new Tensor(grad)
  }

  /**
   * Adds the gradient of this tensor to the `grad` of every tensor it was computed from that requires one.
   *
   * @param options.gradient the gradient of what is to be differentiated with respect to this tensor, of its shape; needed
   *   unless this tensor has a single element
   * @param options.retainGraph keep the graph for another call
   * @throws GradCamError ERR_NO_GRADIENT when it depends on nothing that requires a gradient, ERR_SHAPE
   */
  async backward(options: CallOptions & { gradient?: Tensor; retainGraph?: boolean } = {}): Promise<void> {
    const { signal, gradient, retainGraph = false } = expect.options(options)
    expect.boolean('retainGraph', retainGraph)
    const given = gradient === undefined ? null : checkTensor('gradient', gradient).handle
    await cancellable(signal, (ticket) => native().backward(this.handle, given, retainGraph, ticket))
  }

  /** The same elements in another dtype or on another device. */
  to(options: TensorOptions): Tensor {
    const { dtype = this.dtype, device } = checkTensorOptions(options)
    if (device === undefined) return callOperator({ ...functions.to, overloads: ['dtype'] }, this, dtype)
    return callOperator({ ...functions.to, overloads: ['device'] }, this, device, dtype)
  }

  /** The slices at `index` along `dim`, in the order of `index`. */
  indexSelect(dim: number, index: Tensor | readonly number[]): Tensor {
    if (index instanceof Tensor) return callOperator(functions.indexSelect, this, dim, index)
    const list = toList(index)
    if (!list?.every((position) => Number.isSafeInteger(position)))
      throw invalid('index', 'a Tensor or an array of integers', index)
    using positions = Tensor.from(BigInt64Array.from(list as readonly number[], BigInt), [list.length], {
      device: this.device,
    })
    return callOperator(functions.indexSelect, this, dim, positions)
  }

  /** See {@link interpolate}. */
  interpolate(size: readonly [number, number], options?: InterpolateOptions): Tensor {
    return interpolate(this, size, options)
  }

  /**
   * The elements in row-major order, copied to a typed array of their dtype: float16 and bfloat16 come as Float32Array,
   * int64 as BigInt64Array, bool as Uint8Array.
   */
  toTypedArray(): TypedArray {
    if (this.dtype === 'float16' || this.dtype === 'bfloat16') {
      using wide = this.to({ dtype: 'float32' })
      return wide.toTypedArray()
    }
    return bytesToArray(this.handle.bytes(), this.dtype)
  }

  /** The elements as numbers in nested arrays; a number for a tensor without dimensions. */
  tolist(): NestedNumbers {
    const flat = Array.from(this.toTypedArray() as ArrayLike<number>, Number)
    const nest = (depth: number, start: number, length: number): NestedNumbers => {
      const size = this.shape[depth]
      if (size === undefined) return flat[start] as number
      const stride = size === 0 ? 0 : length / size
      return Array.from({ length: size }, (_, i) => nest(depth + 1, start + i * stride, stride))
    }
    return nest(0, 0, flat.length)
  }

  /** The single element as a number. */
  item(): number {
    if (this.size !== 1)
      throw new GradCamError('ERR_SHAPE', `item() requires one element, but the shape is [${this.shape.join(', ')}].`)
    return Number(this.toTypedArray()[0])
  }

  /** Frees the memory, or this tensor's share in it. Safe to call again. */
  dispose(): void {
    this.handle.dispose()
    this.#disposed = true
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** Shape, dtype and device in a few words. */
  toString(): string {
    return this.#disposed ? 'Tensor (disposed)' : `Tensor [${this.shape.join(', ')}] ${this.dtype} ${this.device}`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

for (const [name, op] of Object.entries(operators))
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: never[]) {
      return callOperator<unknown>(op, this, ...args)
    },
    configurable: true,
    writable: true,
  })

/** @internal Refuses anything but a Tensor. */
export function checkTensor(name: string, value: unknown): Tensor {
  if (value instanceof Tensor) return value
  throw invalid(name, 'a Tensor', value)
}

/**
 * @internal Refuses anything but a Tensor of some shape.
 *
 * @param shape in words, e.g. '[N, C, H, W]', and whether one is such
 */
export function checkTensorShape(
  name: string,
  value: unknown,
  shape: string,
  fits: (sizes: readonly number[]) => boolean,
): Tensor {
  const tensor = checkTensor(name, value)
  if (fits(tensor.shape)) return tensor
  const details = { argument: name, expected: shape, shape: tensor.shape }
  throw new GradCamError('ERR_SHAPE', `\`${name}\` must be ${shape}, but is [${tensor.shape.join(', ')}].`, { details })
}

function checkTensors(name: string, value: unknown): readonly Tensor[] {
  const list = toList(value)
  if (list?.every((item) => item instanceof Tensor)) return list
  throw invalid(name, 'an array of Tensors', value)
}
