import test, { type ExecutionContext } from 'ava'
import { GradCam, GuidedBackprop, ScriptModule, Tensor, type Value } from '../../lib/index.js'
import { smallNets } from '../support/models.js'
import { assertParity, assertSame, relativeError } from '../support/parity.js'
import { smallNetCases, smallNetReference } from '../support/small-net-cases.js'
import { toTensor } from '../support/to-tensor.js'

const peer = await smallNetReference()
const nets = await smallNets()

function near(t: ExecutionContext, actual: Tensor, expected: Tensor, what: string, tolerance = 1e-6): void {
  t.deepEqual(actual.shape, expected.shape, `${what}: shape`)
  const error = relativeError(actual.toTypedArray(), expected.toTypedArray())
  t.true(error <= tolerance, `${what}: relative error ${error.toExponential(2)}`)
}

/** What an explainer says that has a model for itself. */
async function camAlone(net: string, input: Tensor, layer: string, target: number | number[]) {
  using model = await ScriptModule.load(nets.file(net))
  using gradCam = new GradCam(model, [layer])
  return await gradCam.explain(input, { target })
}

test.serial('explainers on one model whose calls are interleaved give what each gives alone', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using other = input.mul(-1)
  using features = new GradCam(model, ['features'])
  using early = new GradCam(model, ['features.4'])
  using guided = new GuidedBackprop(model)
  using modules = new GuidedBackprop(model, { scope: 'modules' })

  await Promise.all([features.forward(input), early.forward(other), guided.forward(input), modules.forward(input)])
  await Promise.all([early.backward(2), guided.backward([0, 1])])
  using _output = await model.forward(other)
  await Promise.all([modules.backward([0, 1]), features.backward([0, 1])])

  assertParity(t, features.get('features'), peer.tensor('plain', 'gradcam features', 'cam:features'), 'features')
  assertParity(t, guided.get(), peer.tensor('plain', 'guided_all', 'gradient'), 'guided')
  assertParity(t, modules.get(), peer.tensor('plain', 'guided_modules', 'gradient'), 'modules')
  using alone = await camAlone('plain', other, 'features.4', 2)
  near(t, early.get('features.4'), alone.cam, 'features.4')
})

test.serial('calls of explain that overlap give what they give one after another', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using gradCam = new GradCam(model, ['features.4'])
  using guided = new GuidedBackprop(model)
  using base = toTensor(nets.input('plain'))
  const inputs = Array.from({ length: 6 }, (_, i) => base.mul(i - 2.5))
  const score = (target: number) => (logits: Tensor) => logits.select(1, target).sum()
  const cams = inputs.map((input, i) => gradCam.explain(input, { target: i % 5 }))
  const gradients = inputs.map((input, i) => guided.explain(input, { target: score(i % 5) }))
  for (const [i, input] of inputs.entries()) {
    using cam = await gradCam.explain(input, { target: i % 5 })
    using gradient = await guided.explain(input, { target: i % 5 })
    t.deepEqual((await cams[i])!.scores, cam.scores)
    t.deepEqual((await cams[i])!.cam.toTypedArray(), cam.cam.toTypedArray(), `map ${i}`)
    t.deepEqual((await gradients[i])!.gradient.toTypedArray(), gradient.gradient.toTypedArray(), `gradient ${i}`)
  }
})

test.serial('explain leaves alone what forward and backward left in the explainer', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using _logits = await gradCam.forward(input)
  using other = input.neg()
  using _between = await gradCam.explain(other, { target: 3 })
  await gradCam.backward([0, 1])
  using _after = await gradCam.explain(other, { target: 3 })
  assertParity(t, gradCam.get('features'), peer.tensor('plain', 'gradcam features', 'cam:features'), 'features')
})

for (const net of ['plain', 'in_place_on_input', 'in_place_relu_after', 'every_kind_of_relu']) {
  test.serial(`${net}: the caller's input keeps its values, requiresGrad and grad`, async (t) => {
    using model = await ScriptModule.load(nets.file(net))
    using input = toTensor(nets.input(net))
    const values = input.toTypedArray()
    const { layers } = smallNetCases.find((small) => small.net === net)!
    for (const requiresGrad of [false, true]) {
      input.requiresGrad = requiresGrad
      if (requiresGrad) await input.mul(2).sum().backward()
      using gradCam = new GradCam(model, layers)
      using guided = new GuidedBackprop(model)
      for (const explainer of [gradCam, guided]) {
        using _output = await explainer.forward(input)
        await explainer.backward(0)
        using _explanation = await explainer.explain(input)
      }
      t.deepEqual(input.toTypedArray(), values)
      t.is(input.requiresGrad, requiresGrad)
      t.deepEqual(input.grad?.toTypedArray(), requiresGrad ? new Float32Array(values.length).fill(2) : undefined)
    }
  })
}

