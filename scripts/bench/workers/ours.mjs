// This package, through its public API. Requests: see worker.mjs.
//
//   node scripts/bench/workers/ours.mjs '{"file": ..., "method": ..., "make": {}, "explain": {}, ...}'
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  Cam,
  FullGrad,
  GradCam,
  GuidedBackprop,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  ScriptModule,
  Tensor,
  camMethods,
  gridFeatures,
  inputMethods,
  interpolate,
  normalize,
  setNumThreads,
} from 'libtorch-gradcam'
import { hasKey } from '../../support/access.mjs'

/** @type {import('../types.d.mts').Job & { make: object, explain: object }} */
const job = JSON.parse(process.argv[2] ?? '')
setNumThreads(job.threads)
const model = await ScriptModule.load(job.file, { device: job.device })
const explainer = makeExplainer(job)

/**
 * By `grad_cam` or `guided_backprop` the classes named so, by any other name the method of it.
 *
 * @typedef {{ scores: readonly number[], dispose(): void, cam?: Tensor, attribution?: Tensor, gradient?: Tensor }} Explained
 * @returns {{ explain(input: Tensor, options: object): Promise<Explained> }}
 */
function makeExplainer(/** @type {typeof job} */ { method, layer: path, make }) {
  const layer = path ?? ''
  if (method === 'guided_backprop') return new GuidedBackprop(model, { scope: 'modules', ...make })
  if (method === 'grad_cam') return new GradCam(model, [layer], make)
  if (method === 'fullgrad') return new FullGrad(model)
  if (hasKey(camMethods, method))
    return new Cam(model, { layers: [layer], methods: [method], compat: 'pytorch-grad-cam', ...make })
  if (method === 'guided-gradcam') return new GuidedGradCam(model, { layer, mode: 'nearest', ...make })
  if (method === 'feature-ablation') {
    const features = gridFeatures([job.size, job.size])
    return new InputPerturbation(model, { method, features, ...make })
  }
  if (method === 'lime' || method === 'kernel-shap' || method === 'shapley-sampling')
    return new InputPerturbation(model, { method, features: gridFeatures([job.size, job.size]), ...make })
  const ofInput = inputMethods.find((name) => name === method)
  if (ofInput) return new InputAttribution(model, { method: ofInput, ...make })
  if (method === 'occlusion' || method === 'rise') return new InputPerturbation(model, { method, ...make })
  throw new Error(`${method} is not a method of this package`)
}

function read(/** @type {number} */ batch) {
  const elements = new Float32Array(batch * 3 * job.size * job.size)
  const file = openSync(job.input, 'r')
  readSync(file, elements, 0, elements.byteLength, 0)
  closeSync(file)
  return Tensor.from(elements, [batch, 3, job.size, job.size], { device: job.device })
}

/** @type {Tensor | undefined} */
let input
function inputOf(/** @type {number} */ batch) {
  if (input?.shape[0] === batch) return input
  input?.dispose()
  return (input = read(batch))
}

/** The heatmap at the size of the images, or the gradient, with the scores. */
async function explain(/** @type {Tensor} */ images) {
  const found = await explainer.explain(images, { target: job.target, ...job.explain })
  try {
    const { scores, cam } = found
    const direct = job.method === 'guided_backprop' ? found.gradient : found.attribution
    if (direct) return { result: direct.detach(), scores }
    if (!cam) throw new Error(`${job.method} gives no map`)
    if (job.method !== 'grad_cam') return { result: cam.detach(), scores }
    const large = interpolate(cam, [job.size, job.size])
    try {
      return { result: normalize(large), scores }
    } finally {
      large.dispose()
    }
  } finally {
    found.dispose()
  }
}

async function timed(/** @type {number} */ batch) {
  const images = inputOf(batch)
  const start = performance.now()
  const { result, scores } = await explain(images)
  // Also what waits for another device.
  const values = job.device === 'cpu' ? null : result.toTypedArray()
  return { ms: performance.now() - start, result, values, scores }
}

const requests = {
  async run(batch = '') {
    const { ms, result } = await timed(Number(batch))
    result.dispose()
    return { ms }
  },
  async result(batch = '', file = '') {
    const { result, values, scores } = await timed(Number(batch))
    const elements = values ?? result.toTypedArray()
    // Not converted where it need not be: that would take more memory than what is measured.
    writeFileSync(file, elements instanceof Float32Array ? elements : Float32Array.from(elements, Number))
    const { shape } = result
    result.dispose()
    return { shape, scores }
  },
  memory: () => ({ peakRss: process.resourceUsage().maxRSS * 1024, peakDevice: null }),
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name = '', batch, file] = line.split(' ')
  if (!hasKey(requests, name)) throw new Error(`${name} is not a request`)
  process.stdout.write(`${JSON.stringify(await requests[name](batch, file))}\n`)
}
