import type { ExecutionContext } from 'ava'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  FileSource,
  FolderSink,
  FolderStore,
  makeJobSpec,
  ModelExplainer,
  runJob,
  type JobSpec,
} from '../../lib/index.js'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { sampleModel, writeJpegs } from './batch.js'
import { temporaryFolder } from './package-copy.js'
import { startRedis, type TestServer } from './queue-server.js'
import { lines, main } from './workplace.js'

/** A folder with images, and the server of a queue. */
export interface QueuePlace {
  readonly folder: string
  readonly source: readonly string[]
  readonly out: string
  readonly server: TestServer
  readonly spec: JobSpec
  /** Starts `gradcam worker`, which the end of the test kills. */
  readonly worker: (args?: readonly string[], env?: NodeJS.ProcessEnv, queue?: string) => WorkerProcess
}

export interface WorkerProcess {
  readonly child: ChildProcess
  readonly said: () => string
  readonly kill: (signal: NodeJS.Signals) => Promise<void>
}

/** LibTorch rounds otherwise in batches of other sizes: with one image each, all runs give the same bits. */
export const batchSize = 1

export async function queuePlace(
  t: ExecutionContext,
  names: readonly string[],
  start: (folder: string) => Promise<TestServer> = startRedis,
): Promise<QueuePlace> {
  const folder = temporaryFolder(t)
  const source = [join(folder, 'in')]
  await writeJpegs(join(folder, 'in'), names)
  const server = await start(temporaryFolder(t))
  t.teardown(server.stop)
  const { base } = await FileSource.open(source, { exclude: join(folder, 'out') })
  const spec = await makeJobSpec({
    model: sampleModel,
    layer: 'features',
    write: ['overlay', 'npy'],
    sources: source,
    base,
  })
  const worker = (args: readonly string[] = [], env: NodeJS.ProcessEnv = {}, queue = server.url): WorkerProcess => {
    const all = ['worker', '--queue', queue, '--root', folder, '--model-root', dirname(sampleModel)]
    const child = spawn(process.execPath, [main, ...all, '--batch', String(batchSize), '--lock', '1', ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()))
    const kill = async (signal: NodeJS.Signals): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    }
    t.teardown(() => kill('SIGKILL'))
    return { child, said: () => text, kill }
  }
  return { folder, source, out: join(folder, 'out'), server, spec, worker }
}

/** The same job by `runJob`, in a folder of its own. */
export async function localJob({ folder, source, spec }: QueuePlace): Promise<string> {
  const out = join(folder, 'local')
  await runJob(spec, {
    source: await FileSource.open(source, { exclude: out }),
    store: new FolderStore(out),
    sink: new FolderSink(out),
    explainer: new ModelExplainer({ batchSize }),
  })
  return out
}

/**
 * Every file of two folders of results is the same, byte for byte, and so is every line but for its time.
 *
 * @param except ids of inputs that need not have the same
 * @param unlike what lines may differ in
 */
export function assertSameResults(
  t: ExecutionContext,
  out: string,
  local: string,
  except: readonly string[] = [],
  unlike: Readonly<Partial<Record<keyof JobResultLine, unknown>>> = {},
): void {
  const files = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile() && !one.name.startsWith('manifest'))
      .filter(({ name }) => name !== 'job.json' && name !== '.gradcam-lock')
      .map((one) => join(one.parentPath, one.name).slice(folder.length))
      .filter((name) => !except.some((id) => name.startsWith(`/${id}.`)))
      .sort()
  t.deepEqual(files(out), files(local))
  for (const file of files(out)) t.true(readFileSync(join(out, file)).equals(readFileSync(join(local, file))), file)
  const [ours, theirs] = [out, local].map(
    (folder) =>
      new Map(
        lines(folder).map((line) => [
          line.id,
          JSON.stringify('error' in line ? line : { ...line, milliseconds: 0, ...unlike }),
        ]),
      ),
  ) as [Map<string, string>, Map<string, string>]
  t.is(lines(out).length, ours.size, 'one line for each input')
  t.deepEqual([...ours.keys()].sort(), [...theirs.keys()].sort())
  for (const [id, line] of ours) if (!except.includes(id)) t.is(line, theirs.get(id) as string)
}

/** How many lines workers have recorded so far; none once the job is merged. */
export function recorded(out: string): number {
  const folders = ['journals', 'parts'].map((name) => join(out, '.gradcam-queue', name))
  const files = folders.flatMap((folder) => attempt(() => readdirSync(folder).map((name) => join(folder, name))) ?? [])
  return files.reduce((sum, file) => sum + (attempt(() => readFileSync(file, 'utf8').split('\n').length - 1) ?? 0), 0)
}

/** Null for what is not there yet, or not any more. */
function attempt<Read>(read: () => Read): Read | null {
  try {
    return read()
  } catch {
    return null
  }
}
