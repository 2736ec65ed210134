import type { Tensor } from './tensor.js'

/** An operator of LibTorch's dispatcher: its name, and the overloads to try, in order, for the arguments given. */
export interface Operator<Signature> {
  readonly name: string
  readonly overloads: readonly string[]
  /** Only for TypeScript: how the operator is called as a method of its first argument. */
  readonly signature?: Signature
}

function operator<Signature>(name: string, ...overloads: string[]): Operator<Signature> {
  return { name: `aten::${name}`, overloads: overloads.length > 0 ? overloads : [''] }
}

type Other = Tensor | number
type Dims = number | readonly number[]
type Unary = () => Tensor
type Binary = (other: Other) => Tensor
type Reduction = (dims?: Dims, keepdim?: boolean) => Tensor
/** Without a dimension one element of the whole tensor, with one `[values, indices]` along it. */
type Extremum = { (): Tensor; (dim: number, keepdim?: boolean): [Tensor, Tensor] }

/**
 * The operators that a tensor has as methods. The addon converts arguments by LibTorch's own schema, so a new operator is
 * one line here: the name, the overloads, and the TypeScript signature. Shapes, broadcasting and dtype promotion are
 * PyTorch's, and so are the names, in camelCase. None changes its tensor in place, all record a graph.
 */
