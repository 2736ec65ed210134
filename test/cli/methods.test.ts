import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  AttentionMap,
  attentionMethods,
  Cam,
  FullGrad,
  gridFeatures,
  GuidedGradCam,
  imagenet,
  InputAttribution,
  InputPerturbation,
  loadImage,
  methods,
  ScriptModule,
  type AttentionMethod,
  type CamMethod,
  type InputAttributionOptions,
  type InputMethod,
  type MethodName,
  type Tensor,
} from '../../lib/index.js'
import { enlarge, farthest, toBytes } from '../support/arithmetic.js'
import { decodeImage, drawNoise, greyValues } from '../support/drawings.js'
import { smallNets } from '../support/models.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'

const nets = await smallNets()
const plain = nets.file('plain')
const size = [32, 40] as const
const layer = 'features'
const target = 3
// The net has no attention: see below.
const names = (Object.keys(methods) as MethodName[]).filter((name) => methods[name].by !== 'AttentionMap')

interface Line {
  readonly method: MethodName
  readonly layer: string | null
  readonly score: number
  readonly condition: { readonly state: string }
  readonly peak?: { readonly x: number; readonly y: number } | null
  readonly relus?: number
  readonly delta?: number
  readonly files: Record<string, string>
}

function explain(image: string, out: string, more: readonly string[]) {
  const common = ['--model', plain, '--out', out, '--size', size.join('x'), '--target', `${target}`, '--json']
  const ended = gradcam(['explain', image, ...common, ...more])
  return { ...ended, lines: ended.stdout.split('\n').flatMap((line) => (line ? [JSON.parse(line) as Line] : [])) }
}

/** The mean over the channels of what a class of the API gave, row by row. */
function overChannels(attribution: Tensor): number[] {
  const values = attribution.toTypedArray() as Float32Array
  const pixels = size[0] * size[1]
  return Array.from(
    { length: pixels },
    (_, i) => [0, 1, 2].reduce((sum, c) => sum + (values[c * pixels + i] ?? 0), 0) / 3,
  )
}

/** What the class that a method belongs to finds, in the size of the image. */
async function byApi(model: ScriptModule, input: Tensor, name: MethodName): Promise<ArrayLike<number>> {
  const attributed = async (explainer: {
    explain(input: Tensor, options: { target: number }): Promise<{ readonly attribution: Tensor } & Disposable>
    dispose(): void
  }) => {
    using found = await explainer.explain(input, { target })
    explainer.dispose()
    return overChannels(found.attribution)
  }
  const { by } = methods[name]
  if (by === 'InputAttribution')
    return attributed(new InputAttribution(model, { method: name as InputMethod, seed: 5 }))
  if (by === 'GuidedGradCam') return attributed(new GuidedGradCam(model, { layer }))
  if (name === 'occlusion')
    return attributed(new InputPerturbation(model, { method: name, window: [9, 7], stride: [4, 3] }))
  if (name === 'rise') return attributed(new InputPerturbation(model, { method: name, masks: 40, seed: 5 }))
  if (name === 'lime' || name === 'kernel-shap' || name === 'shapley-sampling')
    return attributed(new InputPerturbation(model, { method: name, segments: 12, seed: 5 }))
  if (name === 'feature-ablation') {
    using features = gridFeatures(size, [9, 7])
    return await attributed(new InputPerturbation(model, { method: name, features }))
  }
  using cam =
    by === 'FullGrad' ? new FullGrad(model) : new Cam(model, { layers: [layer], methods: [name as CamMethod], seed: 5 })
  using found = await cam.explain(input, { target })
  const [, , height = 0, width = 0] = found.cam.shape
  return enlarge({ height, width, values: found.cam.toTypedArray() as Float32Array }, ...size)
}

