// Vision transformers of timm and torchvision, and one that attends as Hugging Face's: see test/python/attention_maps.py.
import test from 'ava'
import { AttentionMap, attentionMethods, ScriptModule, Tensor } from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { pythonWithModels } from '../support/model-packages.js'
import { smallNets } from '../support/models.js'
import { needing } from '../support/needs.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'

const python = await pythonWithModels()
const nets = python ? await unusualNets('attention_maps.py', python) : null
const run = needing('models', nets, test.serial)
const target = 2

const files = [
  'timm',
  'timm-exported',
  'timm-registers',
  'timm-deit',
  'timm-explicit',
  'like-hf',
  'like-hf-exported',
  'like-hf-scripted',
  'like-hf-fused',
  'like-hf-fused-scripted',
  'like-hf-in-place',
  'like-hf-in-place-scripted',
  'no-class-token',
  'torchvision',
  'torchvision-traced',
]
for (const name of files)
  run(`${name}: what eager PyTorch makes of the same attention`, async (t) => {
    using model = await nets!.load(name)
    const { both, one } = nets!.batch(name)
    for (const method of attentionMethods) {
      const expected = nets!.value(name, method)
      using explainer = new AttentionMap(model, { method })
      using found = await explainer.explain(both, { target })
      // In float64.
      assertSame(t, found.cam, expected, method, 1e-9)
      t.is(found.layers, Number(nets!.value(name, 'layers').data[0]))
      t.is(found.conditions.length, 2)
      using alone = await explainer.explain(one, { target })
      const half = expected.data.length / 2
      const first = { shape: [1, ...expected.shape.slice(1)], data: expected.data.subarray(0, half) }
      assertSame(t, alone.cam, first as typeof expected, `${method}, alone`, 1e-9)
      if (method === 'legrad') {
        const byFunction = explainer.explain(one, { target: (logits: Tensor) => logits.select(1, target).sum() })
        await t.throwsAsync(byFunction, { code: 'ERR_TARGET', message: /score of each block/ })
        continue
      }
      // A function of the output has the graph of a forward of its own.
      using byFunction = await explainer.explain(one, { target: (logits: Tensor) => logits.select(1, target).sum() })
      assertSame(t, byFunction.cam, first as typeof expected, `${method}, function`, 1e-9)
    }
  })

run('the grid of tokens is found, or said; what does not fit is refused', async (t) => {
  using model = await nets!.load('timm')
  const { both } = nets!.batch('timm')
  const method = 'transformer-attribution'
  const shapeOf = async (options: object) => {
    using explainer = new AttentionMap(model, { method, ...options })
    using found = await explainer.explain(both, { target })
    return [...found.cam.shape]
  }
  t.deepEqual(await shapeOf({}), [2, 1, 4, 6])
  t.deepEqual(await shapeOf({ tokens: [3, 8] }), [2, 1, 3, 8])
  t.deepEqual(await shapeOf({ tokens: [5, 5] }), [2, 1, 5, 5])
  t.deepEqual(await shapeOf({ skip: 1 }), [2, 1, 4, 6])
  for (const options of [{ tokens: [5, 6] }, { tokens: [4, 6], skip: 2 }, { skip: 2 }])
    await t.throwsAsync(shapeOf(options), { code: 'ERR_SHAPE', message: /25 tokens/ })
  for (const options of [{ method: 'rollout' }, { tokens: [0, 4] }, { tokens: 4 }, { skip: -1 }, { input: 0.5 }])
    t.throws(() => new AttentionMap(model, { method, ...options } as never), { code: 'ERR_INVALID_ARGUMENT' })
})

run('attention within windows is refused, and so is a model without attention', async (t) => {
  using model = await nets!.load('windows')
  const { both } = nets!.batch('windows')
  const small = await smallNets()
  using plain = await ScriptModule.load(small.file('plain'))
  using input = toTensor(small.input('plain'))
  const before = await heldTensors()
  for (const method of attentionMethods.filter((name) => name !== 'legrad')) {
    using windows = new AttentionMap(model, { method })
    await t.throwsAsync(windows.explain(both, { target }), {
      code: 'ERR_NO_ATTENTION',
      message: /4 attention matrices for 2 images/,
    })
    using none = new AttentionMap(plain, { method })
    await t.throwsAsync(none.explain(input, { target }), {
      code: 'ERR_NO_ATTENTION',
      message: /depends on no attention/,
    })
  }
  t.is(await heldTensors(), before)
})

run('the blocks of LeGrad are found, or named; others are refused', async (t) => {
  using model = await nets!.load('timm')
  const { both } = nets!.batch('timm')
  const explain = async (blocks: string[]) => {
    using explainer = new AttentionMap(model, { method: 'legrad', blocks })
    using found = await explainer.explain(both, { target })
    return found.cam.tolist()
  }
  const names = ['blocks.0', 'blocks.1', 'blocks.2']
  using found = await new AttentionMap(model, { method: 'legrad' }).explain(both, { target })
  t.deepEqual(await explain(names), found.cam.tolist())
  t.deepEqual(await explain(names.toReversed()), found.cam.tolist(), 'in any order')
  await t.throwsAsync(explain(['blocks.0', 'blocks.1.norm1', 'blocks.2']), {
    code: 'ERR_NO_ATTENTION',
    message: /'blocks.1.norm1' has no attention of its own/,
  })
  t.throws(() => new AttentionMap(model, { method: 'legrad', blocks: ['blocks.7'] }), { code: 'ERR_LAYER_NOT_FOUND' })
  t.throws(() => new AttentionMap(model, { method: 'attention-rollout', blocks: names }), {
    code: 'ERR_INVALID_ARGUMENT',
  })
  using windows = await nets!.load('windows')
  t.throws(() => new AttentionMap(windows, { method: 'legrad' }), { code: 'ERR_NO_ATTENTION', message: /Name them/ })
  using whole = new AttentionMap(windows, { method: 'legrad', blocks: ['attention'] })
  await t.throwsAsync(whole.explain(nets!.batch('windows').both, { target }), {
    code: 'ERR_NO_ATTENTION',
    message: /4 attention matrices for 2 images/,
  })
  const small = await smallNets()
  using plain = await ScriptModule.load(small.file('plain'))
  using input = toTensor(small.input('plain'))
  using none = new AttentionMap(plain, { method: 'legrad', blocks: ['features'] })
  await t.throwsAsync(none.explain(input, { target }), { code: 'ERR_NO_ATTENTION' })
})
