import test, { type ExecutionContext } from 'ava'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  checkSameJob,
  FileSource,
  FolderSink,
  FolderStore,
  liveTensors,
  makeJobSpec,
  ModelExplainer,
  readJobSpec,
  readManifest,
  runJob,
  ScriptModule,
  type JobClaim,
  type JobEntry,
  type JobLine,
  type JobProgress,
  type JobSource,
  type JobSpec,
  type JobStart,
  type JobStore,
  type JobWarning,
  type ResultSink,
  type RunJobOptions,
} from '../../lib/index.js'
import { jpegOf, sampleModel, writeJpegs } from '../support/batch.js'
import { temporaryFolder } from '../support/package-copy.js'

/** A store in memory, as a database would be one. */
class MemoryStore implements JobStore {
  readonly calls: string[] = []
  readonly lines = new Map<string, JobLine>()
  spec: JobSpec | null = null
  lost: AbortSignal | undefined

  async claim(spec: JobSpec): Promise<JobClaim> {
    this.calls.push('claim')
    this.spec = spec
    const done = new Map([...this.lines].map(([id, line]) => [id, !('error' in line)]))
    return { done, ...(this.lost && { lost: this.lost }) }
  }

  async record(line: JobLine): Promise<void> {
    this.lines.set(line.id, line)
  }

  async close(): Promise<void> {
    this.calls.push('close')
  }
}

/** Files in memory, as in a bucket of objects. */
class MemorySink implements ResultSink {
  readonly objects = new Map<string, Buffer>()
  readonly calls: string[] = []
  failure: Error | null = null

  async open(): Promise<void> {
    this.calls.push('open')
  }

  async write(result: Parameters<ResultSink['write']>[0]): Promise<Record<string, string>> {
    if (this.failure) throw this.failure
    const key = `maps/${result.id}.npy`
    this.objects.set(key, await result.encode('npy'))
    return { npy: key }
  }

  isFatal(error: unknown): boolean {
    return error === this.failure && this.failure?.message === 'the bucket is gone'
  }

  async close(): Promise<void> {
    this.calls.push('close')
  }
}

const queue = (entries: readonly JobEntry[]): JobSource => ({
  entries: async function* () {
    yield* entries
  },
})

async function uploads(count: number): Promise<JobEntry[]> {
  const bytes = await Promise.all(Array.from({ length: count }, (_, seed) => jpegOf(seed)))
  return bytes.map((source, i) => ({ id: `upload-${i}`, input: `https://example.org/${i}`, source }))
}

/** A job of a service: bytes come from a queue, results go into memory, and the model is loaded already. */
async function service(t: ExecutionContext, entries: readonly JobEntry[]) {
  const model = await ScriptModule.load(sampleModel)
  t.teardown(() => model.dispose())
  const store = new MemoryStore()
  const sink = new MemorySink()
  const explainer = new ModelExplainer({ model, batchSize: 2, window: 2 })
  const spec = await makeJobSpec({ model: sampleModel, layer: 'features' })
  const options: RunJobOptions = { source: queue(entries), store, sink, explainer }
  return { model, spec, store, sink, options }
}

