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
  add: operator<(other: Other, options?: { alpha?: number }) => Tensor>('add', 'Tensor', 'Scalar'),
  sub: operator<(other: Other, options?: { alpha?: number }) => Tensor>('sub', 'Tensor', 'Scalar'),
  mul: operator<Binary>('mul', 'Tensor', 'Scalar'),
  div: operator<(other: Other, options?: { roundingMode?: 'trunc' | 'floor' }) => Tensor>(
    'div',
    'Tensor',
    'Scalar',
    'Tensor_mode',
    'Scalar_mode',
  ),
  pow: operator<(exponent: Other) => Tensor>('pow', 'Tensor_Tensor', 'Tensor_Scalar'),
  remainder: operator<Binary>('remainder', 'Tensor', 'Scalar'),
  maximum: operator<(other: Tensor) => Tensor>('maximum'),
  minimum: operator<(other: Tensor) => Tensor>('minimum'),
  matmul: operator<(other: Tensor) => Tensor>('matmul'),

  neg: operator<Unary>('neg'),
  abs: operator<Unary>('abs'),
  sign: operator<Unary>('sign'),
  exp: operator<Unary>('exp'),
  log: operator<Unary>('log'),
  sqrt: operator<Unary>('sqrt'),
  square: operator<Unary>('square'),
  tanh: operator<Unary>('tanh'),
  sigmoid: operator<Unary>('sigmoid'),
  relu: operator<Unary>('relu'),
  round: operator<Unary>('round'),
  floor: operator<Unary>('floor'),
  ceil: operator<Unary>('ceil'),
  isnan: operator<Unary>('isnan'),
  isfinite: operator<Unary>('isfinite'),
  clamp: operator<(min?: Other | null, max?: Other | null) => Tensor>('clamp', '', 'Tensor'),
  softmax: operator<(dim: number) => Tensor>('softmax', 'int'),
  logSoftmax: operator<(dim: number) => Tensor>('log_softmax', 'int'),

  eq: operator<Binary>('eq', 'Tensor', 'Scalar'),
  ne: operator<Binary>('ne', 'Tensor', 'Scalar'),
  lt: operator<Binary>('lt', 'Tensor', 'Scalar'),
  le: operator<Binary>('le', 'Tensor', 'Scalar'),
  gt: operator<Binary>('gt', 'Tensor', 'Scalar'),
  ge: operator<Binary>('ge', 'Tensor', 'Scalar'),
  logicalNot: operator<Unary>('logical_not'),
  logicalAnd: operator<(other: Tensor) => Tensor>('logical_and'),
  logicalOr: operator<(other: Tensor) => Tensor>('logical_or'),
  /** On a bool tensor: `self` where it is true, `other` elsewhere. */
  where: operator<(self: Other, other: Other) => Tensor>('where', 'self', 'ScalarOther', 'ScalarSelf', 'Scalar'),
  maskedFill: operator<(mask: Tensor, value: Other) => Tensor>('masked_fill', 'Scalar', 'Tensor'),

  sum: operator<Reduction>('sum', 'dim_IntList', ''),
  mean: operator<Reduction>('mean', 'dim', ''),
  prod: operator<{ (): Tensor; (dim: number, keepdim?: boolean): Tensor }>('prod', 'dim_int', ''),
  std: operator<(dims?: Dims | null, options?: { correction?: number; keepdim?: boolean }) => Tensor>(
    'std',
    'correction',
  ),
  var: operator<(dims?: Dims | null, options?: { correction?: number; keepdim?: boolean }) => Tensor>(
    'var',
    'correction',
  ),
  amax: operator<Reduction>('amax'),
  amin: operator<Reduction>('amin'),
  max: operator<Extremum>('max', 'dim', ''),
  min: operator<Extremum>('min', 'dim', ''),
  argmax: operator<(dim?: number | null, keepdim?: boolean) => Tensor>('argmax'),
  argmin: operator<(dim?: number | null, keepdim?: boolean) => Tensor>('argmin'),
  any: operator<{ (): Tensor; (dim: number, keepdim?: boolean): Tensor }>('any', 'dim', ''),
  all: operator<{ (): Tensor; (dim: number, keepdim?: boolean): Tensor }>('all', 'dim', ''),
  cumsum: operator<(dim: number) => Tensor>('cumsum'),
  norm: operator<{ (): Tensor; (p: number, dims: Dims, keepdim?: boolean): Tensor }>('norm', 'ScalarOpt_dim', 'Scalar'),
  /** `[values, indices]` of the k largest along `dim` (the last one by default). */
  topk: operator<(k: number, dim?: number, largest?: boolean, sorted?: boolean) => [Tensor, Tensor]>('topk'),
  sort: operator<(dim?: number, descending?: boolean) => [Tensor, Tensor]>('sort'),

  select: operator<(dim: number, index: number) => Tensor>('select', 'int'),
  slice: operator<(dim?: number, start?: number | null, end?: number | null, step?: number) => Tensor>(
    'slice',
    'Tensor',
  ),
  narrow: operator<(dim: number, start: number, length: number) => Tensor>('narrow'),
  gather: operator<(dim: number, index: Tensor) => Tensor>('gather'),
  reshape: operator<(shape: readonly number[]) => Tensor>('reshape'),
  flatten: operator<(startDim?: number, endDim?: number) => Tensor>('flatten', 'using_ints'),
  permute: operator<(dims: readonly number[]) => Tensor>('permute'),
  transpose: operator<(dim0: number, dim1: number) => Tensor>('transpose', 'int'),
  squeeze: operator<{ (): Tensor; (dim: number): Tensor }>('squeeze', 'dim', ''),
  unsqueeze: operator<(dim: number) => Tensor>('unsqueeze'),
  expand: operator<(shape: readonly number[]) => Tensor>('expand'),
  repeat: operator<(repeats: readonly number[]) => Tensor>('repeat'),
  flip: operator<(dims: readonly number[]) => Tensor>('flip'),
  split: operator<(splitSize: number, dim?: number) => Tensor[]>('split', 'Tensor'),
  unbind: operator<(dim?: number) => Tensor[]>('unbind', 'int'),
  contiguous: operator<(options?: { memoryFormat?: 'contiguous' | 'channelsLast' }) => Tensor>('contiguous'),
  /** A tensor with the same elements in memory of its own, on the graph. */
  clone: operator<Unary>('clone'),
  /** The same memory, off the graph. */
  detach: operator<Unary>('detach'),

  adaptiveAvgPool2d: operator<(outputSize: readonly [number, number]) => Tensor>('adaptive_avg_pool2d'),
  adaptiveMaxPool2d: operator<(outputSize: readonly [number, number]) => [Tensor, Tensor]>('adaptive_max_pool2d'),
  avgPool2d: operator<(kernelSize: Dims, stride?: Dims, padding?: Dims) => Tensor>('avg_pool2d'),
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
  bilinear: operator('upsample_bilinear2d', 'vec'),
  bicubic: operator('upsample_bicubic2d', 'vec'),
  bilinearAntialias: operator('_upsample_bilinear2d_aa', 'vec'),
  bicubicAntialias: operator('_upsample_bicubic2d_aa', 'vec'),
  sortStable: operator('sort', 'stable'),
  conv2d: operator('conv2d', ''),
  searchsorted: operator('searchsorted', 'Tensor'),
} satisfies Record<string, Operator<unknown>>
