// A process of a lock storm: enters the lock once for each caller in each round, and logs when it was inside.
import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LockSystem, LockWait } from '../../lib/base/lock.js'
import type { Round } from './lock-storm.js'

type Locks = typeof import('../../lib/base/lock.js')

const [module = '', log = '', file = '', callers = '1', host = ''] = process.argv.slice(2)
const { withLock, lockSystem } = (await import(module)) as Locks
const fd = openSync(log, 'wx')

/** For a host of its own: no lock of another process is seen, and every time is short. */
const elsewhere: Partial<LockSystem> = {
  tryLock: () => true,
  isLocal: () => false,
  kernel: host,
  times: { poll: 20, beat: 100, dead: 3000, settle: 300, remind: 60_000 },
}

function system(): LockSystem | undefined {
  // An older lock takes no system.
  if (!lockSystem) return undefined
  return { ...lockSystem, times: { ...lockSystem.times, poll: 1 }, ...(host === '' ? {} : elsewhere) }
}

function write(what: 'enter' | 'leave', caller: number): void {
  writeSync(fd, `${what} ${caller} ${process.hrtime.bigint()}\n`)
}

async function enter(caller: number): Promise<void> {
  const isBusy = new Error('busy')
  // Half of the callers wait in withLock, the others give up and come again.
  const onWait = (wait: Partial<LockWait>): void => {
    if (caller % 2 === 0 && wait.kind !== 'watched') throw isBusy
  }
  const inside = async (): Promise<void> => {
    write('enter', caller)
    await sleep(Math.random() * 3)
    const end = performance.now() + Math.random()
    while (performance.now() < end);
    write('leave', caller)
  }
  for (;;) {
    try {
      return await withLock(file, onWait, inside, system())
    } catch (error) {
      if (error !== isBusy) throw error
      await sleep(Math.random() * 2)
    }
  }
}

process.on('message', ({ at }: Round) => {
  while (Date.now() < at);
  void Promise.all(Array.from({ length: Number(callers) }, (_, caller) => enter(caller))).then(
    () => process.send?.('done'),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