test.serial('a service runs a job without a file: bytes from a queue, lines and maps into memory', async (t) => {
  const entries: JobEntry[] = [
    ...(await uploads(3)),
    { id: 'refused', input: 'https://example.org/refused', error: new TypeError('no\nsuch upload') },
    { id: 'torn', input: 'https://example.org/torn', source: new Uint8Array(8) },
    { id: 'third', input: 'https://example.org/3', source: await jpegOf(3), target: 5 },
  ]
  const { model, spec, store, sink, options } = await service(t, entries)
  const before = liveTensors()
  const started: JobStart[] = []
  const progress: JobProgress[] = []
  const summary = await runJob(spec, {
    ...options,
    onStart: (start) => started.push(start),
    onProgress: (one) => progress.push(one),
  })
  t.deepEqual(store.spec, spec)
  t.deepEqual(started, [{ layer: 'features', devices: ['cpu'], explained: 0, failed: 0, files: 0 }])
  const { seconds, ...counts } = summary
  t.true(seconds > 0)
  const isZero = (line: JobLine): boolean =>
    'map' in line && Buffer.from(line.map.levels, 'base64').every((level) => level === 0)
  const mapsOfZeros = [...store.lines.values()].filter(isZero).length
  t.is(mapsOfZeros, 1)
  t.deepEqual(counts, {
    explained: 4,
    failed: 2,
    inputs: 6,
    before: 0,
    files: 4,
    errors: { other: 1, ERR_IMAGE_CORRUPT: 1 },
    conditions: { zero: mapsOfZeros },
    notes: [],
    warnings: [],
    interrupted: false,
  })
  t.is(progress.length, 6)
  const { explained, failed, files } = progress.at(-1) as JobProgress
  t.deepEqual({ explained, failed, files }, { explained: 4, failed: 2, files: 4 })
  t.deepEqual(store.lines.get('refused'), {
    id: 'refused',
    input: 'https://example.org/refused',
    sha256: null,
    error: { code: null, message: 'no such upload' },
  })
  const third = store.lines.get('third')
  t.true(third !== undefined && 'target' in third && third.target === 5)
  t.deepEqual([...sink.objects.keys()].sort(), [
    'maps/third.npy',
    'maps/upload-0.npy',
    'maps/upload-1.npy',
    'maps/upload-2.npy',
  ])
  t.deepEqual(
    [sink.calls, store.calls],
    [
      ['open', 'close'],
      ['claim', 'close'],
    ],
  )
  t.is(liveTensors(), before)
  t.notThrows(() => model.namedModules(), 'a model that was given is not disposed')

  // Once more: nothing is left to do, and what failed stays failed.
  const again = await runJob(spec, options)
  t.like(again, { inputs: 6, explained: 4, failed: 2, before: 6, files: 0 })
})

test.serial('a signal ends a job between two inputs, and the next run does the rest', async (t) => {
  const { spec, store, options } = await service(t, await uploads(8))
  const stop = new AbortController()
  const first = await runJob(spec, { ...options, signal: stop.signal, onProgress: () => stop.abort() })
  t.true(first.interrupted)
  t.true(first.inputs > 0 && first.inputs < 8, `${first.inputs} inputs`)
  t.is(store.lines.size, first.inputs)
  const second = await runJob(spec, options)
  t.false(second.interrupted)
  t.like(second, { inputs: 8, explained: 8, before: first.inputs })
})

test.serial('a source that never gives its next entry does not keep a stopped job waiting', async (t) => {
  const [entry] = await uploads(1)
  const { spec, options } = await service(t, [])
  const stop = new AbortController()
  const source: JobSource = {
    entries: async function* () {
      yield entry as JobEntry
      await new Promise(() => {})
    },
  }
  const summary = await runJob(spec, { ...options, source, signal: stop.signal, onProgress: () => stop.abort() })
  t.like(summary, { inputs: 1, explained: 1, interrupted: true })
})

test.serial('an error of a part ends the job, and the parts are closed', async (t) => {
  const { spec, store, sink, options } = await service(t, await uploads(3))
  const record = async (): Promise<void> => {
    throw new Error('the database is gone')
  }
  await t.throwsAsync(
    runJob(spec, { ...options, store: Object.assign(Object.create(store) as MemoryStore, { record }) }),
    {
      message: 'the database is gone',
    },
  )
  t.deepEqual(store.calls.splice(0), ['claim', 'close'])

  sink.failure = new Error('the bucket is gone')
  await t.throwsAsync(runJob(spec, options), { message: 'the bucket is gone' })
  t.is(store.lines.size, 0, 'the inputs are tried again by the next run')
  sink.failure = new Error('one object is locked')
  t.like(await runJob(spec, options), { explained: 0, failed: 3 })
  sink.failure = null
  store.lines.clear()

  // What is wrong with the job ends it at the first input; what is wrong with one entry does not.
  const wrongTarget = { ...spec, target: 99 }
  await t.throwsAsync(runJob(wrongTarget, options), { code: 'ERR_TARGET_OUT_OF_RANGE' })
  const own = (await uploads(2)).map((one, i) => (i === 0 ? { ...one, target: 99 } : one))
  t.like(await runJob(spec, { ...options, source: queue(own) }), { explained: 1, failed: 1 })

  const broken: JobSource = {
    entries: async function* () {
      yield* await uploads(1)
      throw new Error('the queue is gone')
    },
  }
  await t.throwsAsync(runJob(spec, { ...options, source: broken }), { message: 'the queue is gone' })
  t.is(store.calls.filter((call) => call === 'claim').length, store.calls.filter((call) => call === 'close').length)
})

