import { resolve } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { describeWait, nameHolder, withLock, type LockWait } from '../../base/lock.js'
import { usageError } from '../arguments.js'
import { batchOptions, readBatchJob, type BatchJob } from '../batch-options.js'
import { batchReport, type BatchReport } from '../batch-report.js'
import { checkUnchanged, describeJob, jobFileName, readJobFile, toBytes } from '../../jobs/job-spec.js'
import { hasLines, mendManifest } from '../../jobs/manifest.js'
import { loadReplicas, layerOf, runBatch } from '../../jobs/run-job.js'
import { Sources } from '../../jobs/file-source.js'
import { isDiskFailure, unwritable, FileWriter } from '../../jobs/file-writer.js'
import { imageExtensions } from '../../jobs/walk-folder.js'
import { onInterrupt, type Interruption } from '../interrupt.js'
import type { Command } from '../command.js'
import { makeFolder } from '../../base/make-folder.js'
import { inOneLine } from '../../base/one-line.js'

export const command: Command = {
  usage: 'SOURCE… --model FILE --out DIR [options]',
  description: [
    'Explains any number of images. SOURCE is an image, a folder (with all folders in it), a glob in quotes, a list',
    '(.txt, .list, .tsv, .jsonl, .ndjson), or - for a list on standard input. A line of a list is a path; a path, a tab and',
    'a target; or {"path": …, "target": …}; a relative path starts at the current folder. In DIR, which is none of the',
    "images' own, by --write, where NAME mirrors the tree of the inputs:",
    '  overlay      NAME.overlay.jpg, the map over the image, in its size; what the model did not see is left as it is',
    '  overlay-png  NAME.overlay.png, the same without loss',
    '  grey         NAME.grey.png, the map alone, 0 to 255',
    '  png16        NAME.grey16.png, the same, 0 to 65535',
    '  npy          NAME.map.npy, the map as the method made it, float32 [h, w], for numpy.load',
    'and manifest.jsonl, a line for each input: what was found and written, or its error; and job.json, the options.',
    'A job that was stopped or killed goes on where it was with --resume. gradcam report DIR makes a page of it.',
    'Presets of --preprocess: imagenet, imagenet-v2, inception, timm, timm-0.9, timm-0.95, timm-1.0, timm-bilinear, clip,',
    'squash and letterbox.',
    'Exit code: 0; 3 when some inputs failed (the others are explained all the same); 1 when the job could not go on; 2 for a',
    'wrong call; 130 or 143 when it was interrupted by SIGINT or SIGTERM, 141 when the reader of its output left.',
  ].join('\n'),
  options: batchOptions,
  positionals: true,
  run: async (values, positionals) => {
    const job = await readBatchJob(values, positionals)
    await makeFolder(job.out)
    const lock = resolve(job.out, '.gradcam-lock')
    let taken = false
    return withLock(
      lock,
      (wait) => refuse(wait, job),
      (lost) => {
        taken = true
        return start(job, lost)
      },
    ).catch((error: unknown) => {
      throw taken || error instanceof GradCamError ? error : unwritable(lock, error as NodeJS.ErrnoException)
    })
  },
}

/** Two jobs in one folder would each write over the other's manifest. A holder that may be dead is waited for. */
function refuse(wait: LockWait, { out }: BatchJob): void {
  const doing = `is at work on '${out}'`
  if (wait.kind === 'watched') {
    process.stderr.write(`gradcam: ${inOneLine(describeWait(wait, doing))}\n`)
    return
  }
  throw new GradCamError(
    'ERR_LOCKED',
    `${nameHolder(wait)} ${doing} and holds the lock '${wait.file}'. Wait until it ends, or end it and go on by --resume.`,
  )
}

async function start(job: BatchJob, lost: AbortSignal): Promise<number> {
  const sources = await Sources.read(job.sources, job.labels, job.out)
  // A job without a line has no results that another one's could be mixed with, e.g. where the layer was misspelt.
  const before = (await hasLines(job.out)) ? await readJobFile(job.out) : null
  if (before && !job.resume)
    throw usageError(`'${job.out}' holds a job already. Go on with it by --resume, or name another --out.`)
  const now = await describeJob(job, sources.base)
  if (before) checkUnchanged(before, now)
  const writer = new FileWriter(job.out)
  const interrupt = onInterrupt()
  const report = batchReport(job.json)
  try {
    await writer.start()
    if (!before) await writer.write(jobFileName, toBytes(now))
    const done = await mendManifest(job.out, !job.retryFailed)
    await explain(job, sources, done, writer, report, AbortSignal.any([interrupt.signal, lost]))
    lost.throwIfAborted() // what another process does there now is not this job's to sum up
  } catch (error) {
    report.stop()
    if (isDiskFailure(error)) process.stderr.write(`gradcam: to go on afterwards: ${resumeCommand()}\n`)
    throw error
  } finally {
    interrupt.dispose()
    report.stop()
    // What standard input may still give keeps the process alive.
    if ((lost.aborted || interrupt.signal.aborted) && !sources.repeatable) process.stdin.destroy()
    // What is left there goes when the job does go on; another process may be at work there now.
    if (!lost.aborted) await writer.end().catch(() => {})
  }
  const { signal } = interrupt
  const { failed, inputs } = report.summary(job.out, signal.aborted)
  if (signal.aborted) {
    process.stderr.write(`gradcam: interrupted. To go on: ${resumeCommand()}\n`)
    return (signal.reason as Interruption).exitCode
  }
  if (inputs === 0) process.stderr.write(`gradcam: ${inOneLine(nothingIn(job))}\n`)
  return failed > 0 ? 3 : 0
}

function nothingIn({ sources }: BatchJob): string {
  return `no image was found in ${sources.join(', ')}. In a folder, images end in ${imageExtensions.join(', ')}.`
}

async function explain(
  job: BatchJob,
  sources: Sources,
  done: ReadonlyMap<string, boolean>,
  writer: FileWriter,
  report: BatchReport,
  stop: AbortSignal,
): Promise<void> {
  const models = await loadReplicas(job)
  try {
    const [model] = models
    const layer = model ? await layerOf(model, job) : null
    const where = [layer === null ? '' : ` at ${layer}`, ` on ${models.map(({ device }) => device).join(', ')}`].join(
      '',
    )
    report.start(`${job.method} of ${job.model}${where}, images as ${job.preprocessName}`, done)
    // Beside the work: it tells how much there is, and must not keep it from starting.
    if (sources.repeatable && !job.json)
      void sources.count().then(
        (inputs) => report.total(inputs),
        () => {},
      )
    await runBatch(job, models, layer, sources, done, writer, report, stop)
  } finally {
    for (const model of models) model.dispose()
  }
}

/** The call of this process with --resume, as a shell takes it. */
function resumeCommand(): string {
  const args = process.argv.slice(2)
  const quoted = args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`))
  return ['gradcam', ...quoted, ...(args.includes('--resume') ? [] : ['--resume'])].join(' ')
}
