import test from 'ava'
import { Batcher } from '../../lib/batch/batcher.js'
import type { Ready } from '../../lib/batch/explain-batch.js'
import { Tensor } from '../../lib/index.js'

function filled(batchSize: number, count: number, flush: boolean): Batcher {
  const batcher = new Batcher(batchSize)
  for (let index = 0; index < count; index++) {
    const item = { index, id: `${index}`, source: null, tensor: null, target: 0 }
    const prepared = { input: Tensor.zeros([1, 3, 2, 2]), image: null, framing: null, sha256: null }
    batcher.put(index, { item, prepared, began: 0 })
  }
  for (const failure of batcher.advance()) throw failure.error
  if (flush) batcher.flush()
  return batcher
}

const indices = (batch: readonly Ready[]): number[] => batch.map(({ item }) => item.index)

test('after a batch for which memory ran out none is larger than half of it, and none is lost', (t) => {
  using _scope = { [Symbol.dispose]: () => batcher.dispose() }
  const batcher = filled(12, 30, true)
  const first = batcher.takeBatch()
  const underWay = batcher.takeBatch() // a second one, which fails after the first
  t.deepEqual([first.length, underWay.length], [12, 12])
  batcher.halve(first)
  const half = batcher.takeBatch()
  t.deepEqual(indices(half), [0, 1, 2, 3, 4, 5])
  batcher.halve(half)
  batcher.halve(underWay)
  const seen: number[] = []
  while (batcher.hasBatch) {
    const batch = batcher.takeBatch()
    t.true(batch.length >= 1 && batch.length <= 3, `${batch.length}`)
    seen.push(...indices(batch))
    for (const { prepared } of batch) prepared.input.dispose()
  }
  t.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: 30 }, (_, i) => i),
  )
})

test('inputs that were added before are in smaller batches, too', (t) => {
  const batcher = filled(8, 15, false)
  const batch = batcher.takeBatch()
  batcher.halve(batch)
  batcher.halve(batcher.takeBatch())
  batcher.flush()
  const sizes: number[] = []
  while (batcher.hasBatch) {
    const taken = batcher.takeBatch()
    sizes.push(taken.length)
    for (const { prepared } of taken) prepared.input.dispose()
  }
  t.deepEqual(sizes, [2, 2, 2, 2, 2, 2, 2, 1])
})
