import { GradCamError } from '../base/errors.js'

/** The requests in progress: a limit on them, and the wait until there are none. */
export class Admission {
  #inProgress = 0
  #draining = false
  /** What waits until there are none. */
  #idle: (() => void)[] = []

  constructor(private readonly limit: number) {}

  get inProgress(): number {
    return this.#inProgress
  }

  get isDraining(): boolean {
    return this.#draining
  }

  /** Takes one slot; what it returns frees it, once. Throws ERR_BUSY, ERR_DRAINING. */
  enter(): () => void {
    if (this.#draining) throw new GradCamError('ERR_DRAINING', 'The server is shutting down.')
    if (this.#inProgress >= this.limit)
      throw new GradCamError('ERR_BUSY', `${this.limit} requests are in progress, which is the limit.`, {
        remedy: 'Try again later: see Retry-After.',
      })
    this.#inProgress++
    let left = false
    return () => {
      if (left) return
      left = true
      this.#inProgress--
      if (this.#inProgress === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Refuses requests from now on. Resolves when none is in progress. */
  drain(): Promise<void> {
    this.#draining = true
    return new Promise((resolve) => {
      if (this.#inProgress === 0) resolve()
      else this.#idle.push(resolve)
    })
  }
}
