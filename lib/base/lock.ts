import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GradCamError } from './errors.js'
import { tryKernelLock } from './kernel-lock.js'
import { isLocal, LockFile, look } from './lock-file.js'
import { isFromElsewhere, parseHolder, thisKernel, type Holder } from './lock-holder.js'

/** What a process that requires a lock waits for. */
export interface LockWait {
  readonly file: string
  /** Null where the lock file does not tell. */
  readonly holder: Holder | null
  /**
   * `held`: until the holder releases it. `watched`: until it is known whether a holder on another host still lives,
   * which takes at most `LockTimes.dead`.
   */
  readonly kind: 'held' | 'watched'
}

/** In milliseconds. */
export interface LockTimes {
  /** Between two attempts. */
  readonly poll: number
  /** Between two signs of life of a holder. */
  readonly beat: number
  /** How long a holder on another host must be silent to count as dead. */
  readonly dead: number
  /** Between writing one's name and reading it again, where hosts may not see each other's locks. */
  readonly settle: number
  /** Between two reports of the same wait. */
  readonly remind: number
}

/** What locks rest on; tests put another host, or a file system without common locks, in its place. */
export interface LockSystem {
  readonly tryLock: (fd: number, file: string) => boolean
  readonly isLocal: (file: string) => boolean | null
  readonly kernel: string | null
  readonly times: LockTimes
}

export const lockSystem: LockSystem = {
  tryLock: tryKernelLock,
  isLocal,
  kernel: thisKernel(),
  times: { poll: 250, beat: 5_000, dead: 30_000, settle: 2_000, remind: 60_000 },
}

/**
 * Runs `work` while no other caller holds the lock of that file: no other process, no other thread, no other caller in this
 * process.
 *
 * The lock is the kernel's (see {@link tryKernelLock}): it ends with its holder, also by SIGKILL or with its container,
 * so on a local disk there is no dead lock and the text of the file decides nothing. The file stays, empty, after the
 * lock is released: removing it would let one process lock the removed file and another one a new file.
 *
 * The rule for network file systems and other hosts: a file system that passes locks to its server (NFS, SMB, CephFS,
 * Lustre with `flock`) keeps hosts apart by the same lock. For one that does not (mounted with `nolock` or `localflock`,
 * a folder shared with a virtual machine) the holder also writes its name into the file, reads it again after 2 seconds,
 * and renews it every 5 seconds. The name of another host's process is respected while it is renewed; when it has been
 * silent for 30 seconds, by the clock of the one who waits, the lock is taken over. That holds as long as no holder is
 * stopped for 30 seconds and a name is seen by other hosts within 2; a holder that finds another name in its file
 * aborts `lost`. macOS does not tell which disks are shared: there the second reading is left out, and on a shared disk
 * only its server's locks keep two apart that start at the same moment. A file system without locks is refused.
 *
 * `onWait` is told what is waited for, at once, when that changes, and every minute; what it throws ends the wait.
 *
 * Throws ERR_LOCK_FAILED, and what opening the file and `onWait` throw.
 */
export async function withLock<T>(
  file: string,
  onWait: (wait: LockWait) => void,
  work: (lost: AbortSignal) => Promise<T>,
  system: LockSystem = lockSystem,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true })
  const lock = await take(file, new Notice(onWait, system.times.remind), system)
  held.add(lock)
  if (held.size === 1) process.on('exit', releaseAll)
  try {
    return await work(lock.lost)
  } finally {
    lock.release()
    held.delete(lock)
    if (held.size === 0) process.off('exit', releaseAll)
  }
}

const held = new Set<Lock>()

/** The kernel releases all locks at exit, but what the files say would stay. */
function releaseAll(): void {
  for (const lock of held) lock.release()
}

/** Who holds a lock, as the start of a sentence. */
export function nameHolder({ holder }: Pick<LockWait, 'holder'>): string {
  return holder ? `Process ${holder.pid} on host ${holder.host}` : 'Another process'
}

/** What is waited for and how to end it, as a sentence. `doing` is what the holder does, e.g. 'is building'. */
export function describeWait(wait: LockWait, doing: string): string {
  const { file, holder, kind } = wait
  if (kind === 'watched') {
    const seconds = lockSystem.times.dead / 1000
    return `${nameHolder(wait)} left the lock '${file}'. This host cannot see whether it still runs: waiting up to ${seconds} seconds for a sign of life before taking the lock over.`
  }
  const which = holder ? '' : ` (lsof '${file}' shows which)`
  return `${nameHolder(wait)} ${doing} and holds the lock '${file}'${which}: waiting until it ends. If it hangs, end it: that releases the lock.`
}