test.serial('every method in one call: each image is the map of its class, stretched', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const out = join(folder, 'out')
  const settings = ['--window', '9x7', '--stride', '4x3', '--masks', '40', '--seed', '5', '--segments', '12']
  const { code, lines, stderr } = explain(image, out, ['--method', names.join(','), ...settings])
  t.is(code, 0, stderr)
  t.deepEqual(lines.map(({ method }) => method).sort(), [...names].sort())
  using model = await ScriptModule.load(plain)
  using input = await loadImage(image, { size, normalize: imagenet })
  using output = await model.forward(input)
  const logits = output.toTypedArray() as Float32Array
  for (const line of lines) {
    const { by, layered } = methods[line.method]
    const values = await byApi(model, input, line.method)
    const [kind, over] = Object.keys(line.files)
    const drawn = await decodeImage(line.files[kind as string] as string)
    const [highest, lowest] = [Math.max(...Array.from(values)), Math.min(...Array.from(values))]
    // The gradients of a layer before a global mean: the rounding errors of one number are not stretched.
    const isConstant = highest - lowest <= 32 * 2 ** -23 * Math.max(highest, -lowest) && highest !== 0
    t.is(line.condition.state === 'constant', isConstant, line.method)
    const expectedBytes = isConstant ? Array.from(values, () => 0) : toBytes(Array.from(values))
    t.true(farthest(greyValues(drawn), expectedBytes) < 1.01, line.method)
    // The regions of XRAI do not hide the image.
    const fine = line.method !== 'xrai' && (by === 'InputAttribution' || by === 'GuidedGradCam')
    t.is(over, fine ? undefined : 'overlay', line.method)
    t.is(line.layer, layered ? layer : null, line.method)
    if (/guided-(?:backprop|gradcam)|deconvnet/.test(line.method)) t.is(line.relus, 2, line.method)
    if (line.method === 'integrated-gradients') t.is(typeof line.delta, 'number')
    if (by !== 'InputAttribution' && by !== 'GuidedGradCam')
      t.deepEqual([line.relus, line.delta], [undefined, undefined])
    if (!fine) {
      const { x = -1, y = -1 } = line.peak ?? {}
      t.true(
        highest > 0 && !isConstant ? Math.abs((values[y * size[1] + x] ?? NaN) - highest) < 1e-4 * highest : !line.peak,
        line.method,
      )
    }
    const score = logits[target] as number
    const exponents = Array.from(logits, (value) => Math.exp(value - score))
    const expected = line.method === 'rise' ? 1 / exponents.reduce((sum, value) => sum + value, 0) : score
    t.true(Math.abs(line.score - expected) < 1e-5, line.method)
  }
  const files = lines.flatMap((line) => Object.values(line.files).map((file) => file.slice(out.length + 1)))
  t.deepEqual(readdirSync(out).sort(), files.sort())
  t.true(files.includes('noise-layercam-overlay.png') && files.includes('noise-saliency-map.png'))
})

test.serial('maps of attention, of a transformer; of another model the error says so', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const common = ['--size', '32x48', '--target', '1', '--json', '--method', attentionMethods.join(',')]
  const vit = nets.file('vit')
  const { code, stdout, stderr } = gradcam(['explain', image, '--model', vit, '--out', join(folder, 'out'), ...common])
  t.is(code, 0, stderr)
  using model = await ScriptModule.load(vit)
  using input = await loadImage(image, { size: [32, 48], normalize: imagenet })
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  t.deepEqual(lines.map(({ method }) => method).sort(), [...attentionMethods].sort())
  for (const line of lines) {
    using explainer = new AttentionMap(model, { method: line.method as AttentionMethod })
    using found = await explainer.explain(input, { target: 1 })
    const values = enlarge({ height: 4, width: 6, values: found.cam.toTypedArray() as Float32Array }, 32, 48)
    const drawn = await decodeImage(Object.values(line.files)[0] as string)
    t.true(farthest(greyValues(drawn), toBytes(Array.from(values))) < 1.01, line.method)
  }
  const refused = explain(image, join(folder, 'other'), ['--method', 'transformer-attribution'])
  t.not(refused.code, 0)
  t.regex(refused.stderr, /depends on no attention/)
})

