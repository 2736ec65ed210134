import test from 'ava'
import {
  Cam,
  imagenet,
  InputAttribution,
  liveTensors,
  loadImage,
  ScriptModule,
  type InputAttributionOptions,
} from '../../lib/index.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const sample = 'samples/animals-densenet.pt'

/** What was told of the runs. */
type Told = (readonly [done: number, total: number])[]

const grows = (told: Told): boolean => told.every(([done], i) => done > (told[i - 1]?.[0] ?? 0))

test.serial('Score-CAM and Ablation-CAM tell how many of their runs are done, one chunk after another', async (t) => {
  using model = await ScriptModule.load(sample)
  using image = await loadImage('samples/cat_dog.png', { size: [224, 224], normalize: imagenet })
  for (const methods of [['scorecam'], ['ablationcam', 'scorecam']] as const) {
    const told: Told = []
    const onProgress = (done: number, total: number): void => void told.push([done, total])
    using cam = new Cam(model, { layers: ['features'], methods, chunkSize: 2 })
    using found = await cam.explain(image, { target: 0, onProgress })
    using _map = found.get('features', 'scorecam')
    t.true(told.length >= 2, `the runs were over before anybody looked: ${told.length}`)
    t.true(grows(told), JSON.stringify(told))
    using plain = new Cam(model, { layers: ['features'] })
    using _logits = await plain.forward(image)
    await plain.backward(0)
    using activation = plain.activation('features')
    const most = methods.length * ((activation.shape[1] as number) + 1)
    for (const [done, total] of told) t.true(done <= total && total <= most, `${done} of ${total}, at most ${most}`)
  }
})

test.serial('integrated gradients and noisy copies tell of each run', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  const images = input.shape[0] as number
  const of = async (options: InputAttributionOptions): Promise<Told> => {
    const told: Told = []
    using explainer = new InputAttribution(model, options)
    using _found = await explainer.explain(input, { target: 1, onProgress: (...runs) => void told.push(runs) })
    return told
  }
  const batchSize = 2 * images
  t.deepEqual(await of({ method: 'integrated-gradients', steps: 5, batchSize }), [
    [2, 5],
    [4, 5],
    [5, 5],
  ])
  t.deepEqual(await of({ method: 'saliency', smooth: { samples: 3 }, batchSize }), [
    [2, 3],
    [3, 3],
  ])
  const both = await of({ method: 'integrated-gradients', steps: 4, smooth: { samples: 3 }, batchSize })
  t.deepEqual(both.at(-1), [12, 12])
  t.true(grows(both))
  t.deepEqual(await of({ method: 'saliency' }), [], 'one run is not told of')
})

test.serial('an error of the callback ends the call, whichever way it comes, and nothing is left behind', async (t) => {
  using small = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  const fails = [
    () => {
      throw new Error('enough')
    },
    async () => await Promise.reject(new Error('enough')),
  ]
  const before = await heldTensors()
  for (const onProgress of fails) {
    using explainer = new InputAttribution(small, { method: 'integrated-gradients', steps: 5 })
    await t.throwsAsync(explainer.explain(input, { target: 1, onProgress }), { message: 'enough' })
  }
  t.is(await settledLiveTensors(before), before)

  using model = await ScriptModule.load(sample)
  using image = await loadImage('samples/cat_dog.png', { size: [224, 224], normalize: imagenet })
  const held = liveTensors()
  for (const onProgress of fails) {
    using cam = new Cam(model, { layers: ['features'], methods: ['scorecam'], chunkSize: 1 })
    await t.throwsAsync(cam.explain(image, { target: 0, onProgress }), { message: 'enough' })
  }
  t.is(await settledLiveTensors(held), held)
})
