/**
 * Explains a model in each of several ways, every time with new explainers, and writes how much resident memory that took for
 * good: node --expose-gc resident-growth.js MODEL ROUNDS -> {way: MB}. The model takes [N, 3, 16, 20] and has the layers
 * `features` and `stem`.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Cam,
  emptyCache,
  explainAll,
  FullGrad,
  GradCam,
  GuidedBackprop,
  InputAttribution,
  InputPerturbation,
  manualSeed,
  ScriptModule,
  suggestLayers,
  Tensor,
} from '../../lib/index.js'

manualSeed(0)
const [file = '', rounds = ''] = process.argv.slice(2)
const model = await ScriptModule.load(file)
const x = Tensor.rand([1, 3, 16, 20])

interface Explainer extends Disposable {
  explain(input: Tensor, options: { target: number }): Promise<Disposable>
}

async function once(explainer: Explainer): Promise<void> {
  using _result = await explainer.explain(x, { target: 0 })
  explainer[Symbol.dispose]()
}

const cam = (...methods: ('ablationcam' | 'gradcam' | 'scorecam')[]) =>
  new Cam(model, { layers: ['stem', 'features'], methods })

const ways: Record<string, () => Promise<void>> = {
  GradCam: () => once(new GradCam(model, ['features'])),
  'GradCam in bfloat16': () => once(new GradCam(model, ['features'], { precision: 'bfloat16' })),
  'Cam of two layers': () => once(cam('gradcam')),
  'Score-CAM': () => once(cam('scorecam')),
  'Ablation-CAM': () => once(cam('ablationcam')),
  explainAll: async () => {
    for await (using result of explainAll([x], { model, layer: 'features' })) if (!result.ok) throw result.error
  },
  occlusion: () => once(new InputPerturbation(model, { method: 'occlusion', window: [8, 8], stride: [8, 8] })),
  saliency: () => once(new InputAttribution(model, { method: 'saliency' })),
  'GuidedBackprop, split': () => once(new GuidedBackprop(model, { execution: 'split' })),
  FullGrad: () => once(new FullGrad(model)),
  suggestLayers: async () => void (await suggestLayers(model, x)),
  'a randomised copy': async () => {
    using copy = await model.randomized({ seed: 1 })
    await once(new GradCam(copy, ['features']))
  },
}

/** In MB. */
async function resident(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await sleep(5)
  }
  emptyCache()
  if (process.platform !== 'linux') return process.memoryUsage().rss / 1e6
  const anonymous = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
  return (Number(anonymous?.[1]) * 1024) / 1e6
}

const grown: Record<string, number> = {}
for (const [name, way] of Object.entries(ways)) {
  for (let i = 0; i < 5; i++) await way()
  const before = await resident()
  for (let i = 0; i < Number(rounds); i++) await way()
  grown[name] = (await resident()) - before
}
console.log(JSON.stringify(grown))