test.serial('an input that requires a gradient is not needed, and changes nothing', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using without = await gradCam.explain(input, { target: 1 })
  input.requiresGrad = true
  using with_ = await gradCam.explain(input, { target: 1 })
  t.deepEqual(with_.cam.toTypedArray(), without.cam.toTypedArray())
  t.is(input.grad, null)
})

test.serial('parameters take no part in the graph: their gradients are neither computed nor kept', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using _explanation = await gradCam.explain(input)
  using output = await model.forward(input)
  t.false(output.requiresGrad, 'the output depends on nothing that requires a gradient, so no parameter does')
  await t.throwsAsync(output.sum().backward(), { code: 'ERR_NO_GRADIENT' })
})

test.serial('every image of a batch is explained as if it were alone', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using batch = Tensor.cat([input, input.neg(), input.mul(0.5)])
  using gradCam = new GradCam(model, ['features.4'])
  using guided = new GuidedBackprop(model)
  const target = [0, 1, 2, 3, 4, 0]
  using cams = await gradCam.explain(batch, { target })
  using gradients = await guided.explain(batch, { target })
  for (const [i, one] of target.entries()) {
    using image = batch.slice(0, i, i + 1)
    using cam = await gradCam.explain(image, { target: one })
    using gradient = await guided.explain(image, { target: one })
    near(t, cams.cam.slice(0, i, i + 1), cam.cam, `map of image ${i}`, 1e-5)
    near(t, gradients.gradient.slice(0, i, i + 1), gradient.gradient, `gradient of image ${i}`, 1e-5)
    t.true(Math.abs((cams.scores[i] as number) - (cam.scores[0] as number)) < 1e-5)
  }
})

test.serial('the default target is the top class of each image, with its score', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using top = await gradCam.explain(input)
  const rows = top.output.tolist() as number[][]
  t.deepEqual(
    top.targets,
    rows.map((row) => row.indexOf(Math.max(...row))),
  )
  t.deepEqual(
    top.scores,
    rows.map((row) => Math.max(...row)),
  )
  using same = await gradCam.explain(input, { target: top.targets })
  using named = await gradCam.explain(input, { target: 'argmax' })
  for (const explanation of [same, named]) t.deepEqual(explanation.cam.toTypedArray(), top.cam.toTypedArray())
})

for (const net of ['regression_column', 'regression_flat']) {
  test.serial(`${net}: explained by its value, by class 0, or by a function, in both kinds of file`, async (t) => {
    const { layers } = smallNetCases.find((small) => small.net === net)!
    const layer = layers[0]!
    for (const kind of ['scripted', 'traced'] as const) {
      using model = await ScriptModule.load(nets.file(net, kind))
      using input = toTensor(nets.input(net))
      using gradCam = new GradCam(model, [layer])
      using guided = new GuidedBackprop(model)
      for (const target of [undefined, 0, [0, 0], (value: Tensor) => value.sum()]) {
        using cam = await gradCam.explain(input, { target })
        using gradient = await guided.explain(input, { target })
        assertParity(t, cam.cam, peer.tensor(net, `gradcam ${layer}`, `cam:${layer}`), `${kind}, map`)
        assertParity(t, gradient.gradient, peer.tensor(net, 'guided_all', 'gradient'), `${kind}, gradient`)
      }
      await t.throwsAsync(gradCam.explain(input, { target: 1 }), {
        code: 'ERR_TARGET_OUT_OF_RANGE',
        message: /1 output/,
      })
    }
  })
}

// Each function picks the score that Python explained, out of the output's structure.
const twoClasses = (logits: Tensor): Tensor => logits.select(0, 0).select(0, 0).add(logits.select(0, 1).select(0, 1))
const functions: Record<string, (output: Value) => Tensor> = {
  segmentation: (output) => (output as Tensor).sum(),
  dict_output: (output) => twoClasses((output as { out: Tensor }).out),
  tuple_output: (output) => twoClasses((output as Tensor[])[0] as Tensor),
  list_output: (output) => twoClasses((output as Tensor[])[0] as Tensor),
  named_tuple_output: (output) => twoClasses((output as { logits: Tensor }).logits),
}
for (const [net, target] of Object.entries(functions)) {
  test.serial(`${net}: a function makes the score, in one call and in three`, async (t) => {
    using model = await ScriptModule.load(nets.file(net))
    using input = toTensor(nets.input(net))
    using gradCam = new GradCam(model, ['features'])
    using guided = new GuidedBackprop(model)
    using explained = await gradCam.explain<Value>(input, { target })
    await gradCam.forward<Value>(input)
    await gradCam.backward<Value>(target)
    await guided.forward<Value>(input)
    await guided.backward<Value>(target)
    for (const map of [explained.cam, gradCam.get('features')])
      assertParity(t, map, peer.tensor(net, 'gradcam features', 'cam:features'), 'map')
    assertParity(t, guided.get(), peer.tensor(net, 'guided_all', 'gradient'), 'gradient')
    t.deepEqual(explained.targets, [])
    t.is(explained.scores.length, 1)
  })
}

