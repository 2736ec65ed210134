import test, { type ExecutionContext } from 'ava'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  FileSource,
  FolderSink,
  FolderStore,
  makeJobSpec,
  ModelExplainer,
  runJob,
  type JobSpec,
  type JobSpecOptions,
  type RunJobOptions,
} from '../../lib/index.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { harmfulModels } from '../support/harmful.js'
import { temporaryFolder } from '../support/package-copy.js'
import { common, lines, workplace } from '../support/workplace.js'

const harmful = await harmfulModels()

interface Reason {
  readonly code: string
  readonly spec?: (folder: string) => Partial<JobSpecOptions>
  readonly parts?: (out: string) => Partial<RunJobOptions>
}

/** Why a job cannot begin: by its model, by its options, by the first image, by its sink. */
const reasons: Readonly<Record<string, Reason>> = {
  'a model that was cut off': {
    code: 'ERR_MODEL_CORRUPT',
    spec: (folder) => {
      const model = join(folder, 'cut.pt')
      copyFileSync(sampleModel, model)
      truncateSync(model, 5000)
      return { model }
    },
  },
  'a file that is not a model': {
    code: 'ERR_MODEL_NOT_TORCHSCRIPT',
    spec: (folder) => {
      const model = join(folder, 'text.pt')
      writeFileSync(model, 'this is not a model')
      return { model }
    },
  },
  'an untrusted model that writes files': {
    code: 'ERR_MODEL_UNTRUSTED',
    spec: () => ({ model: harmful.file('SavesFile') }),
    parts: () => ({ explainer: new ModelExplainer({ trust: 'untrusted' }) }),
  },
  'a device that is not there': {
    code: 'ERR_DEVICE',
    parts: () => ({ explainer: new ModelExplainer({ devices: ['cpu', 'cuda:63'] }) }),
  },
  'a layer that is not there': { code: 'ERR_LAYER_NOT_FOUND', spec: () => ({ layer: 'nowhere' }) },
  'a class that is not there': { code: 'ERR_TARGET_OUT_OF_RANGE', spec: () => ({ target: 99 }) },
  'a sink that does not open': {
    code: 'ERR_IMAGE_WRITE',
    parts: (out) => ({ sink: new FolderSink(join(out, 'job.json', 'files')) }),
  },
}

async function begin(folder: string, out: string, { spec, parts }: Reason): Promise<unknown> {
  const images = join(folder, 'in')
  await writeJpegs(images, ['a.jpg', 'b.jpg'])
  const job = await makeJobSpec({ model: sampleModel, layer: 'features', ...spec?.(folder) })
  return await runJob(job, {
    source: await FileSource.open([images], { exclude: out }),
    store: new FolderStore(out),
    sink: new FolderSink(out),
    explainer: new ModelExplainer(),
    ...parts?.(out),
  }).catch((error: unknown) => error)
}

for (const [name, reason] of Object.entries(reasons)) {
  test(`nothing is left of a job that cannot begin: ${name}`, async (t) => {
    const folder = temporaryFolder(t)
    const error = await begin(folder, join(folder, 'new', 'out'), reason)
    t.is((error as { code?: string }).code, reason.code, String(error))
    t.false(existsSync(join(folder, 'new')), 'the folders that were made for it are removed')

    const own = join(folder, 'own')
    mkdirSync(own)
    writeFileSync(join(own, 'notes.txt'), 'mine')
    await begin(folder, own, reason)
    t.deepEqual(readdirSync(own), ['notes.txt'], 'a folder that was there stays, with what was in it')
  })
}

/** Every file of a folder, by its name. */
const contentOf = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name)).toString('base64')]),
  )

test('a job that cannot be resumed stays as it was', async (t) => {
  const { folder, batch } = await workplace(t)
  const out = join(folder, 'out')
  t.is(batch(['in', '--out', 'out', ...common]).code, 0)
  const before = contentOf(out)
  await writeJpegs(join(folder, 'in'), ['c.jpg'])
  const failed = batch(['in', '--out', 'out', ...common, '--resume', '--device', 'cuda:63'])
  t.not(failed.code, 0)
  t.deepEqual(contentOf(out), before)
  t.is(batch(['in', '--out', 'out', ...common, '--resume']).code, 0)
  t.is(lines(out).length, 3)
})

test('a folder with a job is refused before the model is loaded', async (t) => {
  const { folder, batch } = await workplace(t)
  t.is(batch(['in', '--out', 'out', ...common]).code, 0)
  const out = join(folder, 'out')
  const spec = await makeJobSpec({ model: sampleModel, layer: 'features' })
  const explainer = new ModelExplainer()
  explainer.open = async () => t.fail('the model was loaded') as never
  const source = await FileSource.open([join(folder, 'in')], { exclude: out })
  const run = (job: JobSpec, resume: boolean) =>
    runJob(job, { source, store: new FolderStore(out, { resume }), sink: new FolderSink(out), explainer })
  await t.throwsAsync(run(spec, false), { code: 'ERR_JOB_EXISTS' })
  await t.throwsAsync(run({ ...spec, layer: 'features.norm5' }, true), { code: 'ERR_JOB_CHANGED' })
})

test.serial('the trial of an untrusted model is made once for all replicas of a job', async (t) => {
  const folder = temporaryFolder(t)
  const counted = startsOf(t, folder)
  const explainer = new ModelExplainer({ devices: ['cpu', 'cpu', 'cpu'], trust: 'untrusted' })
  const plan = await explainer.open(await makeJobSpec({ model: sampleModel, layer: 'features' }))
  await explainer.close()
  t.is(plan.devices.length, 3)
  t.is(counted().filter((argument) => argument.endsWith('trial-child.js')).length, 1)
})

/** What Node processes that this one starts from now on are started with. */
function startsOf(t: ExecutionContext, folder: string): () => readonly string[] {
  const log = join(folder, 'starts.txt')
  writeFileSync(log, '')
  const hook = join(folder, 'hook.cjs')
  writeFileSync(hook, `require('node:fs').appendFileSync(${JSON.stringify(log)}, process.argv[1] + '\\n')`)
  const before = process.env['NODE_OPTIONS']
  process.env['NODE_OPTIONS'] = `--require ${hook}`
  t.teardown(() => {
    if (before === undefined) delete process.env['NODE_OPTIONS']
    else process.env['NODE_OPTIONS'] = before
  })
  return () => readFileSync(log, 'utf8').split('\n')
}
