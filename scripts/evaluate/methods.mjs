// Every method that the package exports, in one form: a map [N, 1, h, w] of a batch. A method that is added to one of the
// package's tables appears by itself; a table or a class of its own is one entry of `families` below.
import {
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

/** The sum over channels of what an attribution has there, whatever its sign. */
function overChannels(attribution) {
  const size = attribution.abs()
  const map = size.sum([1], true)
  size.dispose()
  return map
}

/** What is taken away is taken away from all channels, so that they are equal. */
function meanOverChannels(attribution) {
  return attribution.mean([1], true)
}

// A generator of its own, so that the pixels are the same wherever and whenever this runs.
function noise(count) {
  let state = 1
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  })
}

/**
 * @typedef {{ layer: string, steps: number, masks: number }} Options
 * @typedef {{ explain(input: Tensor, options: object): Promise<any>, dispose(): void }} Opened
 *
 * What `open` makes explains, and `map` takes the map out of what that found.
 * @typedef {{ name: string, title: string, open: (model: any) => Opened, map: (found: any) => Tensor }} Family
 */

/** @type {((options: Options) => Family[])[]} */
const families = [
  // Class activation maps of one layer.
  ({ layer }) =>
    /** @type {(keyof typeof camMethods)[]} */ (Object.keys(camMethods)).map((name) => ({
      name,
      title: camMethods[name].title,
      open: (model) => new Cam(model, { layers: [layer], methods: [name] }),
      map: ({ cam }) => cam.clone(),
    })),
  () => [
    {
      name: 'fullgrad',
      title: methods.fullgrad.title,
      open: (model) => new FullGrad(model),
      map: ({ cam }) => cam.clone(),
    },
  ],
  // Attributions at the input. The gradient's own map is saliency's.
  ({ steps }) =>
    inputMethods
      .filter((method) => method !== 'gradient')
      .map((method) => ({
        name: method,
        title: methods[method].title,
        open: (model) => new InputAttribution(model, { method, steps }),
        map: ({ attribution }) => overChannels(attribution),
      })),
  ({ layer }) => [
    {
      name: 'guided-gradcam',
      title: methods['guided-gradcam'].title,
      open: (model) => new GuidedGradCam(model, { layer }),
      map: ({ attribution }) => overChannels(attribution),
    },
  ],
  // What changes the input. The sign stays: what is below zero speaks against the class.
  ({ masks }) =>
    /** @type {('occlusion' | 'rise')[]} */ (['occlusion', 'rise']).map((method) => ({
      name: method,
      title: methods[method].title,
      open: (model) => new InputPerturbation(model, { method, ...(method === 'rise' ? { masks } : {}) }),
      map: ({ attribution }) => meanOverChannels(attribution),
    })),
  // What knows nothing of image and model.
  () => [
    {
      name: 'noise',
      title: 'Random pixels',
      open: () => ({ explain: async (input) => ({ input, dispose() {} }), dispose() {} }),
      map: ({ input }) => {
        const [images, , height, width] = input.shape
        const one = Tensor.from(noise(height * width), [1, 1, height, width])
        const all = one.repeat([images, 1, 1, 1])
        one.dispose()
        return all
      },
    },
  ],
]

/**
 * The methods, each with `explain(model, input, { target, signal })`, as the metrics take it. Explainers are made once for
 * each model, and disposed by `close`.
 *
 * @param {Options} options `layer`: the layer whose maps are made
 *   `steps` are of integrated gradients, `masks` of RISE
 */
export function methodsOf(options) {
  return families.flatMap((family) =>
    family(options).map(({ name, title, open, map }) => {
      const opened = new Map()
      return {
        name,
        title,
        /**
         * @param {import('libtorch-gradcam').ScriptModule} model
         * @param {Tensor} input
         * @param {{ target: number | number[], signal?: AbortSignal }} options
         */
        async explain(model, input, { target, signal }) {
          if (!opened.has(model)) opened.set(model, open(model))
          const found = await opened.get(model).explain(input, { target, signal })
          try {
            return map(found)
          } finally {
            found.dispose()
          }
        },
        close() {
          for (const explainer of opened.values()) explainer.dispose()
          opened.clear()
        },
      }
    }),
  )
}
