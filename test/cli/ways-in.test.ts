// Models that are not classifiers of three channels in float32, through every command.
import test from 'ava'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Cam, loadNpy, Tensor, type Target, type Value } from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { drawNoise } from '../support/drawings.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'
import { lines as manifest } from '../support/workplace.js'

const nets = await unusualNets('ways_in_nets.py')
const small = JSON.stringify({ resize: [16, 24], mean: [0.5], std: [0.5] })

async function writeNpy(file: string, tensor: Tensor): Promise<string> {
  await writeFile(file, toNpy(tensor.toTypedArray() as Float32Array, tensor.shape))
  return file
}

interface Line {
  readonly target: number | null
  readonly score: number | null
  readonly of?: (string | number)[]
  readonly files: Record<string, string>
}

const linesOf = (stdout: string): Line[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)

for (const [name, flags, target, part] of [
  ['nested', ['--target', '3'], { kind: 'class', class: 3, of: ['y', 0] }, ['y', 0]],
  ['logits', ['--target', '3'], { kind: 'class', class: 3, of: 'logits' }, ['logits']],
  ['heads', ['--of', '1', '--target', '2'], { kind: 'class', class: 2, of: 1 }, undefined],
  ['heads', ['--of', '[1]'], { kind: 'class', of: 1 }, undefined],
  ['dense', ['--target', '{"kind":"element","at":[2]}'], { kind: 'element', at: [2] }, undefined],
  ['anchors', ['--target', '{"kind":"element","at":[5,"max"]}'], { kind: 'element', at: [5, 'max'] }, undefined],
  ['sequence', ['--target', '{"kind":"element","at":[4,1]}'], { kind: 'element', at: [4, 1] }, undefined],
] as const)
  test(`${name} ${flags.join(' ')}: explain and batch give the map and score of the API`, async (t) => {
    const folder = temporaryFolder(t)
    const { one } = nets.batch(name)
    const input = await writeNpy(join(folder, 'input.npy'), one)
    using model = await nets.load(name)
    using cam = new Cam(model, { layers: ['stem'] })
    using found = await cam.explain<Value>(one, { target: target as Target<Value> })
    const [score = NaN] = found.scores
    const common = ['--model', nets.file(name), '--layer', 'stem', ...flags, '--json']

    const explained = gradcam(['explain', input, ...common, '--out', join(folder, 'explained')])
    t.is(explained.code, 0, explained.stderr)
    const [line] = linesOf(explained.stdout)
    t.deepEqual(line?.of, part as never)
    t.true(Math.abs((line?.score ?? NaN) - score) < 1e-5 * Math.max(1, Math.abs(score)))
    t.is(line?.target ?? -1, found.targets[0] as number)

    const out = join(folder, 'batch')
    const ended = gradcam(['batch', input, ...common, '--out', out, '--write', 'npy,overlay'])
    t.is(ended.code, 0, ended.stderr)
    const [result] = manifest(out) as [JobResultLine]
    t.is(result.target, found.targets[0] as number)
    t.deepEqual(result.of, part as never)
    using map = await loadNpy(join(out, result.files['npy'] ?? ''))
    assertParity(
      t,
      map.unsqueeze(0).unsqueeze(0),
      { shape: [1, 1, 8, 12], data: found.cam.toTypedArray() as Float32Array },
      name,
    )
    t.is(gradcam(['report', out]).code, 0)
  })

