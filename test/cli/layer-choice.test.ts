// Which input, call and part is explained, on the command line: by the values of eager PyTorch, and of the API for images.
import test from 'ava'
import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Cam, loadImage, loadNpy, type Tensor } from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { drawNoise } from '../support/drawings.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertParity } from '../support/parity.js'
import type { Values } from '../support/stored-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'
import { lines as manifest } from '../support/workplace.js'

const nets = await unusualNets('several_input_nets.py')
const partNets = await unusualNets('part_nets.py')

async function writeRows(folder: string, tensor: Tensor): Promise<string[]> {
  mkdirSync(folder, { recursive: true })
  return await Promise.all(
    Array.from({ length: tensor.shape[0] as number }, async (_, i) => {
      using row = tensor.slice(0, i, i + 1).clone()
      const file = join(folder, `${i}.npy`)
      await writeFile(file, toNpy(row.toTypedArray() as Float32Array, row.shape))
      return file
    }),
  )
}

/** One row of a reference, as the map of a job. */
function rowOf({ shape, data }: Values, row: number): Values {
  const each = data.length / (shape[0] as number)
  return { shape: [1, ...shape.slice(1)], data: data.slice(row * each, (row + 1) * each) }
}

async function mapOf(out: string, line: JobResultLine): Promise<Tensor> {
  using map = await loadNpy(join(out, line.files['npy'] ?? ''))
  return map.unsqueeze(0).unsqueeze(0)
}

test('--call takes one of several calls of a layer; without it the last is taken, and said', async (t) => {
  const folder = temporaryFolder(t)
  const [left, right] = nets.inputs('pair') as [Tensor, Tensor]
  const files = await writeRows(join(folder, 'left'), left)
  const [other = ''] = await writeRows(join(folder, 'right'), right)
  const model = ['--model', nets.file('pair'), '--input', `right=${other}`, '--layer', 'encoder', '--target', '1']
  for (const call of [0, undefined]) {
    const out = join(folder, `call-${call}`)
    const flags = [...model, ...(call === undefined ? [] : ['--call', String(call)])]
    const ended = gradcam(['batch', files[0] as string, ...flags, '--write', 'npy', '--out', out])
    t.is(ended.code, 0, ended.stderr)
    const said = /encoder runs 2 times in a pass: its last call is explained\. --call takes another/
    t.is(said.test(ended.stderr), call === undefined)
    const [line] = manifest(out) as [JobResultLine]
    t.is(line.calls, 2)
    using map = await mapOf(out, line)
    assertParity(t, map, rowOf(nets.value('pair', `cam ${call ?? 1}`), 0), `call ${call}`)
    const explained = gradcam(['explain', files[0] as string, ...flags, '--out', folder])
    t.is(explained.code, 0, explained.stderr)
    t.regex(
      explained.stdout,
      call === undefined ? /its last call of 2 \(--call for another\)/ : /its call 0, counted from 0, of 2/,
    )
    t.is(gradcam(['doctor', nets.file('pair'), '--size', '16x24', ...flags.slice(2)]).code, 0)
  }
  const resumed = gradcam(['batch', ...files, ...model, '--write', 'npy', '--resume', '--out', join(folder, 'call-0')])
  t.is(resumed.code, 2, 'another call is another job')
  const methods = 'gradcam,guided-gradcam,fullgrad,saliency,scorecam,ablationcam,occlusion'
  const second = ['--model', nets.file('pair'), '--input', `left=${files[0]}`, '--layer', 'encoder', '--call', '1']
  const all = gradcam(['explain', other, ...second, '--method', methods, '--out', join(folder, 'all'), '--json'])
  t.is(all.code, 0, all.stderr)
  t.is(all.stdout.trim().split('\n').length, 7)
})

