import test from 'ava'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { BusyPoll } from '../../lib/addon/busy-poll.js'

/** Whether the event loop is kept awake. */
const isTurning = (): boolean => process.getActiveResourcesInfo().includes('Immediate')

/** Never settles before `end` is called. */
function pending(): { running: Promise<string>; end: () => void } {
  let end = () => {}
  const running = new Promise<string>((resolve) => (end = () => resolve('done')))
  return { running, end }
}

const immediate = () => new Promise<void>((resolve) => setImmediate(resolve))

test.serial('the first call is not looked out for, one after a short one is, and that soon ends', async (t) => {
  const busyPoll = new BusyPoll()
  const first = pending()
  const waiting = busyPoll.while(() => first.running)
  t.false(isTurning())
  first.end()
  t.is(await waiting, 'done')

  await busyPoll.while(async () => {}) // whatever the first took, this one was short
  const second = pending()
  const started = busyPoll.while(() => second.running)
  t.is(isTurning(), availableParallelism() > 1)
  const begin = performance.now()
  while (isTurning()) await sleep(1)
  t.true(performance.now() - begin < 250, 'it gives up')
  second.end()
  await started

  const third = pending()
  const afterLong = busyPoll.while(() => third.running)
  t.false(isTurning(), 'the one before was long')
  third.end()
  await afterLong
})

test.serial('it ends with the call, however that ends', async (t) => {
  const busyPoll = new BusyPoll()
  await busyPoll.while(async () => {})
  await t.throwsAsync(
    busyPoll.while(() => Promise.reject(new Error('no'))),
    { message: 'no' },
  )
  await immediate()
  t.false(isTurning())
  await t.throwsAsync(
    busyPoll.while(() => {
      throw new Error('not even begun')
    }),
    { message: 'not even begun' },
  )
  t.false(isTurning())
})
