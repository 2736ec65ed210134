// Nets that return one number, decisions or no tensor, that were traced for a batch of three, whose gradients cancel, and that take
// tokens, volumes or a table beside the image: see test/python/hard_nets.py.
import test from 'ava'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Cam,
  expectedInput,
  explainAll,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  loadNpy,
  pickLayer,
  Tensor,
  type GradCamError,
  type TargetData,
} from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertParity, norm, relativeError } from '../support/parity.js'
import type { Values } from '../support/stored-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('hard_nets.py')
const target = 1

/** Numbers as the bytes of a .npy file. */
const npyOf = (tensor: Tensor): Buffer => toNpy(tensor.contiguous().toTypedArray() as Float32Array, tensor.shape)

/** Whole numbers likewise: of int64, which take the room of two numbers of float32. */
function npyOfIds(ids: readonly number[]): Buffer {
  const bytes = toNpy(new Float32Array(2 * ids.length), [2 * ids.length])
  const start = bytes.length - 8 * ids.length
  const header = bytes.subarray(0, start).toString('latin1')
  bytes.write(
    header
      .replace('<f4', '<i8')
      .replace(`(${2 * ids.length},)`, `(${ids.length},)`.padEnd(`(${2 * ids.length},)`.length)),
    'latin1',
  )
  for (const [i, id] of ids.entries()) bytes.writeBigInt64LE(BigInt(id), start + 8 * i)
  return bytes
}

for (const name of ['squeezed', 'loss'])
  test(`${name}: a number without dimensions is the score of one image`, async (t) => {
    using model = await nets.load(name)
    const { one } = nets.batch(name)
    for (const asked of [undefined, 0, { kind: 'regression' }, { kind: 'element', at: [] }] as const) {
      using cam = new Cam(model, { layers: ['last'] })
      using found = await cam.explain(one, asked === undefined ? {} : { target: asked as TargetData })
      assertParity(t, found.cam, nets.value(name, 'last'), JSON.stringify(asked))
      t.is(found.scores.length, 1)
    }
  })

test('a number without dimensions is not the score of several images', async (t) => {
  using model = await nets.load('loss')
  using cam = new Cam(model, { layers: ['last'] })
  const error = await t.throwsAsync<GradCamError>(() => cam.explain(nets.batch('loss').both))
  t.is(error.code, 'ERR_BATCH_SIZE')
  t.regex(error.message, /one number for 3 images together/)
})

for (const [name, type] of [
  ['decided', 'int64'],
  ['flagged', 'bool'],
] as const)
  test(`${name}: decisions are not taken for scores, by methods without a gradient either`, async (t) => {
    using model = await nets.load(name)
    const { one } = nets.batch(name)
    using cam = new Cam(model, { layers: ['last'], methods: ['gradcam', 'scorecam'] })
    using occlusion = new InputPerturbation(model, { method: 'occlusion' })
    for (const explain of [() => cam.explain(one), () => occlusion.explain(one)]) {
      const error = await t.throwsAsync<GradCamError>(explain)
      t.is(error.code, 'ERR_TARGET')
      t.regex(error.message, new RegExp(`returned ${type} .*which cannot be scores`))
      t.regex(error.remedy ?? '', /without the operator that decides/)
    }
    using eigen = new Cam(model, { layers: ['last'], methods: ['eigencam'] })
    using found = await eigen.explain(one)
    t.is(found.maps[0]?.conditions[0]?.state, 'ok')
  })

test('scores beside decisions are found', async (t) => {
  using model = await nets.load('beside')
  using cam = new Cam(model, { layers: ['last'] })
  using found = await cam.explain(nets.batch('beside').both, { target })
  t.deepEqual(found.of, ['certainty'])
  const error = await t.throwsAsync<GradCamError>(() =>
    cam.explain(nets.batch('beside').both, { target: { kind: 'class', class: 0, of: 'label' } }),
  )
  t.regex(error.message, /returned int64 \[3, 1\]/)
})

for (const [name, type] of [
  ['number', 'float'],
  ['texts', 'Tuple'],
] as const)
  test(`${name}: an output without a tensor is refused as such`, async (t) => {
    using model = await nets.load(name)
    using cam = new Cam(model, { layers: ['last'] })
    const error = await t.throwsAsync<GradCamError>(() => cam.explain(nets.batch(name).one))
    t.is(error.code, 'ERR_TARGET')
    t.regex(error.message, new RegExp(`no tensor, but a value of the type ${type}`))
    t.notRegex(error.remedy ?? '', /`of`/)
  })