test.serial('settings that only some methods take: as the classes take them', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  using model = await ScriptModule.load(plain)
  using input = await loadImage(image, { size, normalize: imagenet })
  const cases: [flags: string[], options: InputAttributionOptions][] = [
    [['--baseline', '0.5', '--steps', '7'], { method: 'integrated-gradients', baseline: 0.5, steps: 7 }],
    [['--max-sigma', '4', '--steps', '6'], { method: 'blur-ig', maxSigma: 4, steps: 6 }],
    [
      ['--fraction', '0.5', '--max-distance', '0.3', '--steps', '6'],
      { method: 'guided-ig', fraction: 0.5, maxDistance: 0.3, steps: 6 },
    ],
    [
      ['--composite', 'epsilon-gamma-box', '--low=-2.2,-2.1,-1.9', '--high', '2.7'],
      { method: 'lrp', composite: 'epsilon-gamma-box', low: [-2.2, -2.1, -1.9], high: 2.7 },
    ],
  ]
  for (const [flags, options] of cases) {
    const { code, lines, stderr } = explain(image, join(folder, options.method), ['--method', options.method, ...flags])
    t.is(code, 0, stderr)
    using explainer = new InputAttribution(model, options)
    using found = await explainer.explain(input, { target })
    const drawn = await decodeImage(Object.values(lines[0]!.files)[0] as string)
    t.true(farthest(greyValues(drawn), toBytes(overChannels(found.attribution))) < 1.01, options.method)
    using byDefault = new InputAttribution(model, { method: options.method })
    using other = await byDefault.explain(input, { target })
    t.true(farthest(overChannels(found.attribution), overChannels(other.attribution)) > 0)
  }
  // One unit of a layer: the last --target counts beside the one that all have.
  const at = '{"kind":"element","at":[2,3,4]}'
  const given = ['--method', 'gradient', '--score-layer', layer, '--target', at]
  const unit = explain(image, join(folder, 'unit'), given)
  t.is(unit.code, 1, 'the other target is a class, which the layer has none of')
  t.regex(unit.stderr, /what layer 'features' returned/)
  for (const [flags, expected] of [
    [['--max-sigma', 'x'], /--max-sigma requires a number, not "x"/],
    [['--max-sigma', '-1'], /--max-sigma|ambiguous/],
    [['--fraction=2', '--method', 'guided-ig'], /--fraction/],
    [['--max-distance', '0.1', '--method', 'gradcam'], /--max-distance/],
    [['--blocks', 'a,b', '--method', 'gradcam'], /--blocks/],
    [['--composite', 'epsilon', '--method', 'gradcam'], /--composite/],
    [['--composite', 'zeta', '--method', 'lrp'], /--composite.*epsilon-plus/],
    [['--composite', 'epsilon-gamma-box', '--method', 'lrp'], /low/],
    [['--low', '1,x', '--method', 'lrp'], /--low requires a number, or several with commas/],
  ] as const)
    t.regex(explain(image, join(folder, 'no'), ['--method', 'blur-ig', ...flags]).stderr, expected)
})

test.serial('methods of layers and of the input together: the layer is named where there is one', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const out = join(folder, 'out')
  const more = ['--method', 'gradcam', '--method', 'saliency,hirescam', '--layer', 'features', '--layer', 'features.0']
  const { code, lines } = explain(image, out, [...more, '--target', 'argmax'])
  t.is(code, 0)
  t.is(lines.length, 10, 'two targets, of two layers by two methods and of the input by one')
  const found = new Set(lines.map((line) => `${line.method} ${line.layer}`))
  t.deepEqual([...found].sort(), [
    'gradcam features',
    'gradcam features.0',
    'hirescam features',
    'hirescam features.0',
    'saliency null',
  ])
  const files = readdirSync(out)
  for (const file of ['noise-features.0-3-hirescam-map.png', 'noise-argmax-saliency-map.png'])
    t.true(files.includes(file), files.join(' '))
  t.is(files.length, 18)
})

test.serial('--smooth is SmoothGrad; --steps is for integrated gradients', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const smoothing = ['--smooth', 'squared', '--samples', '3', '--sigma', '0.25', '--seed', '9']
  const [smooth] = explain(image, join(folder, 'a'), ['--method', 'input-x-gradient', ...smoothing]).lines
  const [coarse] = explain(image, join(folder, 'b'), ['--method', 'integrated-gradients', '--steps', '2']).lines
  using model = await ScriptModule.load(plain)
  using input = await loadImage(image, { size, normalize: imagenet })
  using smoothed = new InputAttribution(model, {
    method: 'input-x-gradient',
    smooth: { kind: 'squared', samples: 3, sigma: 0.25, seed: 9 },
  })
  using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 2 })
  using first = await smoothed.explain(input, { target })
  using second = await integrated.explain(input, { target })
  const file = smooth?.files['map'] as string
  t.true(farthest(greyValues(await decodeImage(file)), toBytes(overChannels(first.attribution))) < 1.01)
  t.true(Math.abs((coarse?.delta ?? NaN) - (second.delta?.[0] as number)) < 1e-4)
})

