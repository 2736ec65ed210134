// Loads the package as a user does and computes something: `node scripts/build/smoke.mjs [BUILDER]`. With a builder's name it
// also checks that the addon is that builder's.
import assert from 'node:assert/strict'
import { doctor, Tensor } from 'libtorch-gradcam'

const [builder] = process.argv.slice(2)

const numbers = Tensor.from([1, 2, 3], undefined, { dtype: 'float64' })
numbers.requiresGrad = true
const sum = numbers.mul(numbers).sum()
await sum.backward()
assert.equal(sum.item(), 14)
assert.deepEqual(numbers.grad?.tolist(), [2, 4, 6])

const report = await doctor()
const addon = report.checks.find(({ name }) => name === 'Addon')
assert.ok(report.ok, JSON.stringify(report.checks, null, 2))
assert.ok(addon)
if (builder) assert.equal(addon.details?.['builder'], builder)
console.log(`Node ${process.versions.node}: the addon ${addon.found}`)