test.serial('the rule of guided backprop holds in a frozen model, which has no layers to hook', async (t) => {
  using model = await ScriptModule.load(nets.variant('frozen'))
  using input = toTensor(nets.input('plain'))
  using guided = new GuidedBackprop(model)
  using explanation = await guided.explain(input, { target: [0, 1] })
  assertParity(t, explanation.gradient, peer.tensor('plain', 'guided_all', 'gradient'), 'gradient')
  t.is(explanation.intercepted, peer.number('plain', 'guided_all', 'intercepted'))
})

for (const variant of ['training_mode', 'no_grad_parameters']) {
  test.serial(`a file saved as ${variant} gives the same maps`, async (t) => {
    using model = await ScriptModule.load(nets.variant(variant))
    using input = toTensor(nets.input('plain'))
    using gradCam = new GradCam(model, ['features'])
    using explanation = await gradCam.explain(input, { target: [0, 1] })
    assertParity(t, explanation.cam, peer.tensor('plain', 'gradcam features', 'cam:features'), 'map')
  })
}

test.serial('how many ReLUs are intercepted, by scope, module, function and place', async (t) => {
  const counts: Record<string, [modules: number, all: number]> = {
    plain: [2, 2],
    every_kind_of_relu: [2, 6],
    functional_relu_only: [0, 2],
    called_twice: [2, 2],
    siblings: [3, 3],
    relu_free: [0, 0],
  }
  for (const [net, [modules, all]] of Object.entries(counts)) {
    t.is(peer.number(net, 'guided_modules', 'intercepted'), modules, `${net} in Python`)
    t.is(peer.number(net, 'guided_all', 'intercepted'), all, `${net} in Python`)
    for (const kind of ['scripted', 'traced'] as const) {
      using model = await ScriptModule.load(nets.file(net, kind))
      using input = toTensor(nets.input(net))
      for (const [scope, count] of [
        ['modules', modules],
        ['all', all],
      ] as const) {
        using guided = new GuidedBackprop(model, { scope })
        using _output = await guided.forward(input)
        t.is(guided.intercepted, count, `${net}, ${kind}, ${scope}`)
      }
    }
  }
})

test.serial(
  'a gradient, map or activation taken from an explainer outlives it and changes nothing in it',
  async (t) => {
    using model = await ScriptModule.load(nets.file('plain'))
    using input = toTensor(nets.input('plain'))
    const gradCam = new GradCam(model, ['features'])
    using _logits = await gradCam.forward(input)
    await gradCam.backward([0, 1])
    using map = gradCam.get('features')
    gradCam.get('features').dispose()
    gradCam.dispose()
    assertParity(t, map, peer.tensor('plain', 'gradcam features', 'cam:features'), 'map')
  },
)

test.serial('activation and gradient are those of PyTorch, and the map follows from them by its formula', async (t) => {
  using model = await ScriptModule.load(nets.file('in_place_relu_after'))
  using input = toTensor(nets.input('in_place_relu_after'))
  using gradCam = new GradCam(model, ['features'])
  using _logits = await gradCam.forward(input)
  await gradCam.backward([0, 1])
  const of = (name: string) => peer.tensor('in_place_relu_after', 'gradcam features', `${name}:features`)
  assertSame(t, gradCam.activation('features'), of('activation'), 'activation')
  assertSame(t, gradCam.gradient('features'), of('gradient'), 'gradient')
  const a = gradCam.activation('features').tolist() as number[][][][]
  const g = gradCam.gradient('features').tolist() as number[][][][]
  const mean = (plane: number[][]): number => plane.flat().reduce((sum, x) => sum + x, 0) / plane.flat().length
  const expected = a.map((image, n) =>
    image[0]!.map((row, y) =>
      row.map((_, x) =>
        Math.max(
          0,
          image.reduce((sum, plane, k) => sum + mean(g[n]![k]!) * plane[y]![x]!, 0),
        ),
      ),
    ),
  )
  const map = gradCam.get('features').toTypedArray()
  t.true(relativeError(map, expected.flat(2)) < 1e-5)
})
