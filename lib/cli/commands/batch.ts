import { batchFiles, describeBatchFile } from '../../batch/encode.js'
import { GradCamError } from '../../base/errors.js'
import { makeFolder } from '../../base/make-folder.js'
import { inOneLine } from '../../base/one-line.js'
import { FileSource } from '../../jobs/file-source.js'
import { isDiskFailure } from '../../jobs/file-writer.js'
import { sinkFor } from '../../jobs/bucket-sink.js'
import { storeFor } from '../../jobs/bucket-store.js'
import { makeJobSpec, type JobSpec, type JobSpecOptions } from '../../jobs/job-spec.js'
import { ModelExplainer } from '../../jobs/model-explainer.js'
import { runJob, type JobStart, type JobWarning } from '../../jobs/run-job.js'
import type { JobSummary } from '../../jobs/tally.js'
import { imageExtensions } from '../../jobs/walk-folder.js'
import { counted } from '../../base/units.js'
import { presets } from '../../preprocess/presets.js'
import { ScriptModule } from '../../model/script-module.js'
import { isObjectUrl } from '../../storage/object-url.js'
import { placeInputs } from '../model-inputs.js'
import { usageError } from '../arguments.js'
import { batchOptions, readBatchCall, type BatchCall } from '../batch-options.js'
import { batchReport, type BatchReport } from '../batch-report.js'
import type { Command } from '../command.js'
import { onInterrupt, type Interruption } from '../interrupt.js'
import { runQueued } from '../queued-batch.js'

const kindWidth = Math.max(...batchFiles.map((kind) => kind.length))

export const command: Command = {
  usage: 'SOURCE… --model FILE --out DIR [options]',
  description: [
    'Explains any number of images. SOURCE is an image, a folder (with all folders in it), a glob in quotes, a list',
    '(.txt, .list, .tsv, .jsonl, .ndjson), or - for a list on standard input. A line of a list is a path; a path, a tab and',
    'a target; or {"path": …, "target": …}; a relative path starts at the current folder. Arrays (.npy) are given to models as',
    'they are; in folders they count for models of volumes, signals, or other channels than 1 and 3. DIR must not be a folder of',
    'images. SOURCE and DIR may also be s3://bucket/prefix, of S3 or a storage that works like it: it requires a package,',
    'npm install @aws-sdk/client-s3@3, and takes credentials, region and AWS_ENDPOINT_URL as AWS tools do. A line of a list may be an',
    'address, too. By --write DIR gets these files, where NAME is the path of the input below the folder of all inputs:',
    ...batchFiles.map((kind) => {
      const { ending, help } = describeBatchFile(kind)
      return `  ${kind.padEnd(kindWidth)}  NAME.${ending}, ${help}`
    }),
    'and manifest.jsonl, a line for each input: what was found and written, or its error; and job.json, the options.',
    'A job that was stopped or killed continues with --resume. gradcam report DIR makes a page of it.',
    'With --queue URL the images are explained by workers (gradcam worker) on any machines that see the same folders; a password comes',
    'from GRADCAM_QUEUE_PASSWORD. Ctrl-C then leaves the job running; gradcam job watches or cancels it.',
    `Presets of --preprocess: ${Object.keys(presets).join(', ')}.`,
    'Exit code: 0; 3 when some inputs failed (the others are explained all the same); 1 when the job could not go on; 2 for a',
    'wrong call; 130 or 143 when it was interrupted by SIGINT or SIGTERM, 141 when the reader of its output left.',
  ].join('\n'),
  options: batchOptions,
  positionals: true,
  run: async (values, positionals) => {
    const call = await readBatchCall(values, positionals)
    const { sources, out } = call
    const options = { labels: call.job.labels, exclude: out, stdin: process.stdin }
    const source = await FileSource.open(sources, options).catch((error: unknown) => {
      throw isCode(error, 'ERR_INVALID_ARGUMENT') ? usageError(error.message) : error
    })
    const inputs = await placeFlags(call)
    const spec = await makeJobSpec({ ...call.job, inputs, sources, base: source.base })
    if (!call.queue) return run(spec, call, source)
    if (!isObjectUrl(out)) await makeFolder(out)
    return runQueued(spec, call, call.queue)
  },
}

