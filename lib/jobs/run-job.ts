import { realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { explainAll } from '../batch/explain-all.js'
import type { BatchEntry } from '../batch/input.js'
import { toLevels } from '../batch/levels.js'
import { methods } from '../methods/table.js'
import type { BatchExplanation, BatchResult } from '../batch/result.js'
import { GradCamError } from '../base/errors.js'
import { framingOf } from '../preprocess/framing.js'
import { numThreads } from '../addon/runtime.js'
import type { Model } from '../model/model.js'
import { ScriptModule } from '../model/script-module.js'
import { inOneLine } from '../base/one-line.js'
import { pickLayer } from '../model/default-layer.js'
import type { BatchJob } from '../cli/batch-options.js'
import type { BatchReport } from '../cli/batch-report.js'
import { fileOf } from './file-names.js'
import { ManifestWriter, type ManifestLine } from './manifest.js'
import type { NamedEntry, Sources } from './file-source.js'
import { isDiskFailure, unwritable, type FileWriter } from './file-writer.js'

type Files = Readonly<Record<string, string>>

/** Errors that say something about the model or the job: the next input would meet them too. */
const hopeless: readonly string[] = [
  'ERR_LAYER_NOT_REACHED',
  'ERR_LAYER_OUTPUT',
  'ERR_NO_GRADIENT',
  'ERR_NO_RELU',
  'ERR_DISPOSED',
  'ERR_CLOSED',
]

/** Loads the model once for each device. The threads that LibTorch has are shared out among replicas on the CPU. */
export async function loadReplicas(job: BatchJob): Promise<Model[]> {
  const onCpu = job.devices.filter((device) => device === 'cpu').length
  const shared = onCpu > 1 && !process.env['OMP_NUM_THREADS']
  const threads = shared ? { threads: Math.max(1, Math.floor(numThreads() / onCpu)) } : {}
  const models: Model[] = []
  try {
    for (const device of job.devices) models.push(await ScriptModule.load(job.model, { device, ...threads }))
    return models
  } catch (error) {
    for (const model of models) model.dispose()
    throw error
  }
}

/** The layer to look at: what was asked for, or the last one with a spatial output. */
export async function layerOf(model: Model, job: BatchJob): Promise<string | null> {
  if (job.layer !== null || !methods[job.method].layered) return job.layer
  const { size } = framingOf([224, 224], job.preprocess)
  return (await pickLayer(model, job.model, size)).path
}

/** Explains what is not `done` yet. Resolves when all is written, or when `stop` is aborted and what was begun is. */
export async function runBatch(
  job: BatchJob,
  models: readonly Model[],
  layer: string | null,
  sources: Sources,
  done: ReadonlyMap<string, boolean>,
  writer: FileWriter,
  report: BatchReport,
  stop: AbortSignal,
): Promise<void> {
  const manifest = await ManifestWriter.open(job.out).catch((error: NodeJS.ErrnoException) => {
    throw unwritable(`${job.out}/manifest.jsonl`, error)
  })
  const entries = new Map<string, NamedEntry>()
  const finish = (result: BatchExplanation<unknown>): Promise<Files> => writeFiles(result, job, writer)
  const out = await realpath(job.out)
  const refuse = (error: NodeJS.ErrnoException): never => {
    throw unwritable(`${out}/manifest.jsonl`, error)
  }
  try {
    const record = async (line: ManifestLine): Promise<void> => {
      await manifest.add(line).catch(refuse)
      entries.delete(line.id)
      report.line(line)
    }
    const results = explainAll<Files>(toInputs(sources, done, entries, record, stop), {
      model: models,
      method: job.method,
      ...(job.precision && { precision: job.precision }),
      ...(layer !== null && { layer }),
      target: job.target,
      preprocess: job.preprocess,
      batchSize: job.batchSize,
      order: 'ready',
      sha256: true,
      ...(job.maxPixels !== null && { maxPixels: job.maxPixels }),
      maxWait: sources.repeatable ? Infinity : 1000,
      finish,
    })
    let explained = 0
    for await (using result of results) {
      const entry = entries.get(result.id) as NamedEntry
      if (result.ok) explained++
      else if (isDiskFailure(result.error) || (explained === 0 && isHopeless(result.error, entry))) throw result.error
      if (result.ok && job.labels && result.outputs > 0 && result.outputs !== job.labels.length)
        report.note(labelsDiffer(job.labels.length, result.outputs))
      await record(toLine(result, entry, job, layer))
    }
  } finally {
    await manifest.close().catch(refuse)
  }
}

async function* toInputs(
  sources: Sources,
  done: ReadonlyMap<string, boolean>,
  entries: Map<string, NamedEntry>,
  record: (line: ManifestLine) => Promise<void>,
  stop: AbortSignal,
): AsyncGenerator<BatchEntry, undefined> {
  for await (const entry of untilAborted(sources.entries(), stop)) {
    if (done.has(entry.id)) continue
    const { id, path, target } = entry
    const error = entry.error ?? (await notAFile(path))
    if (error) {
      await record({ id, input: path, sha256: null, error: describe(error) })
      continue
    }
    entries.set(id, entry)
    yield { id, source: path, ...(target !== undefined && { target }) }
  }
}

/** A pipe may never give anything, and who reads it cannot be stopped. What is missing or a folder has errors of its own. */
async function notAFile(path: string): Promise<GradCamError | null> {
  const found = await stat(path).catch(() => null)
  if (!found || found.isFile() || found.isDirectory()) return null
  const message = `The image '${path}' cannot be read: it is a pipe or a device. Save it to a file.`
  return new GradCamError('ERR_IMAGE_UNREADABLE', message)
}

/** Ends as soon as it is told to, even while it waits for a line of standard input. */
async function* untilAborted<T>(source: AsyncGenerator<T, undefined>, stop: AbortSignal): AsyncGenerator<T, undefined> {
  let onAbort = (): void => {}
  const stopped = new Promise<null>((tell) => (onAbort = () => tell(null)))
  stop.addEventListener('abort', onAbort, { once: true })
  try {
    while (!stop.aborted) {
      const next = await Promise.race([source.next(), stopped])
      if (next === null || next.done) return
      yield next.value
    }
  } finally {
    stop.removeEventListener('abort', onAbort)
    if (!stop.aborted) await source.return(undefined)
  }
}

async function writeFiles(result: BatchExplanation<unknown>, job: BatchJob, writer: FileWriter): Promise<Files> {
  const files: Record<string, string> = {}
  for (const kind of job.write) {
    const file = fileOf(result.id, kind)
    await writer.write(file, await result.encode(kind, { alpha: job.alpha }))
    files[kind] = file
  }
  return files
}

function toLine(result: BatchResult<Files>, entry: NamedEntry, job: BatchJob, layer: string | null): ManifestLine {
  const { id } = result
  const input = resolve(entry.path)
  if (!result.ok) return { id, input, sha256: result.sha256, error: describe(result.error) }
  const { sha256, target, score, size, region, milliseconds } = result
  const { map } = result
  const [, , height = 1, width = 1] = map.shape
  const label = (index: number): string | null => job.labels?.[index] || null
  return {
    id,
    input,
    sha256,
    target,
    label: label(target),
    score,
    top: result.top.map((one) => ({ ...one, label: label(one.class) })),
    method: job.method,
    layer,
    size,
    region,
    map: toLevels({ data: map.toTypedArray() as Float32Array, height, width }),
    files: result.extra,
    milliseconds: Math.round(milliseconds),
  }
}

/** Every name may then stand at another class than its own. */
function labelsDiffer(labels: number, outputs: number): string {
  return `there are ${labels} labels for the model's ${outputs} classes. Check --labels: its first is taken for class 0.`
}

function describe(error: unknown): { code: string | null; message: string } {
  return { code: error instanceof GradCamError ? error.code : null, message: inOneLine(error) }
}

function isHopeless(error: unknown, { target }: NamedEntry): boolean {
  if (!(error instanceof GradCamError)) return false
  // The job's own target; one that a list gives is that of its line alone.
  return hopeless.includes(error.code) || (error.code === 'ERR_TARGET_OUT_OF_RANGE' && target === undefined)
}