export const operators = {
  /** `self + alpha * other`, elementwise. */
  add: operator<(other: Other, options?: { alpha?: number }) => Tensor>('add', 'Tensor', 'Scalar'),
  /** `self - alpha * other`, elementwise. */
  sub: operator<(other: Other, options?: { alpha?: number }) => Tensor>('sub', 'Tensor', 'Scalar'),
  /** Elementwise product. */
  mul: operator<Binary>('mul', 'Tensor', 'Scalar'),
  /** Elementwise quotient; `roundingMode: 'floor'` or `'trunc'` rounds it. */
  div: operator<(other: Other, options?: { roundingMode?: 'trunc' | 'floor' }) => Tensor>(
    'div',
    'Tensor',
    'Scalar',
    'Tensor_mode',
    'Scalar_mode',
  ),
  /** Elementwise power. */
  pow: operator<(exponent: Other) => Tensor>('pow', 'Tensor_Tensor', 'Tensor_Scalar'),
  /** Elementwise remainder with the sign of the divisor, as Python has it. */
  remainder: operator<Binary>('remainder', 'Tensor', 'Scalar'),
  /** Elementwise larger value; NaN where either is NaN. */
  maximum: operator<(other: Tensor) => Tensor>('maximum'),
  /** Elementwise smaller value; NaN where either is NaN. */
  minimum: operator<(other: Tensor) => Tensor>('minimum'),
  /** Matrix product of the last two dimensions, batched over the others. */
  matmul: operator<(other: Tensor) => Tensor>('matmul'),

  /** `-self`. */
  neg: operator<Unary>('neg'),
  /** Absolute value. */
  abs: operator<Unary>('abs'),
  /** -1, 0 or 1. */
  sign: operator<Unary>('sign'),
  /** e to the power of each element. */
  exp: operator<Unary>('exp'),
  /** Natural logarithm. */
  log: operator<Unary>('log'),
  /** Square root. */
  sqrt: operator<Unary>('sqrt'),
  /** Each element times itself. */
  square: operator<Unary>('square'),
  /** Hyperbolic tangent. */
  tanh: operator<Unary>('tanh'),
  /** `1 / (1 + exp(-self))`. */
  sigmoid: operator<Unary>('sigmoid'),
  /** `max(self, 0)`. */
  relu: operator<Unary>('relu'),
  /** Nearest integer; halves to the even one. */
  round: operator<Unary>('round'),
  /** Largest integer not above. */
  floor: operator<Unary>('floor'),
  /** Smallest integer not below. */
  ceil: operator<Unary>('ceil'),
  /** Bool: where an element is NaN. */
  isnan: operator<Unary>('isnan'),
  /** Bool: where an element is neither NaN nor infinite. */
  isfinite: operator<Unary>('isfinite'),
  /** Limits elements to [min, max]; null for no limit. */
  clamp: operator<(min?: Other | null, max?: Other | null) => Tensor>('clamp', '', 'Tensor'),
  /** Softmax along `dim`. */
  softmax: operator<(dim: number) => Tensor>('softmax', 'int'),
  /** Logarithm of the softmax along `dim`. */
  logSoftmax: operator<(dim: number) => Tensor>('log_softmax', 'int'),

  /** Bool: `self == other`. */
  eq: operator<Binary>('eq', 'Tensor', 'Scalar'),
  /** Bool: `self != other`. */
  ne: operator<Binary>('ne', 'Tensor', 'Scalar'),
  /** Bool: `self < other`. */
  lt: operator<Binary>('lt', 'Tensor', 'Scalar'),
  /** Bool: `self <= other`. */
  le: operator<Binary>('le', 'Tensor', 'Scalar'),
  /** Bool: `self > other`. */
  gt: operator<Binary>('gt', 'Tensor', 'Scalar'),
  /** Bool: `self >= other`. */
  ge: operator<Binary>('ge', 'Tensor', 'Scalar'),
  /** Bool: where an element is zero. */
  logicalNot: operator<Unary>('logical_not'),
  /** Bool: where both elements are not zero. */
  logicalAnd: operator<(other: Tensor) => Tensor>('logical_and'),
  /** Bool: where either element is not zero. */
  logicalOr: operator<(other: Tensor) => Tensor>('logical_or'),
  /** On a bool tensor: `self` where it is true, `other` elsewhere. */
  where: operator<(self: Other, other: Other) => Tensor>('where', 'self', 'ScalarOther', 'ScalarSelf', 'Scalar'),
  /** `value` where `mask` is true, the elements themselves elsewhere. */
  maskedFill: operator<(mask: Tensor, value: Other) => Tensor>('masked_fill', 'Scalar', 'Tensor'),

  /** Sum over `dims`, or over all elements. */
  sum: operator<Reduction>('sum', 'dim_IntList', ''),
  /** Mean over `dims`, or over all elements. */
  mean: operator<Reduction>('mean', 'dim', ''),
  /** Product along `dim`, or of all elements. */
  prod: operator<{ (): Tensor; (dim: number, keepdim?: boolean): Tensor }>('prod', 'dim_int', ''),
  /** Standard deviation over `dims`; `correction` is 1 by default, as in PyTorch. */
  std: operator<(dims?: Dims | null, options?: { correction?: number; keepdim?: boolean }) => Tensor>(
    'std',
    'correction',
  ),
  /** Variance over `dims`; `correction` is 1 by default, as in PyTorch. */
  var: operator<(dims?: Dims | null, options?: { correction?: number; keepdim?: boolean }) => Tensor>(
    'var',
    'correction',
  ),
  /** Largest element over `dims`, or of all. */
  amax: operator<Reduction>('amax'),
  /** Smallest element over `dims`, or of all. */
  amin: operator<Reduction>('amin'),
  /** The largest element of the whole tensor, or `[values, indices]` along `dim`. */
  max: operator<Extremum>('max', 'dim', ''),
  /** The smallest element of the whole tensor, or `[values, indices]` along `dim`. */
  min: operator<Extremum>('min', 'dim', ''),
  /** Int64: index of the largest element along `dim`, or in the flattened tensor. */
  argmax: operator<(dim?: number | null, keepdim?: boolean) => Tensor>('argmax'),
  /** Int64: index of the smallest element along `dim`, or in the flattened tensor. */
  argmin: operator<(dim?: number | null, keepdim?: boolean) => Tensor>('argmin'),
  /** Bool: whether any element is not zero, along `dim` or at all. */
  any: operator<{ (): Tensor; (dim: number, keepdim?: boolean): Tensor }>('any', 'dim', ''),
  /** Bool: whether all elements are not zero, along `dim` or at all. */
  all: operator<{ (): Tensor; (dim: number, keepdim?: boolean): Tensor }>('all', 'dim', ''),
  /** Running sum along `dim`. */
  cumsum: operator<(dim: number) => Tensor>('cumsum'),
  /** Euclidean norm of all elements, or the p-norm over `dims`. */
  norm: operator<{ (): Tensor; (p: number, dims: Dims, keepdim?: boolean): Tensor }>('norm', 'ScalarOpt_dim', 'Scalar'),
  /** `[values, indices]` of the k largest along `dim` (the last one by default). */
  topk: operator<(k: number, dim?: number, largest?: boolean, sorted?: boolean) => [Tensor, Tensor]>('topk'),
  /** `[values, indices]`, sorted along `dim` (the last one by default). */
  sort: operator<(dim?: number, descending?: boolean) => [Tensor, Tensor]>('sort'),

  /** One index of a dimension, which goes: a view. */
  select: operator<(dim: number, index: number) => Tensor>('select', 'int'),
  /** Elements from `start` up to `end` in steps along `dim`: a view. */
  slice: operator<(dim?: number, start?: number | null, end?: number | null, step?: number) => Tensor>(
    'slice',
    'Tensor',
  ),
  /** `length` elements from `start` on along `dim`: a view. */
  narrow: operator<(dim: number, start: number, length: number) => Tensor>('narrow'),
  /** Elements picked along `dim` by int64 indices of the shape of the result. */
  gather: operator<(dim: number, index: Tensor) => Tensor>('gather'),
  /** The same elements in another shape; -1 stands for one size to be computed. */
  reshape: operator<(shape: readonly number[]) => Tensor>('reshape'),
  /** Dimensions from `startDim` to `endDim` as one. */
  flatten: operator<(startDim?: number, endDim?: number) => Tensor>('flatten', 'using_ints'),
  /** Dimensions in another order: a view. */
  permute: operator<(dims: readonly number[]) => Tensor>('permute'),
  /** Two dimensions exchanged: a view. */
  transpose: operator<(dim0: number, dim1: number) => Tensor>('transpose', 'int'),
  /** Without dimensions of size 1: all of them, or `dim`. */
  squeeze: operator<{ (): Tensor; (dim: number): Tensor }>('squeeze', 'dim', ''),
  /** With a dimension of size 1 at `dim`. */
  unsqueeze: operator<(dim: number) => Tensor>('unsqueeze'),
  /** Dimensions of size 1 repeated without a copy: a view; -1 keeps a size. */
  expand: operator<(shape: readonly number[]) => Tensor>('expand'),
  /** Copies of the tensor, that many along each dimension. */
  repeat: operator<(repeats: readonly number[]) => Tensor>('repeat'),
  /** Reversed along `dims`. */
  flip: operator<(dims: readonly number[]) => Tensor>('flip'),
  /** Parts of `splitSize` along `dim` (0 by default): views. */
  split: operator<(splitSize: number, dim?: number) => Tensor[]>('split', 'Tensor'),
  /** One tensor for each index of `dim` (0 by default): views. */
  unbind: operator<(dim?: number) => Tensor[]>('unbind', 'int'),
  /** The same elements contiguous in memory, in this memory format; the tensor itself where they are. */
  contiguous: operator<(options?: { memoryFormat?: 'contiguous' | 'channelsLast' }) => Tensor>('contiguous'),
  /** A tensor with the same elements in memory of its own, on the graph. */
  clone: operator<Unary>('clone'),
  /** The same memory, off the graph. */
  detach: operator<Unary>('detach'),

  /** [N, C, H, W] averaged over regions to [N, C, ...outputSize]. */
  adaptiveAvgPool2d: operator<(outputSize: readonly [number, number]) => Tensor>('adaptive_avg_pool2d'),
  /** [N, C, H, W] to [N, C, ...outputSize] by maxima over regions: `[values, indices]`. */
  adaptiveMaxPool2d: operator<(outputSize: readonly [number, number]) => [Tensor, Tensor]>('adaptive_max_pool2d'),
  /** [N, C, H, W] averaged over windows. */
  avgPool2d: operator<(kernelSize: Dims, stride?: Dims, padding?: Dims) => Tensor>('avg_pool2d'),
  /** Padded from the last dimension on, `[left, right, top, bottom, ...]`, as torch.nn.functional.pad. */
  pad: operator<(pad: readonly number[], mode?: string, value?: number) => Tensor>('pad'),
}