/** The model's other inputs in order, which its code names: it is loaded for that alone. */
async function placeFlags({
  inputs,
  choice: { file, weights, libraries },
  trust,
}: BatchCall): Promise<NonNullable<JobSpecOptions['inputs']> | null> {
  if (inputs.length === 0) return null
  using model = await ScriptModule.load(file, { trust, libraries, ...(weights !== undefined && { weights }) })
  return placeInputs(model, inputs)
}

async function run(spec: JobSpec, call: BatchCall, source: FileSource): Promise<number> {
  const { out } = call
  const interrupt = onInterrupt()
  const { signal } = interrupt
  const report = batchReport(call.json)
  let summary: JobSummary
  try {
    summary = await runJob(spec, {
      source,
      store: storeFor(out, {
        resume: call.resume,
        retryFailed: call.retryFailed,
        verify: call.verify,
        onWait: (message) => process.stderr.write(`gradcam: ${inOneLine(message)}\n`),
      }),
      sink: sinkFor(out),
      explainer: new ModelExplainer({
        devices: call.devices,
        ...(call.batchSize !== null && { batchSize: call.batchSize }),
        maxWait: source.repeatable ? Infinity : 1000,
        svg: call.svg,
        trust: call.trust,
        libraries: call.choice.libraries,
        ...(call.job.modelCache !== undefined && { modelCache: call.job.modelCache }),
        ...(call.maxPixels !== null && { maxPixels: call.maxPixels }),
      }),
      signal,
      onStart: (start) => onStart(start, call, source, report),
      onProgress: report.line,
      onWarning: (warning) => report.note(warningText(warning)),
    })
  } catch (error) {
    report.stop()
    if (isDiskFailure(error)) process.stderr.write(`gradcam: to continue later: ${resumeCommand()}\n`)
    throw isCode(error, 'ERR_JOB_EXISTS')
      ? usageError(`'${out}' already holds a job. Continue it with --resume, or choose another --out.`)
      : error
  } finally {
    interrupt.dispose()
    report.stop()
    // Standard input that has not ended would keep the process alive.
    if (!source.repeatable) process.stdin.destroy()
  }
  report.summary(summary, out)
  if (signal.aborted) {
    process.stderr.write(`gradcam: interrupted. To continue: ${resumeCommand()}\n`)
    return (signal.reason as Interruption).exitCode
  }
  if (summary.inputs === 0) process.stderr.write(`gradcam: ${inOneLine(nothingIn(call))}\n`)
  return summary.failed > 0 ? 3 : 0
}

function onStart(
  { layer, reshape, devices, images = '', arrays = false, changed = 0, ...counts }: JobStart,
  call: BatchCall,
  source: FileSource,
  report: BatchReport,
) {
  const { method, model } = call.job
  const how =
    reshape === undefined ? '' : `, reshaped by ${typeof reshape === 'string' ? reshape : JSON.stringify(reshape)},`
  const at = layer === null ? '' : ` at ${layer}${how}`
  report.start(`${method} of ${model}${at} on ${devices.join(', ')}, images as ${call.preprocessName}${images}`, counts)
  if (changed > 0)
    report.note(`${counted(changed, 'input')} explained again: the image or the result had changed since the last run.`)
  // Counted while the job runs, which must not wait for it.
  if (source.repeatable && !call.json) void source.count({ arrays }).then(report.total, () => {})
}

function warningText({ code, details }: JobWarning): string {
  if (code === 'LAYER_CALLS')
    return `${details.layer} runs ${details.calls} times in a pass: its last call is explained. --call takes another.`
  const { labels, outputs } = details
  return `there are ${labels} labels for the model's ${outputs} classes. Check --labels: its first is taken for class 0.`
}

function nothingIn({ sources }: BatchCall): string {
  return (
    `no image was found in ${sources.join(', ')}. In a folder, images end in ${imageExtensions.join(', ')}; ` +
    `arrays (.npy) count for models that take no images, or by a glob ('scans/*.npy').`
  )
}

function isCode(error: unknown, code: GradCamError['code']): error is GradCamError {
  return error instanceof GradCamError && error.code === code
}

/** The call of this process with --resume, as a shell takes it. */
function resumeCommand(): string {
  const args = process.argv.slice(2)
  const quoted = args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`))
  return ['gradcam', ...quoted, ...(args.includes('--resume') ? [] : ['--resume'])].join(' ')
}
