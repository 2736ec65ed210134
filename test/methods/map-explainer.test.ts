import test from 'ava'
import {
  disposeValue,
  liveTensors,
  makeMapExplainers,
  manualSeed,
  methods,
  ScriptModule,
  Tensor,
} from '../../lib/index.js'
import { sampleModel } from '../support/batch.js'

manualSeed(0)

const model = await ScriptModule.load(sampleModel)
test.after.always(() => model.dispose())

const cheap = { segments: 4, masks: 4, seed: 0, steps: 2, samples: 3, window: [16, 16], stride: [16, 16] } as const
const taken: Readonly<Record<string, readonly (keyof typeof cheap)[]>> = {
  rise: ['masks', 'seed'],
  occlusion: ['window', 'stride'],
  'feature-ablation': ['window'],
  'integrated-gradients': ['steps'],
  'gradient-shap': ['steps', 'seed'],
  'blur-ig': ['steps'],
  'guided-ig': ['steps'],
  xrai: ['steps'],
  'internal-influence': ['steps'],
  'layer-conductance': ['steps'],
  'layer-integrated-gradients': ['steps'],
  lime: ['segments', 'samples'],
  'kernel-shap': ['segments', 'samples'],
  'shapley-sampling': ['segments', 'samples'],
  sscam: ['samples'],
  iscam: ['samples'],
}

test('an explainer that is kept holds no tensors, however many sizes of images it has seen', async (t) => {
  for (const name of Object.keys(methods) as (keyof typeof methods)[]) {
    const settings = Object.fromEntries((taken[name] ?? []).map((key) => [key, cheap[key]]))
    const explainers = makeMapExplainers(model, [name], methods[name].layered ? ['features'] : [], settings)
    const before = liveTensors()
    if (methods[name].by === 'AttentionMap') {
      using input = Tensor.rand([1, 3, 32, 40])
      // The model has no attention.
      const found = explainers[0]!.explain(input, { target: 1 })
      await t.throwsAsync(found, { code: 'ERR_NO_ATTENTION' })
      t.is(liveTensors(), before + 1, name)
      continue
    }
    for (const size of [32, 40, 48]) {
      using input = Tensor.rand([1, 3, size, size + 8])
      for (const explainer of explainers) {
        const { output, maps } = await explainer.explain(input, { target: 1 })
        disposeValue(output)
        for (const { map } of maps) map.dispose()
      }
    }
    t.is(liveTensors(), before, name)
    for (const explainer of explainers) explainer[Symbol.dispose]()
  }
})
