import type { FastifyReply, FastifyRequest } from 'fastify'
import { GradCamError } from '../base/errors.js'
import type { Admission } from './admission.js'

/** A request to explain an image, from its headers to its answer. */
interface Visit {
  readonly stopping: AbortController
  /** Whether its body is there. */
  hasBegun: boolean
}

/** Gives requests a place in the queue and a deadline, and stops the work of those whose client goes away. */
export class Visits {
  readonly #visits = new WeakMap<FastifyRequest, Visit>()

  constructor(
    readonly admission: Admission,
    private readonly deadline: number,
  ) {}

  /** Throws ERR_BUSY, ERR_DRAINING. */
  enter(request: FastifyRequest, reply: FastifyReply): void {
    const leave = this.admission.enter()
    const visit: Visit = { stopping: new AbortController(), hasBegun: false }
    const timer = setTimeout(() => {
      visit.stopping.abort(
        new GradCamError('ERR_DEADLINE', `The explanation was not ready after ${this.deadline} ms.`, {
          remedy: 'Try again later, or ask for less: fewer maps, or a method that runs the model once.',
        }),
      )
      // Nobody listens to the signal while the body is on its way.
      if (!visit.hasBegun) request.raw.destroy()
    }, this.deadline)
    reply.raw.once('close', () => {
      clearTimeout(timer)
      leave()
      if (!reply.raw.writableFinished)
        visit.stopping.abort(new GradCamError('ERR_ABORTED', 'The client went away before the answer.'))
    })
    this.#visits.set(request, visit)
  }

  /** The signal of a request whose body is there. */
  begin(request: FastifyRequest): AbortSignal {
    const visit = this.#visits.get(request) as Visit
    visit.hasBegun = true
    visit.stopping.signal.throwIfAborted()
    return visit.stopping.signal
  }

  /** Whether nobody waits for the answer any more. */
  isOver({ raw }: FastifyRequest): boolean {
    return raw.destroyed && !raw.complete
  }
}
