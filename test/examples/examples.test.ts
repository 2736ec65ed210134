import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import sharp from 'sharp'
import { GradCam, InputAttribution, ScriptModule, imagenet, loadImage } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { decodeImage } from '../support/drawings.js'
import { smallNets } from '../support/models.js'
import { needing } from '../support/needs.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { peerReference } from '../support/peer-maps.js'
import { startedServer } from '../support/started-server.js'

const image = join(packageRoot, 'samples', 'cat_dog.png')
const sample = join(packageRoot, 'samples', 'animals-densenet.pt')
const program = (name: string): string => join(packageRoot, 'dist', 'examples', `${name}.js`)
const peer = await peerReference('peer_boxes.py', { models: { list_detector: { peer: true } } })

/** Runs an example that ends by itself; `{out}` stands for its folder of results. */
function runExample(t: ExecutionContext, name: string, args: readonly string[]): { out: string; stdout: string } {
  const out = join(temporaryFolder(t), 'out')
  const given = args.map((argument) => argument.replace('{out}', out))
  const { code, stdout, stderr } = runNode([program(name), ...given], {}, packageRoot)
  t.is(code, 0, stderr)
  t.is(stderr, '')
  return { out, stdout }
}

async function hasSize(t: ExecutionContext, file: string, size: readonly [number, number]): Promise<void> {
  const { height, width } = await decodeImage(file)
  t.deepEqual([height, width], [...size], file)
}

test('every example is in the table, and the table has no other', (t) => {
  const files = readdirSync(join(packageRoot, 'examples')).filter((file) => file.endsWith('.ts'))
  const readme = readFileSync(join(packageRoot, 'examples', 'README.md'), 'utf8')
  const listed = Array.from(readme.matchAll(/^\| \[([a-z-]+\.ts)\]/gm), ([, file]) => file)
  t.is(listed.length, files.length)
  for (const file of files) t.true(listed.includes(file), file)
})

test.serial('quickstart: three images of the class that a forward gives', async (t) => {
  const { out, stdout } = runExample(t, 'quickstart', [image, sample, 'features', '{out}'])
  for (const file of ['overlay.png', 'guided-backprop.png', 'guided-gradcam.png'])
    await hasSize(t, join(out, file), [224, 224])
  using model = await ScriptModule.load(sample)
  using input = await loadImage(image, { size: [224, 224], normalize: imagenet })
  using output = await model.forward(input)
  const logits = Array.from(output.toTypedArray() as Float32Array)
  const top = logits.indexOf(Math.max(...logits))
  t.regex(stdout, new RegExp(`class ${top}, score ${(logits[top] as number).toFixed(2)}`))
})

test.serial('regression: what lowers the output is the map of the negative output', async (t) => {
  const nets = await smallNets()
  const file = nets.file('regression_column')
  const { out, stdout } = runExample(t, 'regression', [image, file, 'features', '64x96', '{out}'])
  const scores = Array.from(stdout.matchAll(/score (-?[\d.]+)/g), ([, score]) => Number(score))
  t.is(scores.length, 2)
  t.is(scores[0], -(scores[1] as number))
  for (const name of ['raises', 'lowers']) await hasSize(t, join(out, `${name}.png`), [64, 96])
  t.notDeepEqual(readFileSync(join(out, 'raises.png')), readFileSync(join(out, 'lowers.png')))
  using model = await ScriptModule.load(file)
  using input = await loadImage(image, { size: [64, 96], normalize: imagenet })
  using output = await model.forward(input)
  t.is(scores[0], Number(output.item().toFixed(4)))
})

test.serial('vision transformer: tokens become the grid of patches', async (t) => {
  const nets = await smallNets()
  const { out, stdout } = runExample(t, 'vision-transformer', [image, nets.file('vit'), '32x48', '{out}'])
  // Patches of 8 x 8 pixels: 32 x 48 pixels are 4 x 6 of them.
  t.regex(stdout, /map 1 x 1 x 4 x 6/)
  await hasSize(t, join(out, 'overlay.png'), [32, 48])
})

const detect = needing('peers', peer, test.serial)
detect('detector: a box near a detection is explained, one far from all is an error', async (t) => {
  const file = peer!.file('list_detector', 'scripted')
  const size = '16x20'
  using model = await ScriptModule.load(file)
  using input = await loadImage(image, { size: [16, 20] })
  const detections = (await model.forward(input)) as unknown as readonly Record<string, { tolist(): number[][] }>[]
  const [box] = detections[0]?.['boxes']?.tolist() ?? []
  t.truthy(box, 'the detector finds something in the sample image')
  const { out } = runExample(t, 'detector', [image, file, 'features', (box as number[]).join(','), size, '{out}'])
  await hasSize(t, join(out, 'overlay.png'), [16, 20])
  const far = runNode([program('detector'), image, file, 'features', '0,0,0.01,0.01', size, out], {}, packageRoot)
  t.is(far.code, 1)
  t.regex(far.stderr, /ERR_TARGET/)
})