test('what has no class: a method that needs none is explained without, others say what to give', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'in', 'noise.png'), 1)
  const common = ['--model', nets.file('dense'), '--layer', 'stem']
  const eigen = gradcam([
    'explain',
    image,
    ...common,
    '--method',
    'eigencam',
    '--size',
    '16x24',
    '--out',
    folder,
    '--json',
  ])
  t.is(eigen.code, 0, eigen.stderr)
  t.like(linesOf(eigen.stdout)[0], { target: null, score: null })
  const grad = gradcam(['explain', image, ...common, '--size', '16x24', '--out', folder])
  t.is(grad.code, 1)
  t.regex(grad.stderr, /\[1, 4, 16, 24\].*kind: 'element'.*\(here: --target and --of/)
  const job = ['--preprocess', small, '--out', join(folder, 'eigen')]
  t.is(gradcam(['batch', join(folder, 'in'), ...common, '--method', 'eigencam', ...job]).code, 0)
  const [line] = manifest(join(folder, 'eigen')) as [JobResultLine]
  t.deepEqual([line.target, line.score], [-1, null as never])
  t.is(gradcam(['report', join(folder, 'eigen')]).code, 0)
  for (const wrong of ['{"kind":"element"}', '{"kind":', '{"kind":"element","at":[1],"class":2}']) {
    const ended = gradcam(['explain', image, ...common, '--target', wrong, '--out', folder])
    t.is(ended.code, 2)
    t.regex(ended.stderr, /^gradcam: --target: [^\n]+\n$/)
  }
})

test('a job whose target fits no output, or whose model refuses its size, ends with its first image', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'in', '0.png'), 1)
  for (let i = 1; i < 12; i++) copyFileSync(image, join(folder, 'in', `${i}.png`))
  const job = (name: string, size: string, out: string): ReturnType<typeof gradcam> => {
    const preprocess = JSON.stringify({ resize: size.split('x').map(Number) })
    const more = ['--model', nets.file(name), '--layer', 'stem', '--preprocess', preprocess, '--batch', '2']
    return gradcam(['batch', join(folder, 'in'), ...more, '--out', join(folder, out)])
  }
  const target = job('dense', '16x24', 'target')
  t.is(target.code, 1)
  t.regex(target.stderr, /A class needs logits/)
  const size = job('positions', '20x24', 'size')
  t.is(size.code, 1)
  t.regex(size.stderr, /does not run on an input of \[1, 3, 20, 24\]/)
  t.is(job('positions', '16x24', 'right').code, 0)
  t.is(manifest(join(folder, 'right')).length, 12)
})

for (const [name, channels, says] of [
  ['grey', 1, /grey as Pillow makes L, from 0 to 1, since/],
  ['float16', 3, /in float16/],
  ['bfloat16', 3, /in bfloat16/],
  ['float64', 3, /in float64/],
] as const)
  test(`${name}: all commands run on images, and say what is unusual`, async (t) => {
    const folder = temporaryFolder(t)
    const image = await drawNoise(join(folder, 'in', 'noise.png'), 1)
    const file = nets.file(name)
    const explained = gradcam(['explain', image, '--model', file, '--size', '16x24', '--out', folder])
    t.is(explained.code, 0, explained.stderr)
    t.regex(explained.stdout, says)
    const layers = JSON.parse(gradcam(['layers', file, '--size', '16x24', '--json']).stdout) as object
    t.like(layers, { suggestedLayer: 'stem', inputShape: [1, channels, 16, 24] })
    const doctor = gradcam(['doctor', file, '--size', '16x24'])
    t.is(doctor.code, 0, doctor.stdout)
    t.regex(doctor.stdout, /at stem +(split|hooked)/)
    const out = join(folder, 'out')
    const batch = gradcam(['batch', join(folder, 'in'), '--model', file, '--write', 'overlay,grey', '--out', out])
    t.is(batch.code, 0, batch.stderr)
    t.regex(batch.stdout, says)
    t.is(manifest(out).length, 1)
  })

