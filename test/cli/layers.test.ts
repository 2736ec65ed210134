import { join } from 'node:path'
import test from 'ava'
import { comfortableDepth } from '../../lib/model/module-tree.js'
import { humanCount } from '../../lib/base/units.js'
import {
  defaultLayer,
  lastSpatialLayer,
  liveTensors,
  moduleTree,
  observeLayers,
  ScriptModule,
  type LayerOutput,
  type NamedModule,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { gradcam } from '../support/package-copy.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()

interface Printed {
  readonly suggestedLayer?: string | null
  readonly inputShape: number[] | null
  readonly layers: (NamedModule & { calls: number; shape: number[] | null; output: string | null })[]
}

function asJson(file: string, ...args: string[]): Printed {
  return JSON.parse(gradcam(['layers', file, '--json', ...args]).stdout) as Printed
}

test.serial("--json lists Python's named_modules, with what each returned when it has a --size", (t) => {
  const file = nets.file('plain')
  const names = asJson(file)
  t.deepEqual(
    names.layers.map(({ path }) => path),
    nets.modules('plain'),
  )
  t.is(names.inputShape, null)
  t.false('suggestedLayer' in names)

  const { layers, suggestedLayer } = asJson(file, '--size', '16x20')
  t.is(suggestedLayer, 'features')
  const shapes = Object.fromEntries(layers.map(({ path, shape }) => [path, shape]))
  t.deepEqual(shapes[''], [1, 5])
  t.deepEqual(shapes['features.0'], [1, 6, 16, 20])
  t.deepEqual(shapes['features.3'], [1, 6, 8, 10])
  t.deepEqual(shapes['features'], [1, 8, 8, 10])
  t.deepEqual(shapes['head'], [1, 5])
  const convolution = layers.find(({ path }) => path === 'features.0')
  t.is(convolution?.parameters, 3 * 6 * 9 + 6)
  t.is(convolution?.typeName, 'Conv2d')
})

test.serial('the layer suggested for each small net, scripted and traced', async (t) => {
  for (const [net, layer] of [
    ['plain', 'features'],
    ['in_place_relu_after', 'relu'],
    ['called_twice', 'relu'],
    ['siblings', 'third'],
    ['regression_flat', 'inner.features'],
    ['inner_structures', 'right'],
    ['dict_output', 'features'],
  ] as const) {
    for (const kind of ['scripted', 'traced'] as const) {
      using model = await ScriptModule.load(nets.file(net, kind))
      using input = toTensor(nets.input(net))
      const before = await heldTensors()
      t.is((await defaultLayer(model, input.shape))?.path, layer, `${net}, ${kind}`)
      t.is(liveTensors(), before, 'what the hooks were given is freed')
    }
  }
})

test.serial(
  'a module that is called again stands at its last call; one that is not reached is not there',
  async (t) => {
    using twice = await ScriptModule.load(nets.file('called_twice'))
    using input = toTensor(nets.input('called_twice'))
    const outputs = await observeLayers(twice, input)
    t.deepEqual(
      outputs.map(({ path, calls }) => [path, calls]),
      [
        ['stem', 1],
        ['shared', 2],
        ['relu', 2],
        ['head', 1],
        ['', 1],
      ],
    )
    using other = await ScriptModule.load(nets.file('other_method'))
    using more = toTensor(nets.input('other_method'))
    const paths = (await observeLayers(other, more)).map(({ path }) => path)
    t.false(paths.includes('idle') || paths.includes('coder'), paths.join())
  },
)

test.serial('a pass that fails leaves no hook behind', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using wrong = toTensor({ shape: [1, 2, 8, 8], data: new Float32Array(128) })
  await t.throwsAsync(observeLayers(model, wrong), { code: 'ERR_CHANNELS' })
  using input = toTensor(nets.input('plain'))
  const before = await heldTensors()
  ;(await model.forward(input)).dispose()
  t.is(liveTensors(), before)
})

test.serial('the last spatial layer is not a pooling, nor a flat one, nor the model itself', (t) => {
  const output = (path: string, typeName: string, shape: number[] | null): LayerOutput => {
    return { path, typeName, shape, calls: 1, description: '' }
  }
  const vgg = [
    output('features.28', 'Conv2d', [1, 512, 14, 14]),
    output('features', 'Sequential', [1, 512, 7, 7]),
    output('avgpool', 'AdaptiveAvgPool2d', [1, 512, 7, 7]),
    output('classifier', 'Sequential', [1, 1000]),
    output('', 'VGG', [1, 1000]),
  ]
  t.is(lastSpatialLayer(vgg)?.path, 'features')
  const squeezed = [
    output('conv', 'Conv2d', [1, 8, 4, 4]),
    output('pool', 'AvgPool2d', [1, 8, 1, 1]),
    output('both', 'Pair', null),
    output('', 'Net', [1, 8, 4, 4]),
  ]
  t.is(lastSpatialLayer(squeezed)?.path, 'conv')
  t.is(lastSpatialLayer([output('pool', 'AvgPool2d', [1, 8, 2, 2])])?.path, 'pool', 'better than nothing')
  t.is(lastSpatialLayer([output('head', 'Linear', [1, 8]), output('', 'Net', [1, 8])]), null)
})