for (const name of ['of-three', 'three-rows'])
  test(`${name}: methods of many runs keep to the batch that the model takes`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const execution of ['auto', 'hooked'] as const) {
      using cam = new Cam(model, { layers: ['last'], execution })
      using found = await cam.explain(both, { target })
      assertParity(t, found.cam, nets.value(name, 'gradcam'), execution)
    }
    using ablation = new Cam(model, { layers: ['last'], methods: ['ablationcam'] })
    using ablated = await ablation.explain(both, { target })
    assertParity(t, ablated.cam, nets.value(name, 'ablationcam'), 'ablationcam', 1e-4) // of differences of scores
    t.regex(
      ablated.notes.map(({ message }) => message).join(' '),
      /does not run on one image alone|as many rows for two images as for one/,
    )
    using masks = new Cam(model, { layers: ['stem'], methods: ['scorecam'] })
    using masked = await masks.explain(both, { target })
    assertParity(t, masked.cam, nets.value(name, 'scorecam'), 'scorecam')
    for (const method of ['gradient', 'integrated-gradients'] as const) {
      using attribution = new InputAttribution(model, { method, ...(method !== 'gradient' && { steps: 4 }) })
      using found = await attribution.explain(both, { target })
      assertParity(t, found.attribution, nets.value(name, method), method)
    }
    using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 6], stride: [8, 6] })
    using found = await occlusion.explain(both, { target })
    // A change of the score is a difference of numbers that are some ten times as large.
    assertParity(t, found.attribution, nets.value(name, 'occlusion'), 'occlusion', 1e-4)
  })

for (const name of ['of-three', 'three-rows'])
  test(`${name}: batches of other numbers of images are filled up, and each image has the map that it has alone`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    using cam = new Cam(model, { layers: ['last'], methods: ['gradcam', 'scorecam'] })
    const expected = [0, 1, 2].map((i) => nets.value(name, `alone-${i}`))
    for (const [i, alone] of expected.entries()) {
      using image = both.slice(0, i, i + 1).clone()
      using found = await cam.explain(image, { target })
      assertParity(t, found.get('last', 'gradcam'), alone, `image ${i}`)
      t.deepEqual(found.notes, [])
    }
    const tensors = [0, 1, 2, 0, 1, 2, 1].map((i) => ({ id: String(i), tensor: both.slice(0, i, i + 1).clone() }))
    for (const [settings, runs] of [
      [{}, 3],
      [{ batchSize: 2 }, 4],
    ] as const) {
      let calls = 0
      const hook = model.registerForwardHook('stem', () => void calls++)
      for await (using found of explainAll(tensors, { model, layer: 'last', target, ...settings })) {
        if (!found.ok) throw found.error
        const alone = expected[Number(found.id)] as Values
        t.true(relativeError(found.map.toTypedArray(), alone.data) < 1e-5, found.id)
      }
      hook.remove()
      t.is(calls, runs)
    }
    const first = both.slice(0, 0, 1).clone()
    using fresh = await nets.load(name)
    using attribution = new InputAttribution(fresh, { method: 'integrated-gradients', steps: 4 })
    using integrated = await attribution.explain(first, { target })
    const rows = nets.value(name, 'integrated-gradients')
    const ofFirst = rows.data.slice(0, rows.data.length / 3)
    t.true(relativeError(integrated.attribution.toTypedArray(), ofFirst) < 1e-5)
  })