test.serial('wrong methods and options exit with 2 before anything is made, and say what to do', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'noise.png'), 1)
  const out = join(folder, 'out')
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--method', 'layrcam'], /"layrcam" is none of them\. Did you mean layercam\?/],
    [['--method', 'gradcam,salency'], /"salency" is none of them\. Did you mean saliency\?/],
    [['--method', 'zzzzzzzz'], /is none of them\.\n/],
    [['--method', ','], /at least one of gradcam/],
    [['--method', 'saliency', '--layer', layer], /saliency takes no --layer/],
    [['--method', 'rise,fullgrad', '--layer', layer], /rise and fullgrad take no --layer/],
    [['--steps', '5'], /--steps goes with integrated-gradients, .*, not with gradcam/],
    [['--method', 'rise', '--window', '3x3'], /--window goes with occlusion, feature-ablation/],
    [['--method', 'rise', '--masks', '0'], /--masks requires a whole number of at least 1/],
    [['--method', 'occlusion', '--stride', 'x'], /--stride requires height and width/],
    [['--method', 'saliency', '--samples', '5'], /go with --smooth/],
    [['--method', 'gradcam', '--sigma', '5'], /--sigma goes with smoothgradcam\+\+, sscam, not with gradcam/],
    [
      ['--method', 'saliency', '--smooth', 'meen'],
      /--smooth requires one of mean, squared, variance.*Did you mean mean\?/,
    ],
    [['--method', 'saliency', '--smooth', 'mean', '--sigma', 'much'], /--sigma requires a number/],
  ]
  for (const [more, words] of cases) {
    const { code, stdout, stderr } = explain(image, out, more)
    t.is(code, 2, more.join(' '))
    t.is(stdout, '')
    t.regex(stderr, words)
    t.regex(stderr, /^gradcam: [^\n]+\n$/)
  }
  t.false(existsSync(out))

  // What only the model can say: exit code 1, in a line, without blaming the size of the image.
  for (const [more, words] of [
    [['--method', 'cam', '--layer', 'features.0'], /^gradcam: CAM needs a layer[^\n]*\n$/],
    [['--method', 'occlusion', '--window', '64x4'], /^gradcam: A `window` of 64 does not fit[^\n]*\n$/],
  ] as const) {
    const { code, stderr } = explain(image, out, more)
    t.is(code, 1)
    t.regex(stderr, words)
    t.notRegex(stderr, /does not run on/)
  }
  t.deepEqual(readdirSync(out), [])
})

test('cells of a grid: the same number within a cell, each its own, the last ones cropped', (t) => {
  using grid = gridFeatures([5, 7], [2, 3])
  t.deepEqual(grid.shape, [1, 1, 5, 7])
  t.deepEqual(Array.from(grid.toTypedArray() as BigInt64Array, Number), [
    ...[0, 0, 0, 1, 1, 1, 2],
    ...[0, 0, 0, 1, 1, 1, 2],
    ...[3, 3, 3, 4, 4, 4, 5],
    ...[3, 3, 3, 4, 4, 4, 5],
    ...[6, 6, 6, 7, 7, 7, 8],
  ])
  using signal = gridFeatures([6], [4])
  t.deepEqual(Array.from(signal.toTypedArray() as BigInt64Array, Number), [0, 0, 0, 0, 1, 1])
  using volume = gridFeatures([3, 2, 3], [2, 2, 2])
  t.deepEqual(volume.shape, [1, 1, 3, 2, 3])
  const [before, after] = [
    [0, 0, 1, 0, 0, 1],
    [2, 2, 3, 2, 2, 3],
  ] as const
  t.deepEqual(Array.from(volume.toTypedArray() as BigInt64Array, Number), [...before, ...before, ...after])
  using eighths = gridFeatures([16, 20])
  t.is(new Set(eighths.toTypedArray() as BigInt64Array).size, 8 * 7, '20 pixels have 7 cells of 3')
  for (const cell of [[0, 3], [2], [1.5, 2]] as unknown as [number, number][])
    t.throws(() => gridFeatures([5, 7], cell), { code: 'ERR_INVALID_ARGUMENT', message: /`cell` must be/ })
})
