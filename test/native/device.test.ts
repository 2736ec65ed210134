import test from 'ava'
import { native } from '../../lib/addon/native.js'
import {
  Cam,
  Deletion,
  FullGrad,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  Road,
  ScriptModule,
  Tensor,
  camMethods,
  gridFeatures,
  inputMethods,
  type CamMethod,
} from '../../lib/index.js'
import { relativeError } from '../support/parity.js'
import { smallNets } from '../support/models.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

// Every method on a CUDA device against the same on the CPU, which other tests hold to the peers. In float64, of which cuDNN
// has no TensorFloat-32: what is left is the order of sums. GRADCAM_TEST_DEVICE=cpu tries the tests themselves.
const device = process.env['GRADCAM_TEST_DEVICE'] ?? (native().info().cudaDevices > 0 ? 'cuda:0' : null)
const declare = needing('cuda', device, test.serial)
const tolerance = 1e-8
const reducedTolerance = 5e-2

const nets = await smallNets()
const target = [0, 1]

/** What a name stands for, as numbers, and where they were. */
type Values = { readonly shape: readonly number[]; readonly data: Float64Array; readonly device: string }

function read(tensor: Tensor): Values {
  const { shape, device: where } = tensor
  const data = Float64Array.from(tensor.toTypedArray() as Float64Array, Number)
  return { shape: [...shape], data, device: where }
}

interface Place {
  readonly model: ScriptModule
  readonly input: Tensor
}

const onDevice = (title: string, net: string, run: (place: Place) => Promise<Values>, allowed = tolerance): void => {
  declare(`${title}, on ${device ?? 'a CUDA device'}`, async (t) => {
    const found: Values[] = []
    for (const where of ['cpu', device as string]) {
      using model = await ScriptModule.load(nets.file(net), { device: where })
      using input = toTensor(nets.input(net)).to({ device: where })
      found.push(await run({ model, input }))
    }
    const [expected, actual] = found as [Values, Values]
    t.is(actual.device, device as string)
    t.deepEqual(actual.shape, expected.shape)
    t.true(
      expected.data.some((value) => value !== 0),
      'nothing to compare',
    )
    const error = relativeError(actual.data, expected.data)
    t.true(error <= allowed, `relative error ${error.toExponential(2)}`)
  })
}

for (const method of Object.keys(camMethods) as CamMethod[])
  for (const execution of ['auto', 'hooked'] as const)
    onDevice(
      `${method}, ${execution}`,
      method === 'cam' ? 'pooled_linear' : 'plain_double',
      async ({ model, input }) => {
        using cam = new Cam(model, { layers: ['features'], methods: [method], execution, compat: 'captum' })
        using found = await cam.explain(input.narrow(0, 0, 2), { target })
        return read(found.get(undefined, method))
      },
    )

onDevice('the whole pipeline to a map in [0, 1] at the size of the input', 'plain_double', async ({ model, input }) => {
  using cam = new Cam(model, { layers: ['features.3', 'features'], compat: 'pytorch-grad-cam', eigenSmooth: true })
  using found = await cam.explain(input, { target, augment: true })
  return read(found.cam)
})

for (const method of inputMethods)
  for (const smooth of [undefined, { samples: 3, sigma: 0.1 }])
    onDevice(`${method}${smooth ? ', smoothed' : ''}`, 'plain_double', async ({ model, input }) => {
      using attribution = new InputAttribution(model, { method, steps: 9, ...(smooth && { smooth }) })
      using found = await attribution.explain(input, { target })
      return read(found.attribution)
    })

onDevice('guided Grad-CAM', 'plain_double', async ({ model, input }) => {
  using guided = new GuidedGradCam(model, { layer: 'features' })
  using found = await guided.explain(input, { target })
  return read(found.attribution)
})

onDevice('FullGrad', 'plain_double', async ({ model, input }) => {
  using full = new FullGrad(model)
  using found = await full.explain(input, { target })
  return read(found.cam)
})

for (const options of [
  { method: 'occlusion', window: [5, 5], stride: [3, 3] },
  { method: 'rise', masks: 40 },
  { method: 'feature-permutation', seed: 3 },
] as const)
  onDevice(options.method, 'plain_double', async ({ model, input }) => {
    using perturbation = new InputPerturbation(model, options)
    using found = await perturbation.explain(input, { target })
    return read(found.attribution)
  })

onDevice('feature ablation', 'plain_double', async ({ model, input }) => {
  using features = gridFeatures([16, 20])
  using perturbation = new InputPerturbation(model, { method: 'feature-ablation', features })
  using found = await perturbation.explain(input, { target })
  return read(found.attribution)
})

for (const Metric of [Deletion, Road])
  onDevice(`the metric ${Metric.name}`, 'plain_double', async ({ model, input }) => {
    using cam = new Cam(model, { layers: ['features.2'] })
    using found = await cam.explain(input, { target })
    using metric = new Metric(model)
    await metric.add(input, found.cam, { targets: target })
    const { perImage } = metric.result()
    return { shape: [perImage.length], data: Float64Array.from(perImage), device: found.cam.device }
  })

for (const precision of ['bfloat16', 'float16'] as const)
  onDevice(
    `precision ${precision}`,
    'plain',
    async ({ model, input }) => {
      const reduced = model.device !== 'cpu' || device === 'cpu'
      using cam = new Cam(model, { layers: ['features.2'], ...(reduced && { precision }) })
      using found = await cam.explain(input, { target })
      return read(found.cam)
    },
    reducedTolerance,
  )
