import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** What a lock file says about the process that holds the lock. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** Which start of which kernel: all containers of a machine share it. Null where the system does not tell. */
  readonly kernel: string | null
  /** Unlike any other holder's. */
  readonly token: string
}

/** The holder in the text of a lock file; null where there is none or the text is damaged. */
export function parseHolder(text: string): Holder | null {
  try {
    const { pid, host, kernel, token } = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>
    if (typeof pid !== 'number' || typeof host !== 'string') return null
    return {
      pid,
      host,
      kernel: typeof kernel === 'string' ? kernel : null,
      token: typeof token === 'string' ? token : '',
    }
  } catch {
    return null
  }
}

/**
 * Whether the process that wrote the text of a lock file may run where this kernel cannot see it. A damaged text may be
 * anybody's.
 */
export function isFromElsewhere(text: string, kernel: string | null): boolean {
  if (text === '') return false
  const holder = parseHolder(text)
  if (!holder) return true
  return holder.kernel !== null && kernel !== null ? holder.kernel !== kernel : holder.host !== hostname()
}

/** This start of this kernel; null where the system does not tell. */
export function thisKernel(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() || null
  } catch {
    return null
  }
}