test.serial(
  'server: images that arrive together are each answered, a bad one fails alone, SIGTERM ends it',
  async (t) => {
    const { address, end } = await startedServer(t, program('server'))
    const flipped = await sharp(image).flop().png().toBuffer()
    const bodies = [readFileSync(image), flipped, Buffer.from('not an image'), readFileSync(image)]
    const replies = await Promise.all(
      bodies.map(async (body) => {
        const reply = await fetch(address, { method: 'POST', body: new Uint8Array(body) })
        return { status: reply.status, data: Buffer.from(await reply.arrayBuffer()) }
      }),
    )
    t.deepEqual(
      replies.map(({ status }) => status),
      [200, 200, 422, 200],
    )
    t.like(JSON.parse(replies[2]?.data.toString() as string), { code: 'ERR_IMAGE_CORRUPT' })
    const { width, height } = await sharp(image).metadata()
    for (const index of [0, 1]) t.like(await sharp(replies[index]?.data).metadata(), { format: 'jpeg', width, height })
    t.deepEqual(replies[0]?.data, replies[3]?.data)
    t.notDeepEqual(replies[0]?.data, replies[1]?.data)
    t.is(await end(), 0)
  },
)

for (const name of ['fastify', 'express'])
  test.serial(`${name}: explanations beside the routes of a service, and SIGTERM ends it`, async (t) => {
    const { address, end } = await startedServer(t, program(name))
    t.like(await (await fetch(address)).json(), { service: 'ours' })
    const explain = `${address}/gradcam/v1/explain`
    const reply = await fetch(`${explain}?format=png&target=dog`, {
      method: 'POST',
      body: new Uint8Array(readFileSync(image)),
    })
    t.is(reply.status, 200)
    t.is(reply.headers.get('gradcam-class'), '1')
    const { width, height } = await sharp(image).metadata()
    t.like(await sharp(Buffer.from(await reply.arrayBuffer())).metadata(), { format: 'png', width, height })
    const bad = await fetch(explain, { method: 'POST', body: new Uint8Array([1, 2, 3]) })
    t.is(bad.status, 422)
    t.like(await bad.json(), { code: 'ERR_IMAGE_CORRUPT' })
    t.is(await end(), 0)
  })

/** The code blocks of a document. */
const snippets = (file: string): string[] =>
  Array.from(readFileSync(join(packageRoot, file), 'utf8').matchAll(/```ts\n([^]*?)```/g), ([, code = '']) => code)

test.serial('the twenty lines of README run, and say what the explainers say', async (t) => {
  const [code = ''] = snippets('README.md')
  t.true(code.includes("from 'libtorch-gradcam'"))
  const folder = temporaryFolder(t)
  const absolute = code.replaceAll("'samples/", `'${join(packageRoot, 'samples')}/`)
  const source = absolute.replaceAll(/^using /gm, 'const ').replaceAll(/'([a-z]+\.png)'/g, `'${folder}/$1'`)
  const { code: status, stderr } = runNode(['--input-type=module', '-e', source], {}, packageRoot)
  t.is(status, 0, stderr)
  for (const file of ['gcam.png', 'grad.png', 'mixed.png']) await hasSize(t, join(folder, file), [224, 224])
  // Independent of the snippet: the same numbers through one call each.
  using model = await ScriptModule.load(sample)
  using input = await loadImage(image, { size: [224, 224], normalize: imagenet })
  using gradCam = new GradCam(model, ['features'])
  using found = await gradCam.explain(input, { target: 0 })
  using attribution = new InputAttribution(model, { method: 'guided-backprop' })
  using fine = await attribution.explain(input, { target: 0 })
  const grey = (values: ArrayLike<number>): number[] => {
    const list = Array.from(values)
    const [low, high] = [Math.min(...list), Math.max(...list)]
    return list.map((value) => (255 * (value - low)) / (high - low))
  }
  using mean = fine.attribution.mean(1, true)
  const expected = grey(mean.toTypedArray() as Float32Array)
  const { data } = await sharp(join(folder, 'grad.png')).greyscale().raw().toBuffer({ resolveWithObject: true })
  const worst = Math.max(...expected.map((value, at) => Math.abs(value - (data[at] as number))))
  t.true(worst < 1.5, `grad.png differs by ${worst} of 255`)
  t.true(found.scores[0]! > 0)
})
