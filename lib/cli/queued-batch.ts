import type { JobSpec } from '../jobs/job-spec.js'
import { GradCamError } from '../base/errors.js'
import { enqueueJob } from '../queue/enqueue-job.js'
import { usageError } from './arguments.js'
import type { BatchCall } from './batch-options.js'
import { onInterrupt } from './interrupt.js'
import { waysBack, watchJob } from './watch-job.js'

/** `gradcam batch --queue`: gives the job to the queue and watches it. */
export async function runQueued(
  spec: JobSpec,
  { sources, out, resume, retryFailed, verify, json }: BatchCall,
  { url, chunk }: NonNullable<BatchCall['queue']>,
): Promise<number> {
  const interrupt = onInterrupt('leaving the job')
  const { signal } = interrupt
  try {
    const options = { queue: url, source: sources, out, chunk, resume, retryFailed, verify, signal }
    await using job = await enqueueJob(spec, options)
    if (!json) process.stdout.write(`${job.name} is in the queue. Ctrl-C leaves it there:\n${waysBack(job.name, url)}`)
    return await watchJob(job, { url, out, json, signal })
  } catch (error) {
    if (!(error instanceof GradCamError) || error.code !== 'ERR_JOB_EXISTS') throw error
    throw usageError(`'${out}' already holds a job. Continue it with --resume, or choose another --out.`)
  } finally {
    interrupt.dispose()
  }
}
