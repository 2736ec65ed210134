import { inOneLine } from '../../base/one-line.js'
import { counted } from '../../base/units.js'
import { readQueueUrl } from '../../queue/queue-url.js'
import { startWorker } from '../../queue/worker.js'
import { choice, readTrust, several, single, svgOption, trustOption, usageError, wholeNumber } from '../arguments.js'
import { batchOptions, readDevices } from '../batch-options.js'
import type { Command, Option } from '../command.js'
import { onInterrupt, type Interruption } from '../interrupt.js'
import { modelFlags } from '../model-options.js'
import { queueOption, requiredQueueUrl } from '../queue-options.js'

export const command: Command = {
  usage: '--queue URL --root DIR… [options]',
  description: [
    'Explains images of jobs that gradcam batch --queue gave to a queue. Any number of workers may share a queue, on machines that see',
    'the folders of images, results and models at the same paths; each may be killed at any moment. docs/distributed.md describes',
    'what is guaranteed. It requires two packages: npm install bullmq@6 ioredis@5, or bullmq@6 pg@8 for PostgreSQL.',
    'SIGTERM and SIGINT end it after the images in progress. Exit code: 0, or 1 when it could not start, or 2 for a wrong call.',
  ].join('\n'),
  options: {
    ...queueOption,
    root: {
      type: 'string',
      multiple: true,
      value: 'DIR',
      help: 'a folder, or s3://bucket/prefix, that images and results may be in, whatever the queue says; may be given several times',
    },
    'model-root': {
      type: 'string',
      multiple: true,
      value: 'DIR',
      help: 'a folder, or s3://bucket/prefix, that models may be in; by default those of --root',
    },
    device: batchOptions['device'] as Option,
    batch: batchOptions['batch'] as Option,
    'max-pixels': batchOptions['max-pixels'] as Option,
    'model-cache': modelFlags['model-cache'],
    library: modelFlags.library,
    chunks: {
      type: 'string',
      value: 'N',
      help: 'chunks at a time: while one is explained the images of the next are read; 2 by default',
    },
    'max-waiting': {
      type: 'string',
      value: 'N',
      help: 'chunks that may wait in the queue; more images are listed when they are taken; 256 by default',
    },
    lock: {
      type: 'string',
      value: 'SECONDS',
      help: "after how long without a sign of life a worker's chunk is given to another; 30 by default",
    },
    grace: {
      type: 'string',
      value: 'SECONDS',
      help: 'after SIGTERM: how long the images in progress may take; 30 by default',
    },
    'other-versions': {
      type: 'string',
      value: 'refuse|record',
      help: 'jobs that were enqueued with another version of this package or of LibTorch: end them with an error (the default), or explain them and note the versions in the manifest',
    },
    'metrics-port': {
      type: 'string',
      value: 'N',
      help: 'offer metrics for Prometheus at http://127.0.0.1:N/metrics; it requires a package: npm install prom-client@15',
    },
    'metrics-host': {
      type: 'string',
      value: 'H',
      help: 'with --metrics-port: where to listen; 127.0.0.1 by default, which other machines cannot reach',
    },
    ...trustOption,
    ...svgOption,
    json: { type: 'boolean', help: 'print a line of JSON for each chunk' },
  },
  positionals: false,
  run: async (values) => {
    const queue = requiredQueueUrl(values, 'worker')
    const roots = several(values, 'root')
    const modelRoots = several(values, 'model-root')
    if (roots.length === 0) throw usageError('worker requires --root DIR, a folder that images and results may be in.')
    const batchSize = wholeNumber(values, 'batch', 1)
    const maxPixels = wholeNumber(values, 'max-pixels', 1)
    const modelCache = single(values, 'model-cache')
    const chunks = wholeNumber(values, 'chunks', 1)
    const maxWaiting = wholeNumber(values, 'max-waiting', 1)
    const lockSeconds = wholeNumber(values, 'lock', 1)
    const graceSeconds = wholeNumber(values, 'grace', 0)
    const metricsPort = wholeNumber(values, 'metrics-port', 0)
    const metricsHost = single(values, 'metrics-host')
    if (metricsHost !== undefined && metricsPort === undefined)
      throw usageError('--metrics-host requires --metrics-port.')
    const otherVersions =
      values['other-versions'] === undefined ? null : choice(values, 'other-versions', ['refuse', 'record'] as const)
    const json = values['json'] === true
    const interrupt = onInterrupt()
    let said = ''
    try {
      const worker = await startWorker({
        queue,
        roots,
        ...(modelRoots.length > 0 && { modelRoots }),
        devices: readDevices(single(values, 'device') ?? 'cpu'),
        libraries: several(values, 'library'),
        trust: readTrust(values).trust,
        svg: values['svg'] === true,
        ...(modelCache !== undefined && { modelCache }),
        ...(batchSize !== undefined && { batchSize }),
        ...(maxPixels !== undefined && { maxPixels }),
        ...(chunks !== undefined && { chunks }),
        ...(maxWaiting !== undefined && { maxWaiting }),
        ...(lockSeconds !== undefined && { lockSeconds }),
        ...(graceSeconds !== undefined && { graceSeconds }),
        ...(otherVersions && { otherVersions }),
        ...(metricsPort !== undefined && {
          metrics: { port: metricsPort, ...(metricsHost !== undefined && { host: metricsHost }) },
        }),
        signal: interrupt.signal,
        onChunk: (event) => {
          const { job, chunk, state, inputs, milliseconds } = event
          const text = `${job}: chunk ${chunk} ${state}, ${counted(inputs, 'input')}, ${(milliseconds / 1000).toFixed(1)} s`
          process.stdout.write(`${json ? JSON.stringify(event) : text}\n`)
        },
        onError: (error) => {
          // A server that is away is missed by each connection again and again.
          const text = inOneLine(error)
          if (text !== said) process.stderr.write(`gradcam: ${text}\n`)
          said = text
        },
      })
      if (!json) process.stdout.write(`${worker.name} works for ${readQueueUrl(queue).shown}\n`)
      if (!json && worker.metricsPort !== null)
        process.stdout.write(`metrics at http://${metricsHost ?? '127.0.0.1'}:${worker.metricsPort}/metrics\n`)
      await worker.ended
      // A driver may go on looking for a server that is gone.
      setTimeout(() => process.exit(), 1000).unref()
      // 143 after SIGTERM would be a failure to a supervisor that asked for the end.
      return (interrupt.signal.reason as Interruption | undefined)?.exitCode === 141 ? 141 : 0
    } finally {
      interrupt.dispose()
    }
  },
}
