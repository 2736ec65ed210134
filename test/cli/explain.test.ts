import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { GradCam, GuidedBackprop, imagenet, loadImage, methods, ScriptModule } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { farthest, enlarge, toBytes } from '../support/arithmetic.js'
import { decodeImage, drawNoise, greyValues } from '../support/drawings.js'
import { smallNets } from '../support/models.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'

const nets = await smallNets()
const plain = nets.file('plain')
const size = [32, 40] as const

interface Line {
  readonly image: string
  readonly layer: string | null
  readonly target: number
  readonly label: string | null
  readonly score: number
  readonly peak?: { readonly x: number; readonly y: number } | null
  readonly relus?: number
  readonly files: Record<string, string>
  readonly error?: { readonly code: string; readonly message: string }
}

/** Runs `gradcam explain` on the plain net, or another one, with --json. */
function explain(images: readonly string[], out: string, more: readonly string[] = [], model = plain) {
  const ended = gradcam([
    'explain',
    ...images,
    '--model',
    model,
    '--out',
    out,
    '--size',
    size.join('x'),
    '--json',
    ...more,
  ])
  const lines = ended.stdout.split('\n').filter((line) => line !== '')
  return { ...ended, lines: lines.map((line) => JSON.parse(line) as Line) }
}

const oneLine = /^gradcam: [^\n]+\n$/

test.serial(
  'gcam.png is the map of the API, enlarged and stretched; mixed.png its product with the guided gradient',
  async (t) => {
    const folder = temporaryFolder(t)
    const image = await drawNoise(join(folder, 'noise.png'), 1)
    const out = join(folder, 'new', 'folder')
    const [cam] = explain([image], out, ['--target', '3']).lines
    const [grad] = explain([image], out, ['--target', '3', '--method', 'guided-backprop']).lines
    const [mixed] = explain([image], out, ['--target', '3', '--method', 'guided-gradcam']).lines

    using model = await ScriptModule.load(plain)
    using input = await loadImage(image, { size, normalize: imagenet })
    using gradCam = new GradCam(model, ['features'])
    using logits = await gradCam.forward(input)
    await gradCam.backward(3)
    using map = gradCam.get('features')
    const [, , height = 0, width = 0] = map.shape
    const enlarged = enlarge({ height, width, values: map.toTypedArray() as Float32Array }, ...size)

    using guided = new GuidedBackprop(model)
    using _again = await guided.forward(input)
    await guided.backward(3)
    using gradient = guided.get()
    const channels = gradient.toTypedArray() as Float32Array
    const pixels = size[0] * size[1]
    const mean = enlarged.map(
      (_, at) => [0, 1, 2].reduce((sum, c) => sum + (channels[c * pixels + at] as number), 0) / 3,
    )

    for (const [file, values] of [
      [cam?.files['gcam'], enlarged],
      [grad?.files['grad'], mean],
      [mixed?.files['mixed'], enlarged.map((value, at) => value * (mean[at] as number))],
    ] as const) {
      const drawn = await decodeImage(file as string)
      t.deepEqual([drawn.height, drawn.width], [...size])
      // Bytes are rounded or cut off: within one of 255 either way.
      t.true(farthest(greyValues(drawn), toBytes(values)) < 1.01, file)
    }
    const peak = enlarged.indexOf(Math.max(...enlarged))
    t.deepEqual(cam?.peak, { x: peak % size[1], y: Math.floor(peak / size[1]) })
    const { x, y } = cam?.peak ?? { x: 0, y: 0 }
    t.is(greyValues(await decodeImage(cam?.files['gcam'] as string))[y * size[1] + x], 255)
    t.is(cam?.layer, 'features')
    t.is(grad?.layer, null)
    t.is(cam?.relus, undefined)
    t.is(grad?.relus, 2, 'the plain net has two ReLUs')
    const score = (logits.toTypedArray() as Float32Array)[3] as number
    for (const line of [cam, grad, mixed]) t.true(Math.abs((line?.score ?? NaN) - score) < 1e-5)

    const over = await decodeImage(cam?.files['overlay'] as string)
    t.deepEqual([over.height, over.width], [...size])
    t.throws(() => greyValues(over), undefined, 'an overlay has colours')
    t.deepEqual(readdirSync(out).sort(), ['noise-gcam.png', 'noise-grad.png', 'noise-mixed.png', 'noise-overlay.png'])
  },
)

test.serial('--normalize none gives the model pixels from 0 to 1', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const [line] = explain([image], folder, ['--normalize', 'none', '--target', '0']).lines
  using model = await ScriptModule.load(plain)
  using input = await loadImage(image, { size })
  using logits = await model.forward(input)
  t.true(Math.abs((line?.score ?? NaN) - ((logits.toTypedArray() as Float32Array)[0] as number)) < 1e-5)
})

