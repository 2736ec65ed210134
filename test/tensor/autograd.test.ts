import test from 'ava'
import { Tensor, liveTensors } from '../../lib/index.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'

/** The gradient of what `fn` makes of `at`, by central differences in plain JavaScript. */
function numerical(fn: (x: number[]) => number, at: number[]): number[] {
  const step = 1e-5
  return at.map((x, i) => (fn(at.with(i, x + step)) - fn(at.with(i, x - step))) / (2 * step))
}

const leaf = (data: number[], shape?: number[]): Tensor => {
  const tensor = Tensor.from(Float64Array.from(data), shape)
  tensor.requiresGrad = true
  return tensor
}

const values = (tensor: Tensor | null): number[] => [...((tensor as Tensor).toTypedArray() as Float64Array)]

test.serial('backward gives the gradient that differences give', async (t) => {
  const at = [0.3, -1.2, 2.5]
  const x = leaf(at)
  await x.mul(x).exp().mul(0.01).add(x.sigmoid()).sum().backward()
  const plain = (v: number[]): number => v.reduce((sum, n) => sum + Math.exp(n * n) * 0.01 + 1 / (1 + Math.exp(-n)), 0)
  for (const [i, expected] of numerical(plain, at).entries())
    t.true(Math.abs((values(x.grad)[i] as number) - expected) < 1e-5 * Math.max(1, Math.abs(expected)))
})

test.serial('gradients add up', async (t) => {
  using x = leaf([1, 2])
  t.is(x.grad, null)
  await x.mul(3).sum().backward()
  t.deepEqual(values(x.grad), [3, 3])
  await x.mul(x).sum().backward()
  t.deepEqual(values(x.grad), [5, 7])
})

test.serial('each read of grad is a tensor of its own', async (t) => {
  using x = leaf([1, 2])
  using product = x.mul(3)
  using sum = product.sum()
  await sum.backward()
  const before = await heldTensors()
  const grad = x.grad as Tensor
  t.is(liveTensors(), before + 1)
  using other = x.grad as Tensor
  t.is(liveTensors(), before + 2)
  grad.dispose()
  t.is(liveTensors(), before + 1)
  t.deepEqual(values(other), [3, 3])
})

test.serial('a gradient of its own for a tensor of many elements', async (t) => {
  const x = leaf([1, 2, 3])
  await x.mul(x).backward({ gradient: Tensor.from(Float64Array.of(1, 10, 100)) })
  t.deepEqual(values(x.grad), [2, 40, 600])
})

test.serial('retainGraph keeps the graph for another call, and without it there is none', async (t) => {
  const x = leaf([2])
  const y = x.exp().sum()
  await y.backward({ retainGraph: true })
  await y.backward()
  t.true(Math.abs((values(x.grad)[0] as number) - 2 * Math.exp(2)) < 1e-9)
  await t.throwsAsync(y.backward(), { code: 'ERR_TORCH', message: /second time/ })
})

test.serial('what has no gradient says so, and leaves no tensor behind', async (t) => {
  using plain = Tensor.ones([2])
  using three = Tensor.ones([3])
  using x = leaf([1, 2])
  using detached = x.detach()
  using index = x.argmax()
  using doubled = x.mul(2)
  using sum = x.sum()
  const gone = x.sum()
  gone.dispose()
  const before = await heldTensors()
  await t.throwsAsync(plain.backward(), { code: 'ERR_NO_GRADIENT', message: /requiresGrad/ })
  await t.throwsAsync(detached.backward(), { code: 'ERR_NO_GRADIENT' })
  await t.throwsAsync(index.backward(), { code: 'ERR_NO_GRADIENT' })
  await t.throwsAsync(doubled.backward(), { code: 'ERR_SHAPE', message: /gradient of its own/ })
  await t.throwsAsync(doubled.backward({ gradient: three }), { code: 'ERR_TORCH' })
  await t.throwsAsync(doubled.backward({ gradient: 'x' as never }), { code: 'ERR_INVALID_ARGUMENT' })
  await t.throwsAsync(gone.backward(), { code: 'ERR_DISPOSED' })
  await t.throwsAsync(sum.backward({ signal: AbortSignal.abort(new Error('mine')) }), { message: 'mine' })
  t.is(x.grad, null)
  t.is(await settledLiveTensors(before), before)
})

test.serial('requiresGrad is for tensors of numbers that no operator made', (t) => {
  const x = leaf([1])
  t.true(x.requiresGrad)
  t.true(x.mul(2).requiresGrad)
  t.false(x.detach().requiresGrad)
  t.false(x.gt(0).requiresGrad)
  x.requiresGrad = false
  t.false(x.mul(2).requiresGrad)
  t.throws(() => (Tensor.ones([1], { dtype: 'int64' }).requiresGrad = true), { code: 'ERR_TORCH', message: /floating/ })
  const y = leaf([1]).mul(2)
  t.throws(() => (y.requiresGrad = false), { code: 'ERR_INVALID_ARGUMENT', message: /detach\(\)/ })
  t.throws(() => (x.requiresGrad = 1 as never), { code: 'ERR_INVALID_ARGUMENT', message: /true or false/ })
})

test.serial('a graph outlives the tensors in it that were disposed', async (t) => {
  const x = leaf([3])
  const squared = x.mul(x)
  const sum = squared.sum()
  squared.dispose()
  await sum.backward()
  t.deepEqual(values(x.grad), [6])
})

test.serial('backward calls that overlap add up as if one came after another', async (t) => {
  const x = leaf([1, 2])
  await Promise.all(Array.from({ length: 20 }, async (_, i) => x.mul(i).sum().backward()))
  t.deepEqual(values(x.grad), [190, 190])
})
