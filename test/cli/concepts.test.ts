import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { FeatureFactorization, imagenet, loadImage, ScriptModule, Tensor } from '../../lib/index.js'
import { decodeImage, drawNoise } from '../support/drawings.js'
import { smallNets } from '../support/models.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'

const nets = await smallNets()

test.serial(
  'gradcam concepts: concepts of all images together, drawn with a legend, as the class finds them',
  async (t) => {
    const folder = temporaryFolder(t)
    const images = await Promise.all([1, 2].map((seed) => drawNoise(join(folder, `noise${seed}.png`), seed)))
    const out = join(folder, 'out')
    const model = nets.file('plain')
    const preprocess = '{"resize":[32,40],"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}'
    const file = join(folder, 'preprocess.json')
    writeFileSync(file, preprocess)
    const flags = ['--model', model, '--layer', 'features', '--concepts', '3', '--preprocess', file]
    const { code, stdout, stderr } = gradcam(['concepts', ...images, ...flags, '--out', out])
    t.is(code, 0, stderr)
    t.regex(stdout, /3 concepts of layer features:\n {2}concept 1: class \d/)
    const written = JSON.parse(readFileSync(join(out, 'concepts.json'), 'utf8')) as {
      concepts: { most: number; classes: { class: number; probability: number }[] }[]
      unscored: string | null
      images: { file: string }[]
    }
    t.is(written.unscored, null)
    using loaded = await ScriptModule.load(model)
    const inputs = await Promise.all(images.map((image) => loadImage(image, { size: [32, 40], normalize: imagenet })))
    using batch = Tensor.cat(inputs)
    using factorization = new FeatureFactorization(loaded, { layer: 'features', concepts: 3 })
    using found = await factorization.explain(batch)
    for (const [k, { most, classes }] of written.concepts.entries()) {
      const own = found.maps.narrow(1, k, 1).amax().item() as number
      t.true(Math.abs(most - own) <= 1e-5 * own, 'resized by other code, whose levels are rounded alike')
      const row = found.conceptScores().softmax(1).select(0, k).tolist() as number[]
      t.is(classes[0]!.class, row.indexOf(Math.max(...row)))
    }
    for (const { file: drawn } of written.images) {
      const { width, height } = await decodeImage(drawn)
      t.true(width >= 40 && height > 32 + 3 * 20)
    }
    for (const input of inputs) input.dispose()
  },
)

test.serial('gradcam concepts: what cannot be done is refused before anything is written', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const model = nets.file('plain')
  const call = (...more: string[]) =>
    gradcam(['concepts', image, '--model', model, '--out', join(folder, 'no'), ...more])
  for (const [flags, expected] of [
    [['--concepts', '0'], /--concepts/],
    [['--layer', 'features', '--layer', 'head'], /one --layer/],
    [['--layer', 'nowhere'], /nowhere/],
    [['--layer', 'features', '--concepts', '900'], /900 concepts/],
  ] as const) {
    const { code, stderr } = call(...flags)
    t.not(code, 0)
    t.regex(stderr, expected)
  }
  t.false(existsSync(join(folder, 'no')))
})