for (const name of ['of-three', 'three-rows'])
  test(`${name}: a batch of its first model is filled up without a run before, and so are the commands`, async (t) => {
    const folder = temporaryFolder(t)
    const { both } = nets.batch(name)
    const files: string[] = []
    for (const i of [0, 1, 2, 3]) {
      const file = join(folder, `${i}.npy`)
      await writeFile(file, npyOf(both.slice(0, i % 3, (i % 3) + 1)))
      files.push(file)
    }
    const model = nets.file(name)
    const expected = [0, 1, 2, 0].map((i) => nets.value(name, `alone-${i}`))
    const scores = [0, 1, 2, 0].map((i) => nets.value(name, 'scores').data[i] as number)
    for (const layer of [['--layer', 'last'], []]) {
      const out = join(folder, `explained${layer.length}`)
      const explained = gradcam([
        'explain',
        ...files,
        '--model',
        model,
        ...layer,
        '--target',
        '1',
        '--out',
        out,
        '--json',
      ])
      t.is(explained.code, 0, explained.stderr)
      const lines = explained.stdout.split('\n').filter((line) => line.includes('"score"'))
      t.is(lines.length, 4)
      for (const [i, line] of lines.entries())
        t.true(Math.abs((JSON.parse(line) as { score: number }).score - (scores[i] as number)) < 1e-5, line)
    }
    const out = join(folder, 'batch')
    const batch = gradcam([
      ...['batch', ...files, '--model', model, '--layer', 'last', '--target', '1', '--write', 'npy', '--out', out],
    ])
    t.is(batch.code, 0, batch.stderr)
    const lines = (await readFile(join(out, 'manifest.jsonl'), 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"ok"'))
    t.is(lines.length, 4)
    for (const [i, alone] of expected.entries()) {
      using map = await loadNpy(join(out, `${i}.npy.map.npy`))
      t.true(relativeError(map.toTypedArray(), alone.data) < 1e-5, `image ${i}`)
    }
    const doctor = gradcam(['doctor', model, '--size', '16x24', '--layer', 'last'])
    t.is(doctor.code, 0, doctor.stdout)
    t.regex(gradcam(['layers', model, '--size', '16x24']).stdout, /explain uses last/)
  })

test('mixed-three: images that depend on each other are not filled up with copies', async (t) => {
  using model = await nets.load('mixed-three')
  const { both, one } = nets.batch('mixed-three')
  const error = await t.throwsAsync<GradCamError>(() => pickLayer(model, [1, 3, 16, 24]))
  t.is(error.code, 'ERR_BATCH_SIZE')
  t.regex(error.message, /runs on 3 images at a time, and not on one, and what .* depends on the others: .*shape/)
  t.is(error.details?.['batch'], 3)
  using cam = new Cam(model, { layers: ['last'] })
  await t.throwsAsync(cam.explain(one, { target }), { message: /shape/ })
  using found = await cam.explain(both, { target })
  assertParity(t, found.cam, nets.value('mixed-three', 'gradcam'), 'the batch as it is')
  const { code, stdout } = gradcam(['doctor', nets.file('mixed-three'), '--size', '16x24'])
  t.is(code, 1)
  t.regex(stdout, /runs on 3 images at a time/)
})

test('random-three: what two runs differ in is not laid to the other images', async (t) => {
  using model = await nets.load('random-three')
  const error = await t.throwsAsync<GradCamError>(() => pickLayer(model, [1, 3, 16, 24]))
  t.is(error.code, 'ERR_BATCH_SIZE')
  t.regex(error.message, /runs on 3 images at a time, and not on one, and two runs of it differ/)
})

test('candidates: as many rows for any number of images are not rows of images', async (t) => {
  using model = await nets.load('candidates')
  using cam = new Cam(model, { layers: ['last'] })
  const error = await t.throwsAsync<GradCamError>(() => cam.explain(nets.batch('candidates').one, { target }))
  t.is(error.code, 'ERR_TARGET')
  t.regex(error.message, /3 rows for 1 image/)
  t.regex(error.remedy ?? '', /Where it was traced with 3 images, give it as many/)
  await t.throwsAsync(cam.explain(nets.batch('candidates').one, { target }), { code: 'ERR_TARGET' })
})

for (const name of ['normalised', 'normalised-volume'])
  test(`${name}: weights that are rounding are said, and the layer after the normalisation has others`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    using cam = new Cam(model, { layers: ['stem', 'norm'], methods: ['gradcam', 'hirescam'] })
    using found = await cam.explain(both, { target })
    const states = found.maps.map(({ layer, method, conditions }) => [layer, method, conditions[0]?.state])
    t.deepEqual(states, [
      ['stem', 'gradcam', 'rounding'],
      ['norm', 'gradcam', 'ok'],
      ['stem', 'hirescam', 'ok'],
      ['norm', 'hirescam', 'ok'],
    ])
    t.regex(found.maps[0]?.conditions[0]?.reason ?? '', /'stem' adds up to zero .*InstanceNorm/)
    assertParity(t, found.get('norm', 'gradcam'), nets.value(name, 'norm'), 'norm')
    using guided = new GuidedGradCam(model, { layer: 'stem' })
    using mixed = await guided.explain(both, { target })
    t.is(mixed.conditions[0]?.state, 'rounding')
  })

test('tokens: an input by which rows of a table are looked up is of whole numbers', async (t) => {
  using model = await nets.load('tokens')
  t.is(expectedInput(model).dtype, 'int64')
  const [ids] = nets.inputs('tokens') as [Tensor]
  using cam = new Cam(model, { layers: ['mix'] })
  using found = await cam.explain(ids, { target })
  assertParity(t, found.cam, nets.value('tokens', 'mix'), 'mix')
  const folder = temporaryFolder(t)
  const file = join(folder, 'ids.npy')
  await writeFile(file, npyOfIds(Array.from(ids.toTypedArray(), Number)))
  const run = gradcam([
    'explain',
    file,
    '--model',
    nets.file('tokens'),
    '--layer',
    'mix',
    '--target',
    '1',
    '--out',
    folder,
  ])
  t.is(run.code, 0, run.stderr)
  t.regex(run.stdout, /arrays of \[1, 12\] as they are/)
  t.regex(gradcam(['layers', nets.file('tokens'), '--shape', '1x12']).stdout, /mix .*\[1, 6, 12\]/)
})

test('tabled: the images alone vary where a method changes its input, and an error names the input that does not fit', async (t) => {
  using model = await nets.load('tabled')
  const [table, image] = nets.inputs('tabled') as [Tensor, Tensor]
  using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 4, input: 1 })
  using path = await integrated.explain([table, image], { target })
  assertParity(t, path.attribution, nets.value('tabled', 'integrated-gradients'), 'integrated gradients')
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 6], stride: [8, 6], input: 1 })
  using covered = await occlusion.explain([table, image], { target })
  assertParity(t, covered.attribution, nets.value('tabled', 'occlusion'), 'occlusion', 1e-4)

  const folder = temporaryFolder(t)
  const [right, wrong] = [join(folder, 'right.npy'), join(folder, 'wrong.npy')]
  await writeFile(right, npyOf(table))
  await writeFile(wrong, npyOf(table.slice(1, 0, 3)))
  const run = gradcam(['layers', nets.file('tabled'), '--size', '16x24', '--input', `table=${wrong}`])
  t.is(run.code, 1)
  t.regex(run.stderr, /'table' \[1, 3\], 'image' \[1, 3, 16, 24\]/)
  t.regex(
    gradcam(['doctor', nets.file('tabled'), '--size', '16x24', '--input', `table=${right}`]).stdout,
    /at last .*split/,
  )
  const missing = gradcam(['doctor', nets.file('tabled'), '--size', '16x24'])
  t.regex(missing.stdout, /'image' .* is missing\..*\(here: --input\)/)
})