/** The methods that the table above gives every {@link Tensor}. */
export type TensorOperators = {
  [Name in keyof typeof operators]: (typeof operators)[Name] extends Operator<infer Signature> ? Signature : never
}

/** An operator that is not a method of a tensor, e.g. one that takes a list of them. */
export const functions = {
  cat: operator('cat'),
  stack: operator('stack'),
  zeros: operator('zeros'),
  ones: operator('ones'),
  full: operator('full'),
  rand: operator('rand'),
  randn: operator('randn'),
  arange: operator('arange', '', 'start', 'start_step'),
  linspace: operator('linspace'),
  to: operator('to', 'device', 'dtype'),
  indexSelect: operator('index_select'),
  baddbmm: operator('baddbmm'),
  nearest: operator('upsample_nearest2d', 'vec'),
  linear1d: operator('upsample_linear1d', 'vec'),
  trilinear: operator('upsample_trilinear3d', 'vec'),
  nearest1d: operator('upsample_nearest1d', 'vec'),
  nearest3d: operator('upsample_nearest3d', 'vec'),
  bilinear: operator('upsample_bilinear2d', 'vec'),
  bicubic: operator('upsample_bicubic2d', 'vec'),
  bilinearAntialias: operator('_upsample_bilinear2d_aa', 'vec'),
  bicubicAntialias: operator('_upsample_bicubic2d_aa', 'vec'),
  sortStable: operator('sort', 'stable'),
  conv2d: operator('conv2d', ''),
  leastSquares: operator('linalg_lstsq'),
  searchsorted: operator('searchsorted', 'Tensor'),
} satisfies Record<string, Operator<unknown>>