test.serial('a map that is zero everywhere has no peak', async (t) => {
  const image = join(packageRoot, 'samples', 'cat_dog.png')
  const targets = [0, 1, 2, 3, 4]
  const layers = ['features', 'features.4', 'features.5']
  const more = [
    ...targets.flatMap((target) => ['--target', `${target}`]),
    ...layers.flatMap((path) => ['--layer', path]),
  ]
  const { lines } = explain([image], temporaryFolder(t), more)
  using model = await ScriptModule.load(plain)
  using input = await loadImage(image, { size, normalize: imagenet })
  using gradCam = new GradCam(model, layers)
  using _logits = await gradCam.forward(input)
  const empty: string[] = []
  for (const target of targets) {
    await gradCam.backward(target)
    for (const layer of layers) {
      using map = gradCam.get(layer)
      if (map.toTypedArray().every((value) => Number(value) === 0)) empty.push(`${layer} ${target}`)
    }
  }
  t.true(empty.length > 0 && empty.length < targets.length * layers.length, 'the test needs both kinds of map')
  const without = lines.filter(({ peak }) => peak === null)
  t.deepEqual(
    without.map(({ layer, target }) => `${layer} ${target}`),
    empty,
  )
})

test.serial('several layers and targets: a line and files of their own for each', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const labels = join(folder, 'labels.txt')
  writeFileSync(labels, 'ant\nbee\ncow\ndog\nelk\n')
  const out = join(folder, 'out')
  const more = [
    '--layer',
    'features',
    '--layer',
    'features.0',
    '--target',
    'argmax',
    '--target',
    'BEE',
    '--target',
    '1',
  ]
  const { code, lines } = explain([image], out, [...more, '--labels', labels])
  t.is(code, 0)
  t.is(lines.length, 4, '1 and BEE are one class')
  using model = await ScriptModule.load(plain)
  using input = await loadImage(image, { size, normalize: imagenet })
  using logits = await model.forward(input)
  const top = logits.argmax().item()
  t.deepEqual(
    lines.map(({ layer, target, label }) => [layer, target, label]),
    [
      ['features', top, ['ant', 'bee', 'cow', 'dog', 'elk'][top]],
      ['features.0', top, ['ant', 'bee', 'cow', 'dog', 'elk'][top]],
      ['features', 1, 'bee'],
      ['features.0', 1, 'bee'],
    ],
  )
  t.is(lines[2]?.files['gcam'], join(out, 'noise-features-BEE-gcam.png'))
  const files = lines.flatMap((line) => Object.values(line.files))
  t.is(new Set(files).size, 8)
  t.deepEqual(
    readdirSync(out).sort(),
    files.map((file) => file.slice(out.length + 1)).sort(),
    'these files and no others',
  )
})

test.serial('images of one name do not overwrite each other, nor an image that is still to be read', async (t) => {
  const folder = temporaryFolder(t)
  const images = await Promise.all([
    drawNoise(join(folder, 'a', 'x.png'), 1),
    drawNoise(join(folder, 'b', 'X.png'), 2),
    drawNoise(join(folder, 'x-gcam.png'), 3),
  ])
  const last = readFileSync(images[2])
  const { code, lines } = explain(images, folder, ['--target', '0'])
  t.is(code, 0)
  const files = lines.map((line) => line.files['gcam'] as string)
  t.deepEqual(
    files,
    ['x-2-gcam.png', 'X-3-gcam.png', 'x-gcam-gcam.png'].map((name) => join(folder, name)),
  )
  t.deepEqual(readFileSync(images[2]), last)
  for (const [at, image] of images.entries()) {
    const alone = explain([image], join(folder, `alone-${at}`), ['--target', '0']).lines[0]
    t.deepEqual(readFileSync(files[at] as string), readFileSync(alone?.files['gcam'] as string))
  }
})

test.serial('one bad image among several: an error in one line, the others go on, exit code 1', async (t) => {
  const folder = temporaryFolder(t)
  const good = await drawNoise(join(folder, 'good.png'), 1)
  const bad = join(folder, 'bad.png')
  writeFileSync(bad, readFileSync(good).subarray(0, 200))
  const missing = join(folder, 'missing.png')
  const { code, stderr, lines } = explain([bad, missing, good], join(folder, 'out'))
  t.is(code, 1)
  const errors = stderr.trimEnd().split('\n')
  t.is(errors.length, 2, stderr)
  t.true(errors[0]?.includes(bad) && errors[1]?.includes(missing), stderr)
  t.deepEqual(
    lines.map(({ image, error }) => [image, error?.code]),
    [
      [bad, lines[0]?.error?.code],
      [missing, 'ERR_IMAGE_NOT_FOUND'],
      [good, undefined],
    ],
  )
  t.regex(lines[0]?.error?.code ?? '', /^ERR_IMAGE_/)
  t.deepEqual(readdirSync(join(folder, 'out')).sort(), ['good-gcam.png', 'good-overlay.png'])
})

