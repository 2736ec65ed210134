// Settings of the method of a batch: the same map as the explainer gives with them, and part of what a job is.
import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  explainAll,
  InputAttribution,
  InputPerturbation,
  loadNpy,
  makeJobSpec,
  manualSeed,
  ScriptModule,
  Tensor,
  type BatchMethodSettings,
} from '../../lib/index.js'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { readQueuedSpec } from '../../lib/queue/read-spec.js'
import { sampleModel } from '../support/batch.js'
import { gradcam } from '../support/package-copy.js'
import { lines, workplace } from '../support/workplace.js'

manualSeed(5)
const image = Tensor.rand([1, 3, 64, 64])
const model = await ScriptModule.load(sampleModel)
test.after.always(() => {
  image.dispose()
  model.dispose()
})

async function mapOf(method: 'integrated-gradients' | 'occlusion', settings: BatchMethodSettings): Promise<number[]> {
  for await (using result of explainAll([image], { model, method, settings, target: 2 })) {
    if (!result.ok) throw result.error
    return [...(result.map.toTypedArray() as Float32Array)]
  }
  throw new Error('no result')
}

test('a batch explains by the settings of its method', async (t) => {
  for (const steps of [2, 7]) {
    using attribution = new InputAttribution(model, { method: 'integrated-gradients', steps })
    using found = await attribution.explain(image, { target: 2 })
    using map = found.attribution.mean(1, true)
    const values = [...(map.toTypedArray() as Float32Array)]
    t.deepEqual(await mapOf('integrated-gradients', { steps }), values, `${steps} steps`)
  }
  const covered = { window: [32, 16], stride: [32, 16] } as const
  using occlusion = new InputPerturbation(model, { method: 'occlusion', ...covered })
  using found = await occlusion.explain(image, { target: 2 })
  using map = found.attribution.mean(1, true)
  t.deepEqual(await mapOf('occlusion', covered), [...(map.toTypedArray() as Float32Array)])
})

test('settings that the method does not take, or that are options of their own, are refused', async (t) => {
  for (const [method, settings] of [
    ['gradcam', { steps: 3 }],
    ['integrated-gradients', { steps: 0 }],
    ['integrated-gradients', { setps: 3 }],
    ['integrated-gradients', { part: 1 }],
    ['gradcam', { precision: 'bfloat16' }],
    ['lrp', { low: () => 1 }],
    ['integrated-gradients', 'steps'],
  ] as const) {
    const given = { model: sampleModel, method, settings: settings as never }
    await t.throwsAsync(makeJobSpec(given), { code: 'ERR_INVALID_ARGUMENT' } as never, JSON.stringify(settings))
    t.throws(
      () =>
        explainAll([image], {
          model,
          method,
          settings: settings as never,
          ...(method === 'gradcam' && { layer: 'features' }),
        }),
      { code: 'ERR_INVALID_ARGUMENT' } as never,
    )
  }
})

test('a job holds plain data alone', async (t) => {
  using low = Tensor.zeros([3, 1, 1])
  const settings = { composite: 'epsilon-gamma-box', low, high: 1 } as never
  await t.throwsAsync(makeJobSpec({ model: sampleModel, method: 'lrp', settings }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /as JSON has them/,
  } as never)
})

test('a job holds the settings of its command line, and is not resumed with others', async (t) => {
  const { folder, batch } = await workplace(t, ['a.jpg'])
  const small = ['--preprocess', '{"resize":[64,64],"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}']
  const job = ['in', '--model', sampleModel, '--method', 'occlusion', ...small, '--write', 'npy', '--out', 'out']
  const windows = ['--window', '32x32', '--stride', '32x32']
  const ended = batch([...job, ...windows])
  t.is(ended.code, 0, ended.stderr)
  const spec = JSON.parse(readFileSync(join(folder, 'out', 'job.json'), 'utf8')) as { settings?: unknown }
  t.deepEqual(JSON.parse(JSON.stringify(spec)).settings ?? (spec as { spec?: { settings?: unknown } }).spec?.settings, {
    window: [32, 32],
    stride: [32, 32],
  })
  const [line] = lines(join(folder, 'out')) as JobResultLine[]
  using map = await loadNpy(join(folder, 'out', line?.files['npy'] as string))
  // Four windows that do not overlap: one value in each.
  t.is(new Set(map.toTypedArray() as Float32Array).size, 4)
  t.is(batch([...job, ...windows, '--resume']).code, 0)
  for (const other of [['--window', '16x16', '--stride', '16x16'], []]) {
    const refused = batch([...job, ...other, '--resume'])
    t.not(refused.code, 0)
    t.regex(refused.stderr, /settings/)
  }
  const wrong = gradcam([
    'batch',
    join(folder, 'in'),
    '--model',
    sampleModel,
    '--steps',
    '3',
    '--out',
    join(folder, 'no'),
  ])
  t.regex(wrong.stderr, /--steps.* goes with integrated-gradients/)
})

test('a worker refuses settings of a job that its method does not take', async (t) => {
  const spec = { ...(await makeJobSpec({ model: sampleModel, method: 'occlusion' })), settings: { steps: 3 } }
  const bytes = Buffer.from(JSON.stringify(spec))
  const { createHash } = await import('node:crypto')
  const workspace = { out: '/jobs/a', specBytes: async () => bytes, readSpec: async () => spec }
  const expected = createHash('sha256').update(bytes).digest('hex')
  await t.throwsAsync(readQueuedSpec(workspace as never, expected), {
    code: 'ERR_QUEUE_REFUSED',
    message: /steps/,
  } as never)
})