test.serial('the tree says what each layer is and returned, and which one explain uses', (t) => {
  const { code, stdout, stderr } = gradcam(['layers', nets.file('control_flow'), '--size', '16x20'])
  t.is(code, 0, stderr)
  const lines = stdout.split('\n')
  t.regex(lines[0] ?? '', /^control_flow\.scripted\.pt: ControlFlow, 1\.19k parameters, \[1, 3, 16, 20\] → \[1, 5\]$/)
  const line = (name: string) => lines.find((text) => text.includes(`─ ${name} `)) ?? ''
  t.regex(line('stem'), /^├─ stem +Conv2d +168 {2}\[1, 6, 16, 20\]$/)
  t.regex(line('other'), /Unit +330 +not reached$/)
  t.regex(line('step'), /← explain uses this, called 2 times$/)
  t.regex(line('head'), /^└─ head/)
  t.is(lines.filter((text) => text.includes('← explain uses')).length, 1)
  t.regex(stdout, /^explain uses step, unless --layer names another\. The last layer/m)
  t.false(stdout.includes('\u001b'), 'no colours into a pipe')
  const classes = lines.slice(2, 11).map((text) => text.search(/(Conv2d|Unit|ReLU|Linear)/))
  t.is(new Set(classes).size, 1, 'one column')
})

test.serial('outputs that are not a tensor, and models with nothing inside', (t) => {
  t.regex(
    gradcam(['layers', nets.file('inner_structures'), '--size', '16x20']).stdout,
    /\(\[1, 6, 16, 20\], \[1, 6\]\)/,
  )
  const dict = gradcam(['layers', nets.file('dict_output'), '--size', '16x20']).stdout
  t.regex(dict, /→ \{out: \[1, 5\], features: \[1, 6, 16, 20\]\}/)
  const frozen = gradcam(['layers', nets.variant('frozen_arithmetic'), '--size', '16x20'])
  t.is(frozen.code, 0)
  t.regex(frozen.stdout, /no layers inside.*freez/)
})

test.serial('the operators of a frozen model are layers', (t) => {
  const frozen = gradcam(['layers', nets.variant('frozen'), '--size', '16x20'])
  t.is(frozen.code, 0, frozen.stderr)
  t.regex(frozen.stdout, /─ conv2d +Conv2d +168 +\[1, 6, 16, 20\]/)
  t.regex(frozen.stdout, /─ relu_1 +ReLU +\[1, 8, 8, 10\]/)
  t.regex(frozen.stdout, /─ conv2d_2 +Conv2d +584 +\[1, 8, 8, 10\] +← explain uses this/)
})

test.serial('--under and --depth show a part', (t) => {
  const file = nets.file('siblings')
  const whole = gradcam(['layers', file]).stdout
  t.is(whole.match(/─ conv /g)?.length, 3)
  t.regex(whole, /--size/, 'how to see shapes')
  const flat = gradcam(['layers', file, '--depth', '1']).stdout
  t.notRegex(flat, /─ conv /)
  t.regex(flat, /third .*\+2 inside/)
  t.regex(flat, /Shown: 4 of 10 layers\. --depth all/)
  const part = gradcam(['layers', file, '--under', 'second']).stdout
  t.regex(part, /^siblings\.scripted\.pt, second: Unit, 330 parameters$/m)
  t.deepEqual(
    [...part.matchAll(/^[├└]─ (\w+)/gm)].map(([, name]) => name),
    ['conv', 'relu'],
  )
})

test.serial('what cannot be shown: one line, and the exit code', (t) => {
  const file = nets.file('plain')
  for (const [args, code, words] of [
    [[], 2, /one model file.*--help/],
    [[file, file], 2, /one model file/],
    [[file, '--size', 'big'], 2, /--size requires/],
    [[file, '--depth', '0'], 2, /--depth requires/],
    [[file, '--dept', '1'], 2, /Did you mean --depth\?/],
    [[file, '--under', 'featurs'], 1, /Nearest: 'features'/],
    [[file, '--size', '1x16x20'], 1, /takes 3 channels, but its input \[1, 1, 16, 20\] has 1\./],
    [[join('no', 'such.pt')], 1, /does not exist/],
    [[nets.bad('eager_module.pt')], 1, /torch\.jit\.script/],
  ] as const) {
    const ended = gradcam(['layers', ...args])
    t.is(ended.code, code, ended.stderr)
    t.regex(ended.stderr, words)
    t.regex(ended.stderr, /^gradcam: [^\n]+\n$/)
    t.is(ended.stdout, '')
  }
})

test.serial('a deep model is folded to what fits on a screen', (t) => {
  const module = (path: string): NamedModule => ({ path, typeName: 'Block', parameters: 1, hookable: true })
  const blocks = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5']
  const layers = ['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7']
  const paths = ['', ...blocks.flatMap((block) => [block, ...layers.map((layer) => `${block}.${layer}`)])]
  const tree = moduleTree(paths.map(module), '')
  t.deepEqual(
    tree.map((row) => row.module.path),
    paths.slice(1),
  )
  t.is(comfortableDepth(tree), 1, '54 rows are too many')
  t.is(comfortableDepth(moduleTree(paths.map(module), 'a3')), 1)
  t.is(comfortableDepth(tree, 54), 2)
  t.is(tree[0]?.inside, 8)
  t.is(tree.at(-1)?.branch, '   └─ ')
})

test.serial('counts in human units', (t) => {
  for (const [count, text] of [
    [0, '0'],
    [999, '999'],
    [1000, '1.00k'],
    [9408, '9.41k'],
    [999_499, '999k'],
    [999_600, '1.00M'],
    [7_978_856, '7.98M'],
    [1.5e9, '1.50G'],
  ] as const)
    t.is(humanCount(count), text)
})
