import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process began, where the system tells: a process of that number may be another one by now. */
  readonly started?: string | null
}

/**
 * Runs `work` while no other process holds the same lock file; a lock whose holder has died is taken over. It spares
 * two processes from doing the same work: what they make is put in place atomically, so nothing breaks where two get
 * through after all (on a network drive, say, where the holder's host cannot be asked).
 */
export async function withLock<T>(file: string, onWait: (pid: number) => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true })
  let waited = false
  while (!tryTake(file)) {
    const holder = readHolder(file)
    if (holder && isAlive(holder)) {
      if (!waited) onWait(holder.pid)
      waited = true
      await sleep(250)
    } else {
      discard(file)
    }
  }
  const release = (): void => rmSync(file, { force: true })
  process.on('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

/** Whether the process of that number still runs on this host; a process of another host counts as running. */
export function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  // A container that is started again has the same name, and its processes have the same numbers.
  const now = startOf(pid)
  return !started || !now || started === now
}

/** When a process began, in the kernel's ticks; null where that cannot be told. */
function startOf(pid: number): string | null {
  try {
    const [, fields = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return fields.split(' ')[19] ?? null
  } catch {
    return null
  }
}

/** Linking, not writing: a lock file is never seen without its holder in it. */
function tryTake(file: string): boolean {
  const mine = `${file}.${process.pid}`
  const holder: Holder = { pid: process.pid, host: hostname(), started: startOf(process.pid) }
  try {
    writeFileSync(mine, JSON.stringify(holder))
    linkSync(mine, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(mine, { force: true })
  }
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder
  } catch {
    // Released since, or not ours to read.
    return null
  }
}

/** Renaming first lets only one of several waiting processes discard a dead lock. */
function discard(file: string): void {
  const aside = `${file}.dead-${process.pid}`
  try {
    renameSync(file, aside)
  } catch {
    return
  }
  rmSync(aside, { force: true })
}
