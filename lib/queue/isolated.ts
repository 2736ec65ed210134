// The process that isolate.ts starts: it explains inputs one by one, and says which it begins.
import { GradCamError } from '../base/errors.js'
import { inOneLine } from '../base/one-line.js'
import { sinkFor } from '../jobs/bucket-sink.js'
import type { JobEntry } from '../jobs/job.js'
import { ModelExplainer } from '../jobs/model-explainer.js'
import { runJob } from '../jobs/run-job.js'
import type { IsolatedMessage, IsolatedWork } from './isolate.js'
import { toEntry } from './task.js'

/** Resolves when the message is on its way: what comes next may end this process. */
function tell(message: IsolatedMessage): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()))
}

async function run({ spec, out, partial, inputs, explainer }: IsolatedWork): Promise<void> {
  let finished = (): void => {}
  async function* entries(): AsyncGenerator<JobEntry, undefined> {
    for (const input of inputs) {
      await tell({ begun: input.id })
      const recorded = new Promise<void>((resolve) => (finished = resolve))
      yield toEntry(input)
      await recorded // the next one must not be read before
    }
  }
  await runJob(spec, {
    source: { entries },
    store: {
      claim: async () => ({ done: new Map() }),
      record: async (line) => {
        await tell({ line })
        finished()
      },
      close: async () => {},
    },
    sink: sinkFor(out, { partial }),
    explainer: new ModelExplainer({ ...explainer, batchSize: 1, maxWait: 0 }),
  })
}

// Without the worker its result would reach no one.
process.once('disconnect', () => process.exit(1))
process.once('message', (work: IsolatedWork) => {
  void run(work)
    .catch((error: unknown) => {
      const code = error instanceof GradCamError ? error.code : null
      return tell({ failed: { code, message: inOneLine(error) } })
    })
    .then(() => process.exit(0)) // whatever threads of the model are still at
})
