import type { Tensor, TensorOperators } from '../../lib/index.js'

/** The inputs of test/python/operator_values.py. */
export type Inputs = Record<
  'a' | 'b' | 'p' | 'row' | 'image' | 'square' | 'odd' | 'n' | 'index' | 'mask' | 'other_mask',
  Tensor
>

/** One call, in Python's words and in this package's. */
export type Case = readonly [python: string, here: (inputs: Inputs) => Tensor | readonly Tensor[]]

/** Calls of every operator in the table, over all its overloads and options. */
export const operatorCases: Record<keyof TensorOperators, readonly Case[]> = {
  add: [
    ['a.add(b)', ({ a, b }) => a.add(b)],
    ['a.add(2)', ({ a }) => a.add(2)],
    ['a.add(row, alpha=0.5)', ({ a, row }) => a.add(row, { alpha: 0.5 })],
    ['n.add(0.5)', ({ n }) => n.add(0.5)],
    ['n.add(3)', ({ n }) => n.add(3)],
    ['a.add(n)', ({ a, n }) => a.add(n)],
  ],
  sub: [
    ['a.sub(b)', ({ a, b }) => a.sub(b)],
    ['a.sub(1.5, alpha=2)', ({ a }) => a.sub(1.5, { alpha: 2 })],
  ],
  mul: [
    ['a.mul(b)', ({ a, b }) => a.mul(b)],
    ['a.mul(-0.5)', ({ a }) => a.mul(-0.5)],
    ['n.mul(row)', ({ n, row }) => n.mul(row)],
  ],
  div: [
    ['a.div(p)', ({ a, p }) => a.div(p)],
    ['n.div(2)', ({ n }) => n.div(2)],
    ['n.div(2, rounding_mode="floor")', ({ n }) => n.div(2, { roundingMode: 'floor' })],
    ['a.div(p, rounding_mode="trunc")', ({ a, p }) => a.div(p, { roundingMode: 'trunc' })],
  ],
  pow: [
    ['a.pow(2)', ({ a }) => a.pow(2)],
    ['p.pow(-0.5)', ({ p }) => p.pow(-0.5)],
    ['p.pow(b)', ({ p, b }) => p.pow(b)],
  ],
  remainder: [
    ['a.remainder(p)', ({ a, p }) => a.remainder(p)],
    ['n.remainder(3)', ({ n }) => n.remainder(3)],
  ],
  maximum: [['a.maximum(b)', ({ a, b }) => a.maximum(b)]],
  minimum: [['a.minimum(row)', ({ a, row }) => a.minimum(row)]],
  matmul: [
    ['a.matmul(square)', ({ a, square }) => a.matmul(square)],
    ['square.matmul(row)', ({ square, row }) => square.matmul(row)],
  ],

  neg: [['n.neg()', ({ n }) => n.neg()]],
  abs: [['a.abs()', ({ a }) => a.abs()]],
  sign: [['a.sign()', ({ a }) => a.sign()]],
  exp: [['a.exp()', ({ a }) => a.exp()]],
  log: [['p.log()', ({ p }) => p.log()]],
  sqrt: [['p.sqrt()', ({ p }) => p.sqrt()]],
  square: [['a.square()', ({ a }) => a.square()]],
  tanh: [['a.tanh()', ({ a }) => a.tanh()]],
  sigmoid: [['a.sigmoid()', ({ a }) => a.sigmoid()]],
  relu: [['a.relu()', ({ a }) => a.relu()]],
  round: [['odd.detach()[[0, 1, 2, 6, 7]].round()', ({ odd }) => odd.indexSelect(0, [0, 1, 2, 6, 7]).detach().round()]],
  floor: [['a.floor()', ({ a }) => a.floor()]],
  ceil: [['a.ceil()', ({ a }) => a.ceil()]],
  isnan: [['odd.isnan()', ({ odd }) => odd.isnan()]],
  isfinite: [['odd.isfinite()', ({ odd }) => odd.isfinite()]],
  clamp: [
    ['a.clamp(-1, 0.5)', ({ a }) => a.clamp(-1, 0.5)],
    ['a.clamp(max=0)', ({ a }) => a.clamp(null, 0)],
    ['a.clamp(0)', ({ a }) => a.clamp(0)],
    ['a.clamp(b, b + 1)', ({ a, b }) => a.clamp(b, b.add(1))],
  ],
  softmax: [['a.softmax(1)', ({ a }) => a.softmax(1)]],
  logSoftmax: [['a.log_softmax(-1)', ({ a }) => a.logSoftmax(-1)]],

  eq: [
    ['n.eq(2)', ({ n }) => n.eq(2)],
    ['a.eq(a)', ({ a }) => a.eq(a)],
  ],
  ne: [['n.ne(2)', ({ n }) => n.ne(2)]],
  lt: [['a.lt(b)', ({ a, b }) => a.lt(b)]],
  le: [['n.le(0)', ({ n }) => n.le(0)]],
  gt: [['a.gt(0.5)', ({ a }) => a.gt(0.5)]],
  ge: [['n.ge(n.neg())', ({ n }) => n.ge(n.neg())]],
  logicalNot: [['mask.logical_not()', ({ mask }) => mask.logicalNot()]],
  logicalAnd: [['mask.logical_and(other_mask)', ({ mask, other_mask }) => mask.logicalAnd(other_mask)]],
  logicalOr: [['mask.logical_or(other_mask)', ({ mask, other_mask }) => mask.logicalOr(other_mask)]],
  where: [
    ['torch.where(mask, a, b)', ({ mask, a, b }) => mask.where(a, b)],
    ['torch.where(mask, a, 0.5)', ({ mask, a }) => mask.where(a, 0.5)],
    ['torch.where(mask, -1.0, b)', ({ mask, b }) => mask.where(-1, b)],
    ['torch.where(mask, 1, 0)', ({ mask }) => mask.where(1, 0)],
  ],
  maskedFill: [['a.masked_fill(mask, 7)', ({ a, mask }) => a.maskedFill(mask, 7)]],

  sum: [
    ['a.sum()', ({ a }) => a.sum()],
    ['n.sum()', ({ n }) => n.sum()],
    ['a.sum(1)', ({ a }) => a.sum(1)],
    ['a.sum((0, 2), keepdim=True)', ({ a }) => a.sum([0, 2], true)],
  ],
  mean: [
    ['a.mean()', ({ a }) => a.mean()],
    ['a.mean(-1)', ({ a }) => a.mean(-1)],
    ['image.mean((2, 3), keepdim=True)', ({ image }) => image.mean([2, 3], true)],
  ],
  prod: [
    ['p.prod()', ({ p }) => p.prod()],
    ['a.prod(1, keepdim=True)', ({ a }) => a.prod(1, true)],
  ],
  std: [
    ['a.std()', ({ a }) => a.std()],
    ['a.std(1, correction=0, keepdim=True)', ({ a }) => a.std(1, { correction: 0, keepdim: true })],
  ],
  var: [['a.var((0, 1), correction=1)', ({ a }) => a.var([0, 1], { correction: 1 })]],
  amax: [['a.amax((1, 2))', ({ a }) => a.amax([1, 2])]],
  amin: [['a.amin(0, keepdim=True)', ({ a }) => a.amin(0, true)]],
  max: [
    ['a.max()', ({ a }) => a.max()],
    ['a.max(1)', ({ a }) => a.max(1)],
    ['a.max(-1, keepdim=True)', ({ a }) => a.max(-1, true)],
  ],
  min: [
    ['a.min()', ({ a }) => a.min()],
    ['a.min(0)', ({ a }) => a.min(0)],
  ],
  argmax: [
    ['a.argmax()', ({ a }) => a.argmax()],
    ['a.argmax(1, keepdim=True)', ({ a }) => a.argmax(1, true)],
  ],
  argmin: [['a.argmin(-1)', ({ a }) => a.argmin(-1)]],
  any: [
    ['mask.any()', ({ mask }) => mask.any()],
    ['mask.any(2)', ({ mask }) => mask.any(2)],
  ],
  all: [
    ['mask.all()', ({ mask }) => mask.all()],
    ['mask.all(0, keepdim=True)', ({ mask }) => mask.all(0, true)],
  ],
  cumsum: [['a.cumsum(1)', ({ a }) => a.cumsum(1)]],
  norm: [
    ['a.norm()', ({ a }) => a.norm()],
    ['a.norm(p=1, dim=(1, 2))', ({ a }) => a.norm(1, [1, 2])],
  ],
  topk: [
    ['a.topk(2)', ({ a }) => a.topk(2)],
    ['a.topk(1, 1, False, True)', ({ a }) => a.topk(1, 1, false, true)],
  ],
  sort: [['a.sort(1, descending=True)', ({ a }) => a.sort(1, true)]],

  select: [['a.select(1, -1)', ({ a }) => a.select(1, -1)]],
  slice: [
    ['a[1:]', ({ a }) => a.slice(0, 1)],
    ['a[:, :, -3:-1]', ({ a }) => a.slice(2, -3, -1)],
    ['a[:, ::2]', ({ a }) => a.slice(1, null, null, 2)],
    ['a[:, 3:]', ({ a }) => a.slice(1, 3)],
  ],
  narrow: [['a.narrow(2, 1, 2)', ({ a }) => a.narrow(2, 1, 2)]],
  gather: [['a.gather(1, index)', ({ a, index }) => a.gather(1, index)]],
  reshape: [['a.reshape(4, -1)', ({ a }) => a.reshape([4, -1])]],
  flatten: [
    ['a.flatten()', ({ a }) => a.flatten()],
    ['image.flatten(1, 2)', ({ image }) => image.flatten(1, 2)],
  ],
  permute: [['a.permute(2, 0, 1)', ({ a }) => a.permute([2, 0, 1])]],
  transpose: [['a.transpose(0, -1)', ({ a }) => a.transpose(0, -1)]],
  squeeze: [
    ['a[:1, :, :1].squeeze()', ({ a }) => a.slice(0, 0, 1).slice(2, 0, 1).squeeze()],
    ['a[:1, :, :1].squeeze(0)', ({ a }) => a.slice(0, 0, 1).slice(2, 0, 1).squeeze(0)],
  ],
  unsqueeze: [['a.unsqueeze(-1)', ({ a }) => a.unsqueeze(-1)]],
  expand: [['row.expand(3, -1)', ({ row }) => row.expand([3, -1])]],
  repeat: [['row.repeat(2, 3)', ({ row }) => row.repeat([2, 3])]],
  flip: [['a.flip((0, 2))', ({ a }) => a.flip([0, 2])]],
  split: [['a.split(2, 1)', ({ a }) => a.split(2, 1)]],
  unbind: [['a.unbind(1)', ({ a }) => a.unbind(1)]],
  contiguous: [
    ['a.transpose(0, 2).contiguous()', ({ a }) => a.transpose(0, 2).contiguous()],
    [
      'image.contiguous(memory_format=torch.channels_last)',
      ({ image }) => image.contiguous({ memoryFormat: 'channelsLast' }),
    ],
  ],
  clone: [['a.clone()', ({ a }) => a.clone()]],
  detach: [['a.detach()', ({ a }) => a.detach()]],

  adaptiveAvgPool2d: [['F.adaptive_avg_pool2d(image, (2, 3))', ({ image }) => image.adaptiveAvgPool2d([2, 3])]],
  adaptiveMaxPool2d: [
    ['F.adaptive_max_pool2d(image, (3, 2), return_indices=True)', ({ image }) => image.adaptiveMaxPool2d([3, 2])],
  ],
  avgPool2d: [
    ['F.avg_pool2d(image, 2)', ({ image }) => image.avgPool2d(2)],
    ['F.avg_pool2d(image, (3, 2), stride=(1, 2), padding=1)', ({ image }) => image.avgPool2d([3, 2], [1, 2], 1)],
  ],
  pad: [
    ['F.pad(a, (1, 2))', ({ a }) => a.pad([1, 2])],
    ['F.pad(image, (1, 1, 2, 0), "constant", 0.5)', ({ image }) => image.pad([1, 1, 2, 0], 'constant', 0.5)],
    ['F.pad(image, (1, 1, 2, 2), "reflect")', ({ image }) => image.pad([1, 1, 2, 2], 'reflect')],
  ],
}
