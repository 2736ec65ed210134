import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  FileSource,
  FolderSink,
  FolderStore,
  makeJobSpec,
  ModelExplainer,
  runJob,
  saveImage,
  Tensor,
  writeReport,
  type JobSummary,
  type Model,
} from '../../../lib/index.js'
import { readLine } from '../../../lib/jobs/read-line.js'
import { sampleModel } from '../batch.js'

/** A job over a few images, its report and one image, as a program with this package would make them. */
export async function runSmallJob(model: Model, folder: string, resume: boolean): Promise<JobSummary> {
  const [images, out] = [join(folder, 'in'), join(folder, 'out')]
  const source = await FileSource.open([images], { exclude: out })
  const spec = await makeJobSpec({
    model: sampleModel,
    layer: 'features',
    preprocess: { resize: 32, crop: [32, 32], resample: 'bilinear', mean: 0, std: 1 },
    write: ['npy', 'overlay'],
    sources: [images],
    base: source.base,
  })
  const summary = await runJob(spec, {
    source,
    store: new FolderStore(out, { resume }),
    sink: new FolderSink(out),
    // One after another: what a map is in its last bit depends on what it is in a batch with.
    explainer: new ModelExplainer({ model, batchSize: 1 }),
  })
  await writeReport(out, join(out, 'report.html'))
  using image = Tensor.full([3, 4, 4], 0.5)
  await saveImage(image, join(out, 'image.png'))
  return summary
}

/** What a job leaves: the bytes of its results by their paths. */
export function resultsOf(out: string): Map<string, Buffer> {
  const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  const paths = files.map((one) => join(one.parentPath, one.name).slice(out.length + 1))
  return new Map(
    paths.filter((path) => /\.(npy|jpg|png)$/.test(path)).map((path) => [path, readFileSync(join(out, path))]),
  )
}

/**
 * What is half-written in the folder of a job, in words: nothing, whatever happened to the job. Files that are still to be
 * renamed do not count.
 *
 * @param whole the results of the same job that nothing happened to
 */
export function halfWritten(out: string, whole: ReadonlyMap<string, Buffer>): string[] {
  if (!existsSync(out)) return []
  const found: string[] = []
  for (const [path, bytes] of resultsOf(out)) if (!whole.get(path)?.equals(bytes)) found.push(path)
  const text = (name: string): string => (existsSync(join(out, name)) ? readFileSync(join(out, name), 'utf8') : '')
  const page = text('report.html')
  if (page !== '' && !page.endsWith('</html>\n')) found.push('report.html')
  if (existsSync(join(out, 'job.json'))) {
    try {
      JSON.parse(text('job.json'))
    } catch {
      found.push('job.json')
    }
  }
  // The last line may be cut off: it is not taken for one.
  for (const line of text('manifest.jsonl').split('\n').slice(0, -1)) {
    const read = readLine(line)
    if (!read) found.push(`a line of manifest.jsonl: ${line.slice(0, 80)}`)
    else if ('files' in read)
      for (const file of Object.values(read.files)) if (!existsSync(join(out, file))) found.push(`${file} is missing`)
  }
  return found
}

/** What a job that was resumed to its end differs in from one that nothing happened to, in words. */
export function differences(out: string, whole: ReadonlyMap<string, Buffer>): string[] {
  const found = halfWritten(out, whole)
  const results = resultsOf(out)
  for (const path of whole.keys()) if (!results.has(path)) found.push(`${path} is missing`)
  const lines = readFileSync(join(out, 'manifest.jsonl'), 'utf8').split('\n')
  const ids = lines.flatMap((line) => readLine(line)?.id ?? [])
  if (lines.at(-1) !== '' || ids.length !== lines.length - 1) found.push('a line is cut off')
  if (new Set(ids).size !== ids.length || ids.length * 2 !== whole.size - 1) found.push(`lines of ${ids.join()}`)
  const left = readdirSync(out, { recursive: true, encoding: 'utf8' })
  found.push(...left.filter((name) => /\.gradcam-partial|manifest.*partial|job.*partial/.test(name)))
  if (!left.includes('report.html')) found.push('report.html is missing')
  if (readFileSync(join(out, '.gradcam-lock'), 'utf8') !== '') found.push('the lock has a name in it')
  return found
}
