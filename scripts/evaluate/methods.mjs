// Every method that the package exports, in one form: a map [N, 1, h, w] of a batch. A method that is added to one of the
// package's tables appears by itself; a table or a class of its own is one entry of `families` below.
import {
  AttentionMap,
  attentionMethods,
  Cam,
  camMethods,
  FullGrad,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  inputMethods,
  methods,
  Tensor,
} from 'libtorch-gradcam'
import { keysOf } from '../support/access.mjs'

/** The sum over channels of what an attribution has there, whatever its sign. */
function overChannels(/** @type {Attributed} */ { attribution }) {
  const size = attribution.abs()
  const map = size.sum([1], true)
  size.dispose()
  return map
}

/** What is taken away is taken away from all channels, so that they are equal. */
const meanOverChannels = (/** @type {Attributed} */ { attribution }) => attribution.mean([1], true)

const ownMap = (/** @type {{ cam: Tensor }} */ { cam }) => cam.clone()

// A generator of its own, so that the pixels are the same wherever and whenever this runs.
function noise(/** @type {number} */ count) {
  let state = 1
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  })
}

/** Random pixels, the same for each image of a batch. */
function noiseLike(/** @type {Tensor} */ input) {
  const [images = 0, , height = 0, width = 0] = input.shape
  const one = Tensor.from(noise(height * width), [1, 1, height, width])
  const all = one.repeat([images, 1, 1, 1])
  one.dispose()
  return all
}

/**
 * @typedef {{ attribution: Tensor }} Attributed
 * @typedef {import('libtorch-gradcam').Model} Model
 * @typedef {import('libtorch-gradcam').MetricTarget} MetricTarget
 * @typedef {{ target: MetricTarget, signal: AbortSignal | undefined }} Asked
 * @typedef {{ layer: string, steps: number, masks: number, samples: number }} Options
 * @typedef {(options: Options) => Method[]} Family
 * @typedef {{ maps: (input: Tensor, asked: Asked) => Promise<Tensor>, dispose: () => void }} Opened
 * @typedef {{ name: string, title: string, open: (model: Model) => Opened }} Method
 */

/**
 * A method: what `make` makes explains, and `map` takes the map out of what that found.
 *
 * @template {{ dispose(): void }} Explained
 * @param {string} name
 * @param {string} title
 * @param {(model: Model) => { explain(input: Tensor, asked: Asked): Promise<Explained>, dispose(): void }} make
 * @param {(found: Explained) => Tensor} map
 * @returns {Method}
 */
const method = (name, title, make, map) => ({
  name,
  title,
  open(model) {
    const explainer = make(model)
    return {
      async maps(input, asked) {
        const found = await explainer.explain(input, asked)
        try {
          return map(found)
        } finally {
          found.dispose()
        }
      },
      dispose: () => explainer.dispose(),
    }
  },
})

/**
 * What knows nothing of image and model.
 *
 * @type {Family}
 */
const baseline = () => [
  {
    name: 'noise',
    title: 'Random pixels',
    open: () => ({ maps: async (input) => noiseLike(input), dispose() {} }),
  },
]

/**
 * For networks of convolutions.
 *
 * @type {Family[]}
 */
const ofConvolutions = [
  // Class activation maps of one layer.
  ({ layer, steps, samples }) =>
    keysOf(camMethods).map((name) => {
      const own = { ...(name === 'sscam' || name === 'iscam' ? { samples } : {}), steps }
      const make = (/** @type {Model} */ model) => new Cam(model, { layers: [layer], methods: [name], ...own })
      return method(name, camMethods[name].title, make, ownMap)
    }),
  () => [method('fullgrad', methods.fullgrad.title, (/** @type {Model} */ model) => new FullGrad(model), ownMap)],
  // Attributions at the input. The gradient's own map is saliency's.
  ({ steps }) =>
    inputMethods
      .filter((name) => name !== 'gradient')
      .map((name) => {
        const make = (/** @type {Model} */ model) => new InputAttribution(model, { method: name, steps })
        // The regions of XRAI have a sign; its channels are equal.
        return method(name, methods[name].title, make, name === 'xrai' ? meanOverChannels : overChannels)
      }),
  ({ layer }) => {
    const make = (/** @type {Model} */ model) => new GuidedGradCam(model, { layer })
    return [method('guided-gradcam', methods['guided-gradcam'].title, make, overChannels)]
  },
  // What changes the input. The sign stays: what is below zero speaks against the class.
  ({ masks }) => {
    const occlusion = (/** @type {Model} */ model) => new InputPerturbation(model, { method: 'occlusion' })
    const rise = (/** @type {Model} */ model) => new InputPerturbation(model, { method: 'rise', masks })
    const valued = /** @type {const} */ (['lime', 'kernel-shap', 'shapley-sampling'])
    return [
      ...valued.map((name) => {
        // As many runs as RISE has, about: an order takes one for each of 50 superpixels.
        const samples = name === 'shapley-sampling' ? Math.ceil(masks / 50) : masks
        const make = (/** @type {Model} */ model) => new InputPerturbation(model, { method: name, samples })
        return method(name, methods[name].title, make, meanOverChannels)
      }),
      method('occlusion', methods.occlusion.title, occlusion, meanOverChannels),
      method('rise', methods.rise.title, rise, meanOverChannels),
    ]
  },
  baseline,
]

/**
 * For transformers: what reads their attention, and a few others to compare it with.
 *
 * @type {Family[]}
 */
const ofTransformers = [
  () =>
    attentionMethods.map((name) => {
      const make = (/** @type {Model} */ model) => new AttentionMap(model, { method: name })
      return method(name, methods[name].title, make, ownMap)
    }),
  ({ layer }) =>
    /** @type {const} */ (['gradcam', 'layercam']).map((name) => {
      const make = (/** @type {Model} */ model) => new Cam(model, { layers: [layer], methods: [name], reshape: 'vit' })
      return method(name, methods[name].title, make, ownMap)
    }),
  ({ steps }) =>
    /** @type {const} */ (['saliency', 'integrated-gradients']).map((name) => {
      const make = (/** @type {Model} */ model) => new InputAttribution(model, { method: name, steps })
      return method(name, methods[name].title, make, overChannels)
    }),
  baseline,
]

/**
 * The methods for the kind of model, each with `explain(model, input, { target, signal })`, as the metrics take it. Explainers are made once for
 * each model, and disposed by `close`.
 *
 * @param {'convolutions' | 'transformer'} kind
 * @param {Options} options `layer`: the layer whose maps are made
 *   `steps` are of methods that take several, `samples` of SS-CAM and IS-CAM, `masks` of RISE
 */
export function methodsOf(kind, options) {
  const families = kind === 'transformer' ? ofTransformers : ofConvolutions
  return families.flatMap((family) =>
    family(options).map(({ name, title, open }) => {
      /** @type {Map<Model, Opened>} */
      const opened = new Map()
      const openedFor = (/** @type {Model} */ model) => {
        const known = opened.get(model) ?? open(model)
        opened.set(model, known)
        return known
      }
      return {
        name,
        title,
        /** @type {import('libtorch-gradcam').ExplainMaps} */
        explain: async (model, input, asked) => openedFor(model).maps(input, asked),
        close() {
          for (const explainer of opened.values()) explainer.dispose()
          opened.clear()
        },
      }
    }),
  )
}