test.serial('to a person it says what it picked, what it found, and where the files are', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const { code, stdout, stderr } = gradcam(['explain', image, '--model', plain, '--out', folder, '--target', '2'])
  t.is(code, 0)
  t.is(stderr, '')
  t.regex(stdout, /224x224 \(the default/)
  t.regex(stdout, /at features \[1, 8, 112, 112\] \(--layer for another\)/)
  t.regex(stdout, /class 2, score -?\d/)
  t.true(stdout.includes(join(folder, 'noise-gcam.png')) && stdout.includes(join(folder, 'noise-overlay.png')))
  t.false(stdout.includes('\u001b'), 'no colours into a pipe')

  const regression = ['--model', nets.file('regression_column'), '--out', folder, '--size', '32x40']
  t.regex(gradcam(['explain', image, ...regression]).stdout, /its only output, score/)
})

test.serial('wrong calls exit with 2 before anything is made', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const out = join(folder, 'out')
  const whole = [image, '--model', plain, '--out', out]
  for (const [args, words] of [
    [['--model', plain, '--out', out], /at least one image.*--help/],
    [[image, '--out', out], /--model FILE/],
    [[image, '--model', plain], /--out DIR/],
    [[...whole, '--targt', '1'], /'--targt'\. Did you mean --target\?/],
    [[...whole, '--target', 'cat'], /--labels/],
    [[...whole, '--target=-1'], /--target: "-1" is not a target/],
    [[...whole, '--size', '0x5'], /--size requires.*224x224/],
    [[...whole, '--size', '3x4x5'], /--size requires/],
    [[...whole, '--method', 'gradcm'], /--method requires one of gradcam, .*guided-backprop.*Did you mean gradcam\?/],
    [[...whole, '--method', 'guided-backprop', '--layer', 'features'], /takes no --layer/],
    [[...whole, '--normalize', 'mine'], /--normalize requires/],
  ] as const) {
    const { code, stdout, stderr } = gradcam(['explain', ...args])
    t.is(code, 2, args.join(' '))
    t.is(stdout, '')
    t.regex(stderr, words)
    t.regex(stderr, oneLine)
  }
  t.false(existsSync(out))
})

test.serial('what the model refuses: one line with the remedy, exit code 1, nothing written', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    [plain, ['--target', '5'], /5 classes, numbered from 0 to 4/],
    [plain, ['--layer', 'featurs'], /no layer 'featurs'.*'features'/],
    [plain, ['--layer', 'head'], /\[1, 5\].*\[N, C, h, w\]/],
    [plain, ['--device', 'tpu'], /'cpu'/],
    [plain, ['--labels', join(folder, 'nowhere.txt')], /labels file '.*nowhere\.txt' does not exist/],
    [nets.file('relu_free'), ['--method', 'guided-backprop'], /no ReLU/],
    [nets.file('segmentation'), [], /\[1, 5, 32, 40\]/],
    [nets.file('plain'), ['--size', '1x1', '--layer', 'head'], /\[1, 5\].*\[N, C, h, w\]/],
    [nets.variant('frozen_arithmetic'), [], /frozen.*without freezing/],
    [nets.bad('state_dict.pt'), [], /state_dict.*torch\.jit\.script/],
    [nets.bad('without_code.pt'), [], /cannot be read as a TorchScript file/],
    [join(folder, 'nowhere.pt'), [], /nowhere\.pt' does not exist/],
  ]
  for (const [model, more, words] of cases) {
    const { code, stderr } = explain([image], join(folder, 'out'), more, model)
    t.is(code, 1, stderr)
    t.regex(stderr, words)
    t.regex(stderr, oneLine)
  }
  t.deepEqual(existsSync(join(folder, 'out')) ? readdirSync(join(folder, 'out')) : [], [])
  t.is(explain([image], folder, [], nets.file('plain_double')).code, 0, 'images are converted to the type of the model')
  const verbose = explain([join(folder, 'nowhere.png')], folder, ['--verbose'])
  t.regex(verbose.stderr, /nowhere\.png[^]*\n {4}at /)
})

test.serial('files are replaced whole, or not at all', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const out = join(folder, 'out')
  mkdirSync(join(out, 'noise-overlay.png', 'in the way'), { recursive: true })
  writeFileSync(join(out, 'noise-gcam.png'), 'of an earlier run')
  const { code, stderr } = explain([image], out)
  t.is(code, 1)
  t.regex(stderr, /noise-overlay\.png' cannot be written/)
  t.regex(stderr, oneLine)
  t.is((await decodeImage(join(out, 'noise-gcam.png'))).width, size[1])
  t.deepEqual(readdirSync(out).sort(), ['noise-gcam.png', 'noise-overlay.png'], 'nothing half written is left')

  const inTheWay = gradcam(['explain', image, '--model', plain, '--out', image])
  t.is(inTheWay.code, 1)
  t.regex(inTheWay.stderr, /a file has that path\. Choose another folder/)
})

test.serial('--help names every option of the issue', (t) => {
  const { stdout } = gradcam(['explain', '--help'])
  for (const option of [
    'model',
    'layer',
    'target',
    'method',
    'size',
    'device',
    'out',
    'json',
    'labels',
    'normalize',
    'verbose',
  ])
    t.regex(stdout, new RegExp(`^  --${option}\\b.*  \\S`, 'm'))
  for (const [name, { title }] of Object.entries(methods))
    t.true(stdout.includes(`  ${name} `) && stdout.includes(title))
})