test('channels-last: commands say why they cannot give it images', (t) => {
  const { stdout } = gradcam(['doctor', nets.file('channels-last'), '--size', '16x24'])
  t.regex(stdout, /moves the channels of \[N, H, W, C\], and was given \[N, C, H, W\]/)
})

test('volume: commands take the sizes that the file fixes, and change boxes of it', async (t) => {
  const { code, stdout } = gradcam(['doctor', nets.file('volume')])
  t.is(code, 0, stdout)
  t.regex(stdout, /a forward pass of \[1, 1, 8, 12, 16\]/)
  const folder = temporaryFolder(t)
  const file = join(folder, 'volume.npy')
  const [volume] = nets.inputs('volume') as [Tensor]
  await writeFile(file, npyOf(volume))
  const methods = 'feature-ablation,occlusion,integrated-gradients'
  const run = gradcam([
    'explain',
    file,
    '--model',
    nets.file('volume'),
    '--method',
    methods,
    '--steps',
    '4',
    '--out',
    folder,
  ])
  t.is(run.code, 0, run.stderr)
  using ablated = await loadNpy(join(folder, 'volume-feature-ablation-map.npy'))
  t.deepEqual(ablated.shape, [8, 12, 16])
  t.true(norm(ablated.toTypedArray()) > 0)
})
