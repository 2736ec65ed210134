import test from 'ava'
import {
  explainAll,
  GradCam,
  GuidedBackprop,
  InputAttribution,
  InputPerturbation,
  ScriptModule,
  Tensor,
  type CallOptions,
  type ForwardHook,
  type ForwardPreHook,
  type FullBackwardHook,
  type Model,
  type ModelCapabilities,
  type RandomizedOptions,
  type Value,
} from '../../lib/index.js'
import { defaultLayer } from '../../lib/model/default-layer.js'
import { smallNets } from '../support/models.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()

/** Another implementation of the interface, as one of another format would be: no ScriptModule, but with one inside. */
class Wrapped implements Model {
  readonly dtype
  readonly device

  constructor(
    private readonly inner: Model,
    readonly capabilities: ModelCapabilities = inner.capabilities,
  ) {
    this.dtype = inner.dtype
    this.device = inner.device
  }

  get handle() {
    return this.inner.handle
  }
  namedModules = () => this.inner.namedModules()
  forward<Output extends Value = Tensor>(inputs: Value | readonly Value[], options?: CallOptions): Promise<Output> {
    return this.inner.forward(inputs, options)
  }
  splitMemory = () => this.inner.splitMemory()
  randomized = async (options?: RandomizedOptions) => new Wrapped(await this.inner.randomized(options))
  checkLayer = (path: string) => this.inner.checkLayer(path)
  registerForwardPreHook = (path: string, hook: ForwardPreHook) => this.inner.registerForwardPreHook(path, hook)
  registerForwardHook = (path: string, hook: ForwardHook) => this.inner.registerForwardHook(path, hook)
  registerFullBackwardHook = (path: string, hook: FullBackwardHook) => this.inner.registerFullBackwardHook(path, hook)
  dispose = () => this.inner.dispose();
  [Symbol.dispose] = () => this.inner.dispose()
}

test('a model says what it can do, and the type of its parameters', async (t) => {
  const of = async (file: string) => {
    using model = await ScriptModule.load(file)
    return [model.device, model.dtype, model.capabilities]
  }
  const all = { hookable: true, splittable: true, differentiable: true }
  t.deepEqual(await of(nets.file('plain')), ['cpu', 'float32', all])
  t.deepEqual(await of(nets.file('plain_double')), ['cpu', 'float64', all])
  t.deepEqual(await of(nets.variant('frozen')), ['cpu', 'float32', all])
  t.deepEqual(await of(nets.variant('frozen_arithmetic')), ['cpu', null, { ...all, hookable: false }])
})

test('explainers take any model', async (t) => {
  using inner = await ScriptModule.load(nets.file('plain'))
  using model = new Wrapped(inner)
  using input = toTensor(nets.input('plain'))
  const cam = async (of: Model) => {
    using gradCam = new GradCam(of, ['features'])
    using found = await gradCam.explain(input, { target: 0 })
    return found.cam.toTypedArray()
  }
  t.deepEqual(await cam(model), await cam(inner))
  t.is((await defaultLayer(model, input.shape)).path, (await defaultLayer(inner, input.shape)).path)
  using image = input.narrow(0, 0, 1)
  let results = 0
  for await (const result of explainAll([image], { model, method: 'gradient' })) {
    using _result = result
    if (!result.ok) throw result.error
    results++
  }
  t.is(results, 1)
})

test('what is not a model is refused before anything runs', async (t) => {
  for (const model of [undefined, null, 'model.pt', {}, [], { capabilities: {} }]) {
    const message = /must be a loaded/
    t.throws(() => new GradCam(model as never, ['features']), { code: 'ERR_INVALID_ARGUMENT', message })
    t.throws(() => explainAll([], { model: model as never }), { code: 'ERR_INVALID_ARGUMENT' })
  }
  const disposed = await ScriptModule.load(nets.file('plain'))
  disposed.dispose()
  t.throws(() => new GradCam(disposed, ['features']), { code: 'ERR_DISPOSED' })
})

test('a format without splits or gradients is refused where they are needed, and only there', async (t) => {
  using inner = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  const whole = new Wrapped(inner, { ...inner.capabilities, splittable: false })
  for (const options of [{ execution: 'split' }, { precision: 'bfloat16' }] as const)
    t.throws(() => new GradCam(whole, ['features'], options), { code: 'ERR_NOT_SPLITTABLE' })
  using gradCam = new GradCam(whole, ['features'])
  using found = await gradCam.explain(input, { target: 0 })
  t.true(found.cam.size > 0)

  const flat = new Wrapped(inner, { ...inner.capabilities, differentiable: false })
  t.throws(() => new GuidedBackprop(flat), { code: 'ERR_NO_GRADIENT' })
  t.throws(() => new InputAttribution(flat, { method: 'saliency' }), { code: 'ERR_NO_GRADIENT' })
  using occlusion = new InputPerturbation(flat, { method: 'occlusion', window: [3, 8, 8], stride: [3, 8, 8] })
  using occluded = await occlusion.explain(input, { target: 0 })
  t.deepEqual([...occluded.attribution.shape], [...input.shape])
})

test('a randomized copy outlives the model that it was made from', async (t) => {
  using input = toTensor(nets.input('plain'))
  const copies: ScriptModule[] = []
  const outputs = []
  for (const dispose of [false, true]) {
    const model = await ScriptModule.load(nets.file('plain'))
    const copy = await model.randomized({ seed: 3 })
    const again = await copy.randomized({ modules: ['features'], seed: 4 })
    if (dispose) for (const gone of [model, copy]) gone.dispose()
    else copies.push(model, copy)
    copies.push(again)
    using output = await again.forward(input)
    outputs.push(output.toTypedArray())
  }
  t.deepEqual(outputs[1], outputs[0])
  for (const copy of copies) copy.dispose()
})
