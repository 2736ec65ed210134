import { counted } from '../../base/units.js'
import { openJob } from '../../queue/job-handle.js'
import { usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { onInterrupt } from '../interrupt.js'
import { queueOption, requiredQueueUrl } from '../queue-options.js'
import { describeProgress, watchJob } from '../watch-job.js'

const verbs = ['status', 'watch', 'cancel'] as const

export const command: Command = {
  usage: 'status|watch|cancel NAME --queue URL [options]',
  description: [
    'A job that gradcam batch --queue gave to a queue, by the name that it printed. status prints where it stands; watch shows it',
    'until it ends, with the exit code of gradcam batch; cancel ends it early: what is done becomes the manifest, and',
    'gradcam batch --resume continues it, with or without a queue. A job that has ended is known for seven days.',
  ].join('\n'),
  options: { ...queueOption, json: { type: 'boolean', help: 'print the status or the summary as JSON' } },
  positionals: true,
  run: async (values, [given, name, ...more]) => {
    const verb = verbs.find((one) => one === given)
    if (!verb || name === undefined || more.length > 0)
      throw usageError('job requires status, watch or cancel, and one name. See: gradcam job --help')
    const url = requiredQueueUrl(values, 'job')
    const json = values['json'] === true
    const interrupt = onInterrupt('leaving the job')
    const { signal } = interrupt
    try {
      await using job = await openJob(name, { queue: url, signal })
      if (verb === 'watch') return await watchJob(job, { url, out: (await job.status()).out, json, signal })
      if (verb === 'cancel') await job.cancel()
      const status = await job.status()
      const { state, progress, workers, error } = status
      if (json) process.stdout.write(`${JSON.stringify(status)}\n`)
      else {
        const parts = [
          `${name}: ${state}`,
          progress && describeProgress(progress),
          counted(workers, 'connected worker'),
        ]
        process.stdout.write(`${parts.filter(Boolean).join('; ')}\n`)
        if (error) process.stderr.write(`gradcam: ${error.message}\n`)
      }
      return 0
    } finally {
      interrupt.dispose()
    }
  },
}