test('--part takes one of several tensors that a layer returns', async (t) => {
  const folder = temporaryFolder(t)
  const { both } = partNets.batch('dict-pyramid')
  await writeRows(join(folder, 'in'), both)
  for (const [name, part, value] of [
    ['dict-pyramid', 'fine', 'fine'],
    ['list-pyramid', '1', 'coarse'],
    ['named-pyramid', '["both",0]', 'coarse'],
  ] as const) {
    const flags = ['--layer', 'body', '--part', part, '--target', '1']
    const out = join(folder, name)
    const job = ['--model', partNets.file(name), ...flags, '--write', 'npy', '--out', out]
    const ended = gradcam(['batch', join(folder, 'in', '*.npy'), ...job])
    t.is(ended.code, 0, ended.stderr)
    for (const line of manifest(out) as JobResultLine[]) {
      using map = await mapOf(out, line)
      const signed = rowOf(partNets.value(name, value), Number(line.id[0]))
      assertParity(t, map, { ...signed, data: (signed.data as Float32Array).map((x) => Math.max(0, x)) }, line.id)
    }
    t.is(gradcam(['doctor', partNets.file(name), '--size', '16x24', ...flags.slice(0, 4)]).code, 0)
    const input = join(folder, 'in', '0.npy')
    t.is(gradcam(['explain', input, '--model', partNets.file(name), ...flags, '--out', folder]).code, 0)
    const without = gradcam(['explain', input, '--model', partNets.file(name), '--layer', 'body', '--out', folder])
    t.is(without.code, 1)
    t.regex(without.stderr, /returned a .* of several tensors: .*`part`.*\(here: --part\)/)
  }
  const saliency = gradcam(['explain', 'x.png', '--model', 'm', '--method', 'saliency', '--part', '0', '--out', folder])
  t.is(saliency.code, 2)
  const doctor = gradcam(['doctor', partNets.file('dict-pyramid'), '--size', '16x24', '--part', 'fine'])
  t.is(doctor.code, 2)
  t.regex(doctor.stderr, /--part goes with --layer/)
})

test('another input may be an image, which is prepared as the others are, with the channels of its own convolution', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'image.png'), 1)
  const depth = await drawNoise(join(folder, 'depth.png'), 2)
  using model = await nets.load('depth')
  using colours = await loadImage(image, { size: [16, 24] })
  using grey = await loadImage(depth, { size: [16, 24], channels: 1 })
  using cam = new Cam(model, { layers: ['colours'], input: 0 })
  using found = await cam.explain([colours, grey], { target: 1 })
  const flags = ['--model', nets.file('depth'), '--layer', 'colours', '--target', '1']
  const given = ['--input', `depth=${depth}`]
  const size = ['--size', '16x24', '--normalize', 'none']
  const explained = gradcam(['explain', image, ...flags, ...given, ...size, '--out', folder, '--json'])
  t.is(explained.code, 0, explained.stderr)
  const { score } = JSON.parse(explained.stdout) as { score: number }
  t.true(Math.abs(score - (found.scores[0] as number)) < 1e-5)
  const preprocess = JSON.stringify({ resize: [16, 24], mean: [0, 0, 0], std: [1, 1, 1] })
  const out = join(folder, 'out')
  const job = [...flags, ...given, '--preprocess', preprocess, '--write', 'npy', '--out', out]
  t.is(gradcam(['batch', image, ...job]).code, 0)
  const [line] = manifest(out) as [JobResultLine]
  using map = await mapOf(out, line)
  assertParity(
    t,
    map,
    { shape: [...found.cam.shape], data: found.cam.toTypedArray() as Float32Array } as Values,
    'batch',
  )
  t.is(gradcam(['layers', nets.file('depth'), '--size', '16x24', ...given]).code, 0)
  t.is(gradcam(['doctor', nets.file('depth'), '--size', '16x24', ...given]).code, 0)
  const text = join(folder, 'notes.txt')
  await writeFile(text, 'no image')
  const wrong = gradcam(['explain', image, ...flags, '--input', `depth=${text}`, ...size, '--out', folder])
  t.is(wrong.code, 1)
  t.regex(wrong.stderr, /notes\.txt/)
})

test('a folder of arrays, for a model of volumes; for a model of images only where they are named', async (t) => {
  const folder = temporaryFolder(t)
  const { both } = partNets.batch('volume')
  await writeRows(join(folder, 'in', 'deeper'), both)
  const out = join(folder, 'out')
  const job = ['--layer', 'last', '--target', '1', '--write', 'npy', '--out']
  const ended = gradcam(['batch', join(folder, 'in'), '--model', partNets.file('volume'), ...job, out])
  t.is(ended.code, 0, ended.stderr)
  const found = manifest(out) as JobResultLine[]
  t.is(found.length, both.shape[0] as number)
  for (const line of found) {
    using map = await mapOf(out, line)
    assertParity(t, map, rowOf(partNets.value('volume', 'cam'), Number(line.id.match(/(\d)\.npy/)?.[1])), line.id)
  }
  const images = gradcam(['batch', join(folder, 'in'), '--model', nets.file('twice'), '--out', join(folder, 'none')])
  t.is(images.code, 0)
  t.regex(images.stderr, /no image was found .*\.npy/)
})

test('the peak of a map is found however small its values are', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'image.png'), 1)
  const flags = ['--model', nets.file('faint'), '--layer', 'stem', '--json', '--out', folder]
  const explained = gradcam(['explain', image, ...flags])
  t.is(explained.code, 0, explained.stderr)
  const { peak, condition } = JSON.parse(explained.stdout) as { peak: object | null; condition: { state: string } }
  t.is(condition.state, 'ok')
  t.truthy(peak)
})