test.serial(
  'a claim that is lost ends the job with its reason, and leaves the files to the other process',
  async (t) => {
    const { spec, store, sink, options } = await service(t, await uploads(6))
    const lost = new AbortController()
    store.lost = lost.signal
    const reason = new Error('another process took the lock')
    const running = runJob(spec, { ...options, onProgress: () => lost.abort(reason) })
    t.is(await t.throwsAsync(running), reason)
    t.true(store.lines.size < 6)
    t.deepEqual([sink.calls, store.calls], [['open'], ['claim', 'close']])
  },
)

test.serial('labels for another number of classes are a warning, once', async (t) => {
  const { spec, options } = await service(t, await uploads(3))
  const warnings: JobWarning[] = []
  await runJob({ ...spec, labels: ['cat', 'dog'] }, { ...options, onWarning: (warning) => warnings.push(warning) })
  t.deepEqual(
    warnings.map(({ code, details }) => ({ code, details })),
    [{ code: 'LABEL_COUNT', details: { labels: 2, outputs: 8 } }],
  )
})

test.serial('files by the parts for files: the default layer, a job that exists, one that changed', async (t) => {
  const folder = temporaryFolder(t)
  const [images, out] = [join(folder, 'in'), join(folder, 'out')]
  await writeJpegs(images, ['a.jpg', 'sub/b.jpg'])
  const source = await FileSource.open([images], { exclude: out })
  const spec = await makeJobSpec({ model: sampleModel, write: ['npy'], sources: [images], base: source.base })
  const run = (now: JobSpec, resume: boolean) =>
    runJob(now, {
      source,
      store: new FolderStore(out, { resume }),
      sink: new FolderSink(out),
      explainer: new ModelExplainer(),
    })
  t.like(await run(spec, false), { explained: 2, files: 2 })
  t.deepEqual(await readJobSpec(out), spec)
  const lines: JobLine[] = []
  for await (const line of readManifest(out)) lines.push(line)
  t.deepEqual(lines.map(({ id }) => id).sort(), ['a.jpg', 'sub/b.jpg'])
  for (const line of lines) {
    if ('error' in line) throw new Error(line.error.message)
    t.true(existsSync(join(out, line.files['npy'] as string)))
    t.is(line.layer, 'features')
  }
  t.deepEqual(readdirSync(out).sort(), ['.gradcam-lock', 'a.jpg.map.npy', 'job.json', 'manifest.jsonl', 'sub'])
  await t.throwsAsync(run(spec, false), { code: 'ERR_JOB_EXISTS' })
  await t.throwsAsync(run({ ...spec, alpha: 0.25 }, true), {
    code: 'ERR_JOB_CHANGED',
    message: /alpha: 0\.5 before, 0\.25/,
  })
  t.like(await run(spec, true), { explained: 2, before: 2, files: 0 })
})

