import test from 'ava'
import { Cam, GradCam, GuidedGradCam, ScriptModule, Tensor, liveTensors, type Reshape } from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertParity } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float32Array })
/** The tokens of an image of 32 x 48 in patches of 8. */
const positions = (tokens: Tensor) => {
  const [images = 0, , channels = 0] = tokens.shape
  return tokens.slice(1, 1).transpose(1, 2).reshape([images, channels, 4, 6])
}

for (const kind of ['scripted', 'traced'] as const) {
  for (const execution of ['auto', 'hooked'] as const) {
    test.serial(`${kind}, ${execution}: a function gives the maps of the named reshape`, async (t) => {
      for (const [net, layers, name, reshape, methods] of [
        [
          'vit',
          ['blocks.0.norm1', 'blocks.1.norm1'],
          'vit',
          positions,
          ['gradcam', 'layercam', 'eigencam', 'shapleycam', 'scorecam'],
        ],
        ['channels_last', ['stage'], 'swin', (x: Tensor) => x.permute([0, 3, 1, 2]), ['hirescam', 'xgradcam']],
      ] as const) {
        using model = await ScriptModule.load(nets.file(net, kind))
        using input = toTensor(nets.input(net))
        const options = { layers, methods, execution, compat: 'captum' } as const
        using named = new Cam(model, { ...options, reshape: name })
        using expected = await named.explain(input, { target: 1 })
        const before = await heldTensors()
        {
          using cam = new Cam(model, { ...options, reshape })
          using found = await cam.explain(input, { target: 1 })
          for (const layer of layers)
            for (const method of methods)
              assertParity(
                t,
                found.get(layer, method),
                values(expected.get(layer, method)),
                `${layer}, ${method}`,
                1e-6,
              )
        }
        t.is(liveTensors(), before, 'nothing is left of it')
      }
    })
  }
}

test.serial('GradCam and GuidedGradCam take it, and so do forward, backward and a target function', async (t) => {
  using model = await ScriptModule.load(nets.file('vit'))
  using input = toTensor(nets.input('vit'))
  const layer = 'blocks.0.norm1'
  using named = new GradCam(model, [layer], { reshape: 'vit' })
  using expected = await named.explain(input, { target: 1 })
  const seen: number[][] = []
  const reshape = (tokens: Tensor) => {
    seen.push([...tokens.shape])
    return positions(tokens)
  }
  using cam = new GradCam(model, [layer], { reshape })
  using found = await cam.explain(input, { target: (logits) => logits.select(1, 1).sum() })
  assertParity(t, found.cam, values(expected.cam), 'a target function', 1e-6)
  t.is(seen.length, 2, 'once for the activation, once for its gradient')
  t.deepEqual(seen[0], seen[1])
  using _logits = await cam.forward(input)
  await cam.backward(1)
  using map = cam.get(layer)
  assertParity(t, map, values(expected.cam), 'backward', 1e-6)
  t.deepEqual([...cam.activation(layer).shape], seen[0], 'the activation itself stays as the layer returned it')
  t.notThrows(() => new GuidedGradCam(model, { layer, reshape }).dispose())
})

test.serial('calls that overlap, and a busy event loop, do not meet', async (t) => {
  using model = await ScriptModule.load(nets.file('vit'))
  using input = toTensor(nets.input('vit'))
  using cam = new GradCam(model, ['blocks.0.norm1'], { reshape: positions })
  const all = await Promise.all(Array.from({ length: 4 }, (_, i) => cam.explain(input, { target: i % 3 })))
  using again = await cam.explain(input, { target: 0 })
  assertParity(t, all[0]!.cam, values(again.cam), 'the first', 1e-6)
  for (const found of all) found.dispose()
})

test.serial('what a function must not do is a typed error, and its own error comes out as it is', async (t) => {
  using model = await ScriptModule.load(nets.file('vit'))
  using input = toTensor(nets.input('vit'))
  const before = await heldTensors()
  const bad: [(tensor: Tensor) => unknown, { code?: string; message?: RegExp | string }][] = [
    [() => 7, { code: 'ERR_LAYER_OUTPUT', message: /returned 7/ }],
    [async (x) => x, { code: 'ERR_LAYER_OUTPUT', message: /synchronously/ }],
    [(x) => x.flatten(0), { code: 'ERR_LAYER_OUTPUT', message: /\[N, C, h, w\]/ }],
    [(x) => x.gt(0), { code: 'ERR_LAYER_OUTPUT', message: /floating-point/ }],
    [(x) => x.reshape([1, 1, 2]), { code: 'ERR_TORCH' }],
    [
      () => {
        throw new RangeError('my own')
      },
      { message: 'my own' },
    ],
  ]
  for (const [reshape, expected] of bad) {
    using cam = new GradCam(model, ['blocks.0.norm1'], { reshape: reshape as Reshape })
    await t.throwsAsync(cam.explain(input), expected, String(reshape))
  }
  let calls = 0
  const uneven = (x: Tensor) => (calls++ === 0 ? positions(x) : positions(x).slice(3, 1))
  using cam = new GradCam(model, ['blocks.0.norm1'], { reshape: uneven })
  await t.throwsAsync(cam.explain(input), { code: 'ERR_LAYER_OUTPUT', message: /for its gradient/ })
  t.throws(() => new Cam(model, { layers: ['blocks.0'], methods: ['ablationcam'], reshape: positions }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /Ablation-CAM/,
  })
  t.is(liveTensors(), before)
})

test.serial('closing the explainer while the function is needed is safe', async (t) => {
  using model = await ScriptModule.load(nets.file('vit'))
  using input = toTensor(nets.input('vit'))
  const cam = new GradCam(model, ['blocks.0.norm1'], { reshape: positions })
  const controller = new AbortController()
  const running = cam.explain(input, { target: 1 })
  const stopped = cam.explain(input, { target: 1, signal: controller.signal })
  cam.close()
  controller.abort(new Error('enough'))
  using found = await running
  t.deepEqual([...found.cam.shape], [3, 1, 4, 6])
  await t.throwsAsync(stopped, { message: 'enough' })
})