for (const [name, size, shape] of [
  ['volume', '8x12x10', [1, 2, 8, 12, 10]],
  ['signal', '64', [1, 2, 64]],
  ['five', '16x24', [1, 5, 16, 24]],
] as const)
  test(`${name}: arrays of .npy files`, async (t) => {
    const folder = temporaryFolder(t)
    const [all] = nets.inputs(name) as [Tensor]
    using one = all.slice(0, 0, 1).clone()
    const input = await writeNpy(join(folder, 'a.npy'), one.squeeze(0))
    const again = await writeNpy(join(folder, 'b.npy'), one)
    const file = nets.file(name)
    t.like(JSON.parse(gradcam(['layers', file, '--size', size, '--json']).stdout), {
      suggestedLayer: 'stem',
      inputShape: shape,
    })
    t.is(gradcam(['doctor', file, '--size', size]).code, 0)
    const expected = nets.value(name, 'class 1')
    const first = {
      shape: [1, ...expected.shape.slice(1)],
      data: expected.data.slice(0, expected.data.length / (expected.shape[0] as number)),
    }
    const out = join(folder, 'out')
    const batch = gradcam([
      'batch',
      input,
      again,
      '--model',
      file,
      '--layer',
      'stem',
      '--target',
      '1',
      '--write',
      'npy',
      '--out',
      out,
    ])
    t.is(batch.code, 0, batch.stderr)
    for (const line of manifest(out) as JobResultLine[]) {
      using map = await loadNpy(join(out, line.files['npy'] ?? ''))
      assertParity(t, map.unsqueeze(0).unsqueeze(0), first as never, line.id)
    }
    const explained = gradcam([
      'explain',
      input,
      '--model',
      file,
      '--target',
      '1',
      '--out',
      join(folder, 'one'),
      '--json',
    ])
    t.is(explained.code, 0, explained.stderr)
    const { map: written = '' } = linesOf(explained.stdout)[0]?.files ?? {}
    if (shape.length !== 4) {
      using map = await loadNpy(written)
      assertParity(t, map.unsqueeze(0).unsqueeze(0), first as never, 'explain')
    }
    const image = await drawNoise(join(folder, 'noise.png'), 1)
    const wrong = gradcam(['explain', image, '--model', file, '--layer', 'stem', '--out', folder])
    t.is(wrong.code, 1)
    t.regex(
      wrong.stderr,
      shape.length === 4 ? /takes 5 channels/ : /is an image, and the model takes inputs of . spatial/,
    )
  })

for (const [name, window, stride, cube, wrong, says] of [
  ['volume', '3x5x4', '2x3x4', '4', '5x4', /`window` has 2 dimensions, and the input \[1, 2, 8, 12, 10\] has 3 after/],
  ['signal', '9', '4', '4', '3x9', /`window` has 2 dimensions, and the input \[1, 2, 64\] has 1 after the channels/],
] as const)
  test(`${name}: --window and --stride cover boxes of as many dimensions as the input has`, async (t) => {
    const folder = temporaryFolder(t)
    const [all] = nets.inputs(name) as [Tensor]
    const input = await writeNpy(join(folder, 'a.npy'), all)
    const run = ['--model', nets.file(name), '--target', '1']
    for (const [method, flags, value] of [
      ['occlusion', ['--window', window, '--stride', stride], 'occlusion'],
      ['occlusion', ['--window', cube], 'occlusion of cubes'],
      ['feature-ablation', ['--window', window], 'feature-ablation'],
    ] as const) {
      const out = join(folder, value)
      const asked = [...run, '--method', method, ...flags, '--out', out]
      const explained = gradcam(['explain', input, ...asked, '--json'])
      t.is(explained.code, 0, explained.stderr)
      using map = await loadNpy(linesOf(explained.stdout)[0]?.files?.['map'] ?? '')
      assertParity(t, map.unsqueeze(0).unsqueeze(0), nets.value(name, value), value)
      const batch = gradcam(['batch', input, ...asked.slice(0, -1), `${out}-batch`, '--write', 'npy'])
      t.is(batch.code, 0, batch.stderr)
      const [line] = manifest(`${out}-batch`) as JobResultLine[]
      using again = await loadNpy(join(`${out}-batch`, line?.files['npy'] ?? ''))
      assertParity(t, again.unsqueeze(0).unsqueeze(0), nets.value(name, value), `${value} of batch`)
    }
    for (const method of ['occlusion', 'feature-ablation']) {
      const refused = gradcam(['explain', input, ...run, '--method', method, '--window', wrong, '--out', folder])
      t.is(refused.code, 1)
      t.regex(refused.stderr, says)
    }
    const malformed = gradcam([
      'explain',
      input,
      ...run,
      '--method',
      'occlusion',
      '--window',
      '1x2x3x4',
      '--out',
      folder,
    ])
    t.is(malformed.code, 2)
    t.regex(malformed.stderr, /--window requires height and width/)
    for (const method of ['lime', 'kernel-shap', 'shapley-sampling']) {
      const asked = [...run, '--method', method, '--segments', '9', '--out', folder]
      const refused = gradcam(['explain', input, ...asked])
      t.is(refused.code, 1)
      t.regex(refused.stderr, /`segments` is of images \[N, C, H, W\]/)
    }
    const rise = gradcam(['explain', input, ...run, '--method', 'rise', '--masks', '8', '--out', join(folder, 'rise')])
    t.is(rise.code, 0, rise.stderr)
  })