test.serial('job.json of an earlier version is resumed, of a later one refused', async (t) => {
  const folder = temporaryFolder(t)
  const [images, out] = [join(folder, 'in'), join(folder, 'out')]
  await writeJpegs(images, ['a.jpg', 'b.jpg'])
  const source = await FileSource.open([images], { exclude: out })
  const spec = await makeJobSpec({ model: sampleModel, layer: 'features', sources: [images], base: source.base })
  const run = (options: { resume: boolean }) => {
    const parts = { store: new FolderStore(out, options), sink: new FolderSink(out), explainer: new ModelExplainer() }
    return runJob(spec, { source, ...parts })
  }
  await run({ resume: false })
  const file = join(out, 'job.json')
  const { version, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  t.is(version, 1)
  // The keys of the first versions, in their order, without a version.
  t.is(Object.keys(rest).join(), 'model,method,precision,layer,target,preprocess,write,alpha,labels,sources,base')
  writeFileSync(file, `${JSON.stringify(rest, null, 2)}\n`)
  t.like(await run({ resume: true }), { before: 2, inputs: 2 })
  t.is(readFileSync(file, 'utf8'), `${JSON.stringify(rest, null, 2)}\n`)

  writeFileSync(file, JSON.stringify({ version: 2, ...rest }))
  await t.throwsAsync(run({ resume: true }), { code: 'ERR_JOB_VERSION', message: /format version 2;.*reads 1\./ })
  for (const damaged of ['', '{', '[]', 'null', '"text"']) {
    writeFileSync(file, damaged)
    await t.throwsAsync(
      run({ resume: true }),
      { code: 'ERR_FILE_UNREADABLE', message: /job\.json' is damaged/ },
      damaged,
    )
  }
})

test.serial('an id of another source cannot lead out of the folder of the results', async (t) => {
  const folder = temporaryFolder(t)
  const out = join(folder, 'out')
  const source = await jpegOf(1)
  const ids = ['../up', 'sub/../../up', '/etc/up', '', 'a\0b', 'sub/fine', 'fine..jpg']
  const model = await ScriptModule.load(sampleModel)
  t.teardown(() => model.dispose())
  const spec = await makeJobSpec({ model: sampleModel, layer: 'features', write: ['npy'] })
  const store = new MemoryStore()
  await runJob(spec, {
    source: queue(ids.map((id) => ({ id, input: 'upload', source }))),
    store,
    sink: new FolderSink(out),
    explainer: new ModelExplainer({ model }),
  })
  const written = [...store.lines.values()].filter((line) => 'files' in line).map(({ id }) => id)
  t.deepEqual(written.sort(), ['fine..jpg', 'sub/fine'])
  for (const line of store.lines.values()) if ('error' in line) t.is(line.error.code, 'ERR_INVALID_ARGUMENT', line.id)
  t.deepEqual(readdirSync(folder), ['out'])
})

test.serial('specifications that are compared must be plain data', async (t) => {
  const spec = await makeJobSpec({ model: sampleModel })
  t.notThrows(() => checkSameJob(spec, structuredClone(spec)))
  t.notThrows(() => checkSameJob(spec, { ...spec, layer: undefined as never }), 'as if it were not there')
  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  for (const labels of [cyclic, [1n]])
    for (const [before, now] of [
      [spec, { ...spec, labels: labels as never }],
      [{ ...spec, labels: labels as never }, spec],
    ] as const)
      t.throws(() => checkSameJob(before, now), { code: 'ERR_INVALID_ARGUMENT', message: /must be plain data/ })
  const noJson = { ...spec, toJSON: () => undefined }
  t.throws(() => checkSameJob(noJson, spec), { code: 'ERR_INVALID_ARGUMENT', message: /`before` must be plain data/ })
})

test.serial('the options of a job are checked, and have defaults', async (t) => {
  const spec = await makeJobSpec({ model: sampleModel })
  t.like(spec, { method: 'gradcam', precision: null, layer: null, target: 'argmax', write: ['overlay'], alpha: 0.5 })
  t.like(spec.preprocess, { resize: 256, crop: [224, 224] })
  t.regex(spec.model.sha256, /^[0-9a-f]{64}$/)
  const wrong: readonly (readonly [object, string, RegExp])[] = [
    [{ method: 'gradcm' }, 'ERR_INVALID_ARGUMENT', /`method` must be .*, but is 'gradcm'/],
    [
      { method: 'saliency', layer: 'features' },
      'ERR_INVALID_ARGUMENT',
      /`layer` must be left out for the method saliency/,
    ],
    [{ target: -1 }, 'ERR_TARGET', /-1 is not a target/],
    [{ write: ['gif'] }, 'ERR_INVALID_ARGUMENT', /'gif'/],
    [{ alpha: 2 }, 'ERR_INVALID_ARGUMENT', /`alpha` must be a number from 0 to 1, but is 2/],
    [{ preprocess: 'imagnet' }, 'ERR_INVALID_ARGUMENT', /`preprocess` must be .*, but is 'imagnet'/],
    [{ model: 'no.pt' }, 'ERR_FILE_NOT_FOUND', /'no\.pt' does not exist/],
  ]
  for (const [change, code, message] of wrong)
    await t.throwsAsync(makeJobSpec({ model: sampleModel, ...change }), { code, message })
})
