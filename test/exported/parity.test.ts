import { join } from 'node:path'
import test from 'ava'
import {
  Cam,
  GradCam,
  GuidedBackprop,
  observeLayers,
  pickLayer,
  ScriptModule,
  suggestLayers,
  Tensor,
  type Value,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { disposeValue } from '../../lib/tensor/values.js'
import { exportedCases, exportedPrograms } from '../support/exported.js'
import { needing } from '../support/needs.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertParity, assertSame } from '../support/parity.js'
import { targetOf } from '../support/target-of.js'
import { toTensor } from '../support/to-tensor.js'

const programs = await exportedPrograms()
const run = needing('packages', programs, test.serial)

/** All tensors of an output, in order. */
function tensorsIn(value: Value): Tensor[] {
  if (value instanceof Tensor) return [value]
  if (Array.isArray(value)) return (value as readonly Value[]).flatMap(tensorsIn)
  return typeof value === 'object' && value !== null
    ? Object.values(value).flatMap((part) => tensorsIn(part ?? null))
    : []
}

for (const each of exportedCases) {
  const { net, layers } = each

  run(`${net}: an exported program returns the bytes that the traced file does`, async (t) => {
    using input = toTensor(programs!.reference.input(net))
    using traced = await ScriptModule.load(programs!.file(net, 'traced'))
    const expected = await traced.forward<Value>(input)
    for (const kind of ['static', 'dynamic'] as const) {
      using model = await ScriptModule.load(programs!.file(net, kind))
      const output = await model.forward<Value>(input)
      const [found, requested] = [tensorsIn(output), tensorsIn(expected)]
      t.is(found.length, requested.length)
      for (const [i, tensor] of found.entries())
        t.deepEqual(tensor.toTypedArray(), requested[i]!.toTypedArray(), `${kind}, output ${i}`)
      for (const [i, judged] of programs!.reference.outputs(net, 'forward').entries())
        assertSame(t, found[i]!, judged, `${kind}, output ${i}`)
      disposeValue(output)
    }
    disposeValue(expected)
  })

  for (const kind of ['static', 'dynamic'] as const)
    run(`${net}, ${kind}: Grad-CAM at ${layers.join(' and ')}${each.guided ? ', guided backprop' : ''}`, async (t) => {
      using model = await ScriptModule.load(programs!.file(net, kind))
      using input = toTensor(programs!.reference.input(net))
      const { reference } = programs!
      for (const execution of ['auto', 'hooked'] as const) {
        using gradCam = new GradCam(model, [...layers], { execution })
        disposeValue(await gradCam.forward<Value>(input))
        await gradCam.backward(targetOf(each))
        for (const layer of layers) {
          using map = gradCam.get(layer)
          assertParity(t, map, reference.tensor(net, 'gradcam', `cam:${layer}`), `${layer}, ${execution}`)
        }
      }
      if (!each.guided) return
      using guided = new GuidedBackprop(model)
      disposeValue(await guided.forward<Value>(input))
      await guided.backward(targetOf(each))
      using gradient = guided.get()
      assertParity(t, gradient, reference.tensor(net, 'guided', 'gradient'), 'gradient')
      t.is(guided.intercepted, reference.number(net, 'guided', 'intercepted'))
    })

  if (each.score_cam)
    run(`${net}: Score-CAM, in chunks of any size`, async (t) => {
      for (const kind of ['static', 'dynamic'] as const) {
        using model = await ScriptModule.load(programs!.file(net, kind))
        using input = toTensor(programs!.reference.input(net))
        for (const chunkSize of [3, 32]) {
          using cam = new Cam(model, { layers: [layers[0]!], methods: ['scorecam'], chunkSize, compat: 'captum' })
          using found = await cam.explain(input, { target: { kind: 'class', class: each.target as number[] } })
          const map = found.get(layers[0]!)
          assertParity(t, map, programs!.reference.tensor(net, 'scorecam', 'map'), `${kind}, chunks of ${chunkSize}`)
        }
      }
    })

  run(`${net}: an exported program has the modules of the net, in their order`, async (t) => {
    using model = await ScriptModule.load(programs!.file(net, 'dynamic'))
    const paths = model.namedModules().map(({ path }) => path)
    t.deepEqual([...paths], programs!.modules(net))
  })
}

run('a batch that the export fixed: explainers run in parts of it, forward refuses others', async (t) => {
  const { file, input, output } = programs!.program('recurrent')
  using model = await ScriptModule.load(file)
  using five = toTensor(input)
  await t.throwsAsync(model.forward(five), { code: 'ERR_SHAPE', message: /takes float32 \[2, 3, 8, 8\].*lstm.*/ })
  for (const method of ['gradcam', 'scorecam'] as const) {
    using cam = new Cam(model, { layers: ['features'], methods: [method] })
    using found = await cam.explain(five, { target: 1 })
    assertSame(t, found.output, output, 'output of five images, in parts of two')
    // Each image alone, beside a copy of itself, says the same.
    for (const at of [0, 4]) {
      using one = five.slice(0, at, at + 1)
      using two = Tensor.cat([one, one], 0)
      using alone = await cam.explain(two, { target: 1 })
      const map = alone.get('features')
      const whole = found.get('features')
      using expected = map.slice(0, 0, 1)
      using actual = whole.slice(0, at, at + 1)
      assertSame(t, actual, { shape: [...expected.shape], data: expected.toTypedArray() } as never, `${method} ${at}`)
    }
  }
  using guided = new GuidedBackprop(model)
  using found = await guided.explain(five, { target: [0, 1, 2, 3, 4] })
  t.deepEqual(found.targets, [0, 1, 2, 3, 4])
  t.deepEqual([...found.gradient.shape], [5, 3, 8, 8])
  await t.throwsAsync(guided.explain(five, { target: [0, 1, 2] }), { code: 'ERR_TARGET_COUNT' })
})

run(
  'a batch that the export fixed: layers are picked and shown for one image, and the top classes explained',
  async (t) => {
    const { file, input, output } = programs!.program('recurrent')
    using model = await ScriptModule.load(file)
    using five = toTensor(input)
    using two = five.slice(0, 0, 2)
    const [suggested] = await suggestLayers(model, two)
    t.truthy(suggested)
    t.is((await pickLayer(model, [1, 3, 8, 8])).layer, suggested!.layer)
    for (const images of [1, 2, 5]) {
      using some = five.slice(0, 0, images)
      t.deepEqual((await suggestLayers(model, some))[0], suggested)
      const features = (await observeLayers(model, some)).find(({ path }) => path === 'features')
      t.deepEqual(features?.shape, [2, 6, 8, 8])
      using cam = new Cam(model, { layers: ['features'] })
      const top = await cam.explainTop(some, 3)
      const scores = output.data.slice(0, images * 5)
      for (const [rank, found] of top.entries()) {
        const expected = Array.from({ length: images }, (_, i) => {
          const row = Array.from(scores.slice(i * 5, i * 5 + 5), Number)
          return row.indexOf([...row].sort((a, b) => b - a)[rank]!)
        })
        t.deepEqual([...found.targets], expected, `${images} images, rank ${rank}`)
        using alone = await cam.explain(some, { target: expected })
        t.deepEqual(found.get('features').toTypedArray(), alone.get('features').toTypedArray())
        found.dispose()
      }
    }
  },
)

run('a batch that the export fixed: commands explain one image', (t) => {
  const { file } = programs!.program('recurrent')
  const image = join(packageRoot, 'samples', 'cat_dog.png')
  const out = temporaryFolder(t)
  const listed = gradcam(['layers', file])
  t.regex(listed.stdout, /features +Conv2d +168 +\[2, 6, 8, 8\]/, listed.stderr)
  const checked = gradcam(['doctor', file])
  t.regex(checked.stdout, /forward pass of \[2, 3, 8, 8\].*\n.*at \w+ +(?:split|hooked)/, checked.stderr)
  for (const command of ['explain', 'batch']) {
    const ended = gradcam([command, image, '--model', file, '--out', join(out, command)])
    t.is(ended.code, 0, ended.stderr)
  }
  // What a method cannot do is not called a matter of the input.
  const deeplift = gradcam(['explain', image, '--model', file, '--method', 'deeplift', '--out', out])
  t.is(deeplift.code, 1)
  t.notRegex(deeplift.stderr, /takes float32/)
})

for (const name of ['flat layout', 'autocast off', 'no_grad', 'masked attention'])
  run(`${name}: as eager PyTorch`, async (t) => {
    const { file, input, output } = programs!.program(name)
    using model = await ScriptModule.load(file)
    using x = toTensor(input)
    using y = await model.forward(x)
    assertSame(t, y, output, name)
  })
