// The public types as a strict TypeScript program sees them. Nothing here runs: it is compiled against lib by `npm run
// typecheck`, and against the packed package by `npm run check:package`. What must not compile has @ts-expect-error, which
// is an error itself where the line does compile. It uses no types of Node.js: see consumer-with-node.ts.
import {
  Cam,
  camMethods,
  explainAll,
  GradCam,
  GradCamError,
  GuidedBackprop,
  InputAttribution,
  InputPerturbation,
  interpolate,
  Insertion,
  loadImage,
  methods,
  metrics,
  overlay,
  PointingGame,
  presets,
  saveImage,
  ScriptModule,
  suggestLayers,
  Tensor,
  type CamMethod,
  type GradCamErrorCode,
  type MethodName,
  type MetricName,
  type PresetName,
  type TargetData,
  type TypedArray,
  type Value,
} from 'libtorch-gradcam'

/** Whether two types are the same, and not only assignable to each other. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(areSame: Same<A, B>): void => void areSame

export async function tensors(): Promise<void> {
  using tensor = Tensor.from([
    [1, 2],
    [3, 4],
  ])
  same<typeof tensor, Tensor>(true)
  same<typeof tensor.shape, readonly number[]>(true)
  const values: TypedArray = tensor.toTypedArray()
  using large = interpolate(tensor, [8, 8])
  await tensor.backward()
  // @ts-expect-error a size has a height and a width
  interpolate(tensor, [8])
  // @ts-expect-error there is no such type of elements
  Tensor.from([1], undefined, { dtype: 'float8' })
  void [values, large]
}

export async function explaining(signal: AbortSignal): Promise<void> {
  using model = await ScriptModule.load('model.pt', { device: 'cuda:0' })
  using input = await loadImage('image.jpg', { size: [224, 224] })
  using gradCam = new GradCam(model, ['features'])
  using found = await gradCam.explain(input, { target: 0, signal })
  same<typeof found.cam, Tensor>(true)
  same<typeof found.output, Tensor>(true)

  using cam = new Cam(model, { layers: ['features'], methods: ['gradcam', 'layercam'], compat: 'captum' })
  using maps = await cam.explain(input, { target: [0, 1] })
  same<ReturnType<typeof maps.get>, Tensor>(true)
  maps.get('features', 'layercam')
  for (const explanation of await cam.explainTop(input, 3)) explanation.dispose()
  // @ts-expect-error layers are required
  void new Cam(model, {})
  // @ts-expect-error there is no such method
  void new Cam(model, { layers: ['features'], methods: ['gradcam3'] })

  using detector = await gradCam.explain<Value>(input, { target: { kind: 'class', class: 1, of: ['heads', 0] } })
  same<typeof detector.output, Value>(true)
  await gradCam.explain(input, { target: (output) => output.sum() })
  // @ts-expect-error a function that explains gives a tensor
  await gradCam.explain(input, { target: () => 1 })

  using guided = new GuidedBackprop(model, { scope: 'modules' })
  same<Awaited<ReturnType<typeof guided.explain>>['gradient'], Tensor>(true)
  using attribution = new InputAttribution(model, { method: 'integrated-gradients', steps: 20 })
  same<Awaited<ReturnType<typeof attribution.explain>>['delta'], readonly number[] | null>(true)
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [16, 16] })
  // @ts-expect-error masks are of RISE
  void new InputPerturbation(model, { method: 'occlusion', masks: 100 })
  await saveImage(overlay(input, found.cam), 'overlay.png')
  void [occlusion, suggestLayers]
}

export const targets: TargetData[] = [
  { kind: 'probability' },
  { kind: 'difference', class: 1, minus: 2 },
  { kind: 'segmentation', class: 1, mask: [[0, 1]], sign: -1 },
  // @ts-expect-error a difference is one from another class
  { kind: 'difference', class: 1 },
  // @ts-expect-error there is no such kind
  { kind: 'logit' },
]

export async function jobs(model: ScriptModule): Promise<void> {
  for await (const result of explainAll(['a.jpg'], { model, layer: 'features', finish: () => 7 })) {
    // Told apart by `ok`.
    if (!result.ok) {
      same<typeof result.error, unknown>(true)
      continue
    }
    same<typeof result.target, number>(true)
    for (const { class: index, probability } of result.top) void [index, probability]
    result.dispose()
  }
  // @ts-expect-error no model
  explainAll(['a.jpg'], { layer: 'features' })
}

export async function measuring(model: ScriptModule, input: Tensor, map: Tensor): Promise<void> {
  using insertion = new Insertion(model)
  await insertion.add(input, map, { targets: [0] })
  const { mean, perImage } = insertion.result()
  same<typeof mean, number>(true)
  for (const value of perImage) same<typeof value, number>(true)
  using game = new PointingGame(model)
  await game.add(input, map, { boxes: [{ x: 0, y: 0, w: 10, h: 10 }] })
}

/** Names are literal types, for those who let a user choose. */
same<keyof typeof camMethods, CamMethod>(true)
same<keyof typeof methods, MethodName>(true)
same<keyof typeof metrics, MetricName>(true)
same<keyof typeof presets, PresetName>(true)
export const cams: CamMethod = 'gradcam++' satisfies MethodName

export function codes(error: unknown): GradCamErrorCode | null {
  if (!(error instanceof GradCamError)) return null
  same<typeof error.code, GradCamErrorCode>(true)
  // @ts-expect-error there is no such code
  return error.code === 'ERR_NOTHING' ? null : error.code
}
