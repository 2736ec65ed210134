import type { Job } from 'bullmq'
import { GradCamError } from '../base/errors.js'

/**
 * Renews the lock of a task until it is released, or lost. For each attempt by its own token: BullMQ's own renewal knows tasks
 * by their names alone, and takes two attempts of one process, the first of which lost its lock, for one.
 */
export function keepLock(
  job: Job,
  token: string,
  milliseconds: number,
): { readonly lost: AbortSignal; readonly release: () => void } {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let released = false
  const later = (): void => {
    if (!released) timer = setTimeout(() => void renew().finally(later), milliseconds / 3)
  }
  const renew = async (): Promise<void> => {
    // While the server is away no other worker gets the task; when it is back, it says whose the lock is.
    const renewed = await job.extendLock(token, milliseconds).catch(() => null)
    if (renewed === null || renewed === 1 || released) return
    released = true
    controller.abort(new GradCamError('ERR_LOCKED', 'Another worker has this task now.'))
  }
  later()
  return {
    lost: controller.signal,
    release: () => {
      released = true
      clearTimeout(timer)
    },
  }
}
