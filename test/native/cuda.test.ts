import test from 'ava'
import {
  GradCam,
  GuidedBackprop,
  ScriptModule,
  Tensor,
  interpolate,
  liveTensors,
  manualSeed,
  normalize,
} from '../../lib/index.js'
import { native } from '../../lib/addon/native.js'
import { heldTensors } from '../support/live-tensors.js'
import { densenetReference, twoClasses } from '../support/densenet.js'
import { assertParity } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

manualSeed(0)

// Runs where LibTorch sees a CUDA device, and says so where it does not. cuDNN may convolve in TensorFloat-32, whose 10
// bits of mantissa leave about 1e-3 of a map, and flip some gates of guided backprop.
const hasCuda = native().info().cudaDevices > 0
const mapTolerance = 5e-3
const gradientTolerance = 5e-2

const onCuda = needing('cuda', hasCuda, test.serial)

for (const kind of ['scripted', 'traced'] as const)
  for (const execution of ['split', 'hooked'] as const)
    onCuda(`densenet121, ${kind}, ${execution}: Grad-CAM on the device is that of PyTorch on the CPU`, async (t) => {
      const peer = await densenetReference()
      using model = await ScriptModule.load(peer.file('densenet121', kind), { device: 'cuda' })
      using input = toTensor(peer.input('densenet121'))
      using gradCam = new GradCam(model, ['features'], { execution })
      using found = await gradCam.explain(input, { target: twoClasses })
      t.is(found.cam.device, 'cuda:0')
      t.is(found.execution.path, execution)
      const expected = peer.tensor('densenet121', 'two_classes', 'cam:features')
      assertParity(t, found.cam, expected, 'features', mapTolerance)
      using large = interpolate(found.cam, [224, 224])
      using scaled = normalize(large)
      t.is(scaled.device, 'cuda:0')
      assertParity(t, scaled, peer.tensor('densenet121', 'mixed', 'gcam'), 'normalized', mapTolerance)
    })

onCuda('guided backprop on the device is that of PyTorch on the CPU', async (t) => {
  const peer = await densenetReference()
  using model = await ScriptModule.load(peer.file('densenet121', 'scripted'), { device: 'cuda' })
  using input = toTensor(peer.input('densenet121'))
  using guided = new GuidedBackprop(model)
  using found = await guided.explain(input, { target: twoClasses })
  const expected = peer.tensor('densenet121', 'guided_all', 'gradient')
  assertParity(t, found.gradient, expected, 'gradient', gradientTolerance)
})

onCuda('a batch that does not fit gives a typed error, and the model stays usable', async (t) => {
  const peer = await densenetReference()
  using model = await ScriptModule.load(peer.file('densenet121', 'scripted'), { device: 'cuda' })
  using gradCam = new GradCam(model, ['features.denseblock1'])
  using image = Tensor.rand([1, 3, 224, 224], { device: 'cuda' })
  using huge = image.expand([1 << 15, 3, 224, 224])
  await t.throwsAsync(gradCam.explain(huge, { target: 0 }), { name: 'GradCamError', code: 'ERR_OUT_OF_MEMORY' })
  using found = await gradCam.explain(image, { target: 0 })
  t.is(found.cam.device, 'cuda:0')
})

onCuda('explanations in a loop leave no tensor behind', async (t) => {
  const peer = await densenetReference()
  using model = await ScriptModule.load(peer.file('densenet121', 'scripted'), { device: 'cuda' })
  using gradCam = new GradCam(model, ['features'], { precision: 'bfloat16' })
  using input = Tensor.rand([8, 3, 224, 224])
  const before = await heldTensors()
  for (let i = 0; i < 50; i++) (await gradCam.explain(input, { target: 0 })).dispose()
  t.is(liveTensors(), before)
})