test('other inputs are given by name or position; the images go to the first that is left', async (t) => {
  const folder = temporaryFolder(t)
  const [x, mask] = nets.inputs('guided') as [Tensor, Tensor]
  mkdirSync(join(folder, 'in'))
  const files = await Promise.all(
    [0, 1].map(async (i) => writeNpy(join(folder, 'in', `${i}.npy`), x.slice(0, i, i + 1).clone())),
  )
  const masks = await writeNpy(join(folder, 'mask.npy'), mask)
  const file = nets.file('guided')
  for (const [scale, masked] of [
    ['scale', 'mask'],
    ['0', '2'],
  ] as const) {
    const out = join(folder, `out-${masked}`)
    const inputs = ['--input', `${scale}=2.5`, '--input', `${masked}=${masks}`]
    const job = ['--model', file, '--layer', 'stem', '--target', '1', '--write', 'npy', '--out', out, '--batch', '2']
    const ended = gradcam(['batch', ...files, ...inputs, ...job])
    t.is(ended.code, 0, ended.stderr)
    const expected = nets.value('guided', 'class 1')
    const size = expected.data.length / 2
    for (const line of manifest(out) as JobResultLine[]) {
      const i = Number(line.id[0])
      using map = await loadNpy(join(out, line.files['npy'] ?? ''))
      const one = { shape: [1, 1, 8, 12], data: expected.data.slice(i * size, (i + 1) * size) }
      assertParity(t, map.unsqueeze(0).unsqueeze(0), one as never, line.id)
    }
    t.is(gradcam(['batch', ...files, ...inputs, ...job, '--resume']).code, 0)
    const other = ['--input', `${scale}=2`, '--input', `${masked}=${masks}`]
    t.is(gradcam(['batch', ...files, ...other, ...job, '--resume']).code, 2, 'another input is another job')
    const layers = gradcam(['layers', file, ...inputs, '--size', '16x24', '--json'])
    t.like(JSON.parse(layers.stdout), { suggestedLayer: 'stem' })
    t.is(gradcam(['doctor', file, ...inputs, '--size', '16x24']).code, 0)
    const explained = gradcam(['explain', files[0] as string, ...inputs, '--model', file, '--out', folder])
    t.is(explained.code, 0, explained.stderr)
  }
  for (const [flag, message] of [
    ['none=1', /no input 'none'; it has scale, image, mask/],
    ['mask=1', /'image' comes before another input/],
    ['mask=x.png', /file 'x\.png' does not exist/],
    ['mask=x.npy', /file 'x\.npy' does not exist/],
  ] as const) {
    const ended = gradcam(['explain', files[0] as string, '--input', flag, '--model', file, '--out', folder])
    t.true(ended.code === 1 || ended.code === 2)
    t.regex(ended.stderr, message)
  }
  t.true(readFileSync(join(folder, 'out-mask', 'job.json'), 'utf8').includes('"sha256"'))
})