async function take(file: string, notice: Notice, system: LockSystem): Promise<Lock> {
  const { poll } = system.times
  for (let attempt = 0; ; attempt++) {
    const lock = new Lock(LockFile.open(file), system)
    try {
      if (!lock.tryKernel()) {
        const holder = parseHolder(lock.text())
        // A holder that has just come writes its name next, one that goes has removed it.
        if (holder || attempt > 2) notice.tell({ file, holder, kind: 'held' })
      } else if (await claim(lock, file, notice, system)) {
        return lock
      }
    } catch (error) {
      lock.close()
      throw error
    }
    lock.close()
    await sleep(poll)
  }
}

/** With the kernel's lock in hand: makes sure that no other host has it too, and writes this holder's name. */
async function claim(lock: Lock, file: string, notice: Notice, system: LockSystem): Promise<boolean> {
  if (lock.local !== true) await outlast(file, notice, system)
  else if (!lock.isOwn()) return false
  // Right after the last look, without a pause: Fischer's algorithm rests on that.
  lock.begin()
  if (lock.local === false) await sleep(system.times.settle)
  if (lock.local !== true && !lock.isOwn()) return false
  lock.keepAlive()
  return true
}

/** Resolves when no living process of another host has its name in the file. */
async function outlast(file: string, notice: Notice, { kernel, times }: LockSystem): Promise<void> {
  let kind: LockWait['kind'] = 'watched'
  let seen = look(file)
  // Looks are counted, not time: while this process was stopped it saw nothing.
  for (let silent = 0; seen && isFromElsewhere(seen.text, kernel) && silent < times.dead; silent += times.poll) {
    notice.tell({ file, holder: parseHolder(seen.text), kind })
    await sleep(times.poll)
    const now = look(file)
    if (now?.stamp === seen.stamp) continue
    seen = now
    kind = 'held'
    silent = 0
  }
}

/** Reports a wait at once, when it changes, and now and then. */
class Notice {
  #last = ''
  #at = 0

  constructor(
    private readonly onWait: (wait: LockWait) => void,
    private readonly remind: number,
  ) {}

  tell(wait: LockWait): void {
    const { pid, host } = wait.holder ?? {}
    const what = `${wait.kind} ${pid} ${host}`
    if (what === this.#last && performance.now() - this.#at < this.remind) return
    this.#last = what
    this.#at = performance.now()
    this.onWait(wait)
  }
}

/** A lock file with this process's name, from the attempt to lock it until it is released. */
class Lock {
  readonly local: boolean | null
  readonly #holder: Holder
  readonly #lost = new AbortController()
  #beats = 0
  #timer: NodeJS.Timeout | undefined
  #open = true

  constructor(
    private readonly file: LockFile,
    private readonly system: LockSystem,
  ) {
    this.local = system.isLocal(file.path)
    this.#holder = { pid: process.pid, host: hostname(), kernel: system.kernel, token: randomUUID() }
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  tryKernel(): boolean {
    return this.system.tryLock(this.file.fd, this.file.path)
  }

  text(): string {
    return this.file.read()
  }

  begin(): void {
    this.file.write(JSON.stringify({ ...this.#holder, beats: this.#beats++ }), this.local !== true)
  }

  /** Whether what lies at the path is this lock: the file on a local disk, the name in it elsewhere. */
  isOwn(): boolean {
    if (this.local === true) return this.file.isInPlace()
    return parseHolder(look(this.file.path)?.text ?? '')?.token === this.#holder.token
  }

  keepAlive(): void {
    this.#timer = setInterval(() => this.#beat(), this.system.times.beat).unref()
  }

  /** Takes back this holder's name, and no other, and lets the kernel's lock go. Safe to call again. */
  release(): void {
    if (!this.#open) return
    try {
      if (this.local === true || this.isOwn()) this.file.clear()
    } catch {
      // The name stays; on the same host it means nothing, and another host finds it silent.
    }
    this.close()
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    clearInterval(this.#timer)
    this.file.close()
  }

  #beat(): void {
    try {
      if (!this.isOwn()) this.#lose()
      else if (this.local !== true) this.begin()
    } catch {
      this.#touch()
    }
  }

  /** A full disk may take no text, but a time. */
  #touch(): void {
    try {
      this.file.touch()
    } catch {
      // The server may answer at the next beat.
    }
  }

  #lose(): void {
    clearInterval(this.#timer)
    const text = `The lock '${this.file.path}' was removed or taken over by another process`
    this.#lost.abort(new GradCamError('ERR_LOCK_FAILED', `${text}. Find out which, then start again.`))
  }
}
