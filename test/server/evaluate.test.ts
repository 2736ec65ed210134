import test from 'ava'
import sharp from 'sharp'
import { Cam, Deletion, imagenet, InputAttribution, Insertion, loadImage } from '../../lib/index.js'
import { catDog, explained, listening, post, refused, sampleServed } from '../support/server.js'

const served = await sampleServed()
const { model } = served
test.after.always(() => model.dispose())
const models = { animals: served }

interface Measured {
  readonly value: number
  readonly curve: readonly number[]
}
interface EvaluatedAnswer {
  readonly points: readonly number[]
  readonly maps: readonly {
    readonly method: string
    readonly class: number
    readonly results: { readonly insertion?: Measured; readonly deletion?: Measured } | null
  }[]
}

const send = (address: string, path: string, options: object, bytes: Uint8Array = catDog): Promise<Response> => {
  const body = new FormData()
  body.set('options', JSON.stringify(options))
  body.set('image', new Blob([new Uint8Array(bytes)]))
  return fetch(`${address}/v1/${path}`, { method: 'POST', body })
}
const direct = () => loadImage(catDog, { size: [224, 224], normalize: imagenet })

test.serial(
  'an evaluation has the curves of the metrics of the library, for a class and for a difference',
  async (t) => {
    const { address } = await listening(t, { models })
    const difference = { kind: 'difference', class: 1, minus: 0 } as const
    const reply = await send(address, 'evaluate', {
      method: ['gradcam', 'layercam'],
      target: [1, difference],
      steps: 10,
    })
    t.is(reply.status, 200)
    const answer = (await reply.json()) as EvaluatedAnswer
    t.deepEqual(answer.points, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    t.deepEqual(
      answer.maps.map(({ method, class: index }) => [method, index]),
      [
        ['gradcam', 1],
        ['gradcam', 1],
        ['layercam', 1],
        ['layercam', 1],
      ],
    )
    using input = await direct()
    using cam = new Cam(model, { layers: ['features'], methods: ['gradcam', 'layercam'] })
    for (const [at, target] of [1, difference].entries()) {
      using found = await cam.explain(input, { target })
      for (const [row, method] of (['gradcam', 'layercam'] as const).entries())
        for (const [name, Metric] of [
          ['insertion', Insertion],
          ['deletion', Deletion],
        ] as const) {
          using metric = new Metric(model, { steps: 10 })
          await metric.add(input, found.get('features', method), { targets: target })
          const { mean, curve } = metric.result()
          const measured = answer.maps[2 * row + at]?.results?.[name]
          // Probabilities and differences of logits; the pixels' order is that of the same floats, so that rounding alone is left.
          t.true(
            Math.abs((measured?.value ?? NaN) - mean) < 1e-4,
            `${method} ${name}: ${measured?.value} is not ${mean}`,
          )
          t.is(measured?.curve.length, 11)
          for (const [k, score] of curve.entries())
            t.true(Math.abs((measured?.curve[k] ?? NaN) - score) < 1e-3, `${method} ${name} at ${k}`)
        }
    }
    const one = (await (await send(address, 'evaluate', { metric: 'deletion', steps: 2 })).json()) as EvaluatedAnswer
    t.deepEqual(Object.keys(one.maps[0]?.results ?? {}), ['deletion'])
  },
)

test.serial('what an evaluation cannot be is refused', async (t) => {
  const { address } = await listening(t, { models, methods: ['gradcam'] })
  await refused(t, send(address, 'evaluate', { steps: 0 }), 400, 'ERR_INVALID_ARGUMENT')
  await refused(t, send(address, 'evaluate', { metric: 'road' }), 400, 'ERR_INVALID_ARGUMENT')
  await refused(t, send(address, 'evaluate', { format: 'png' }), 400, 'ERR_INVALID_ARGUMENT')
  await refused(t, send(address, 'evaluate', { method: 'layercam' }), 403, 'ERR_METHOD')
  await refused(t, send(address, 'evaluate', {}, Buffer.from('torn')), 422, 'ERR_IMAGE_CORRUPT')
  const target = Array.from({ length: 17 }, (_, i) => i % 8)
  t.regex((await refused(t, send(address, 'evaluate', { target }), 400, 'ERR_INVALID_ARGUMENT')).detail ?? '', /16/)
})

test.serial('settings of methods are those of the library, and a request has its own', async (t) => {
  const { address } = await listening(t, { models })
  const method = ['integrated-gradients', 'gradcam']
  const answer = await explained(t, send(address, 'explain', { method, settings: { steps: 7, eigenSmooth: true } }))
  using input = await direct()
  using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 7 })
  using cam = new Cam(model, { layers: ['features'], methods: ['gradcam'], eigenSmooth: true })
  using found = await integrated.explain(input)
  using mean = found.attribution.mean(1, true)
  using smooth = await cam.explain(input)
  for (const [index, expected] of [mean, smooth.get('features', 'gradcam')].entries()) {
    const values = answer.maps[index]?.values ?? []
    const reference = expected.toTypedArray() as Float32Array
    const norm = Math.hypot(...reference)
    // See answers.test.ts.
    t.true(Math.hypot(...reference.map((value, i) => value - (values[i] as number))) <= 1e-5 * norm, method[index])
  }
  const plain = await explained(t, post(address))
  t.notDeepEqual(plain.maps[0]?.values, answer.maps[1]?.values)
  const wrong: [settings: object, detail: RegExp][] = [
    [{ steps: 0 }, /steps/],
    [{ masks: 5 }, /masks/],
    [{ stepz: 5 }, /'stepz'.*'steps'/],
    [{ inputs: [null] }, /inputs/],
    [{ steps: 100_000 }, /steps/],
  ]
  for (const [settings, detail] of wrong)
    t.regex(
      (await refused(t, send(address, 'explain', { method, settings }), 400, 'ERR_INVALID_ARGUMENT')).detail ?? '',
      detail,
    )
})

test.serial('as many of the highest classes as are asked for', async (t) => {
  const { address } = await listening(t, { models })
  const all = await explained(t, post(address, '?top=1000'))
  const classes = all.top.map((one) => one.class)
  t.deepEqual(
    classes.toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7],
  )
  t.true(Math.abs(all.top.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6)
  t.deepEqual((await explained(t, post(address, '?top=2'))).top, all.top.slice(0, 2))
  t.is((await explained(t, post(address))).top.length, 5)
  await refused(t, post(address, '?top=0'), 400, 'ERR_INVALID_ARGUMENT')
})

test.serial('the window says where maps lie, also beyond an image that was padded', async (t) => {
  const padded = { ...served, preprocess: { resize: { fit: [224, 224] }, crop: [224, 224] } }
  const { address } = await listening(t, { models: { padded, cut: { ...served, preprocess: 'imagenet' } } })
  const wide = await sharp({ create: { width: 400, height: 200, channels: 3, background: '#888' } })
    .png()
    .toBuffer()
  interface Placed {
    readonly region: object
    readonly window: object
  }
  const place = async (query: string) => (await explained(t, post(address, query, wide))) as unknown as Placed
  // 400 x 200 becomes 224 x 112, with 56 rows of padding above and below: 100 of the image.
  const outside = await place('')
  t.deepEqual(outside.region, { top: 0, left: 0, bottom: 200, right: 400 })
  t.deepEqual(outside.window, { top: -100, left: 0, bottom: 300, right: 400 })
  // 400 x 200 becomes 512 x 256, of which the middle 224 x 224 are seen.
  const inside = await place('?model=cut')
  const scale = 200 / 256
  t.deepEqual(inside.window, { top: 16 * scale, left: 144 * scale, bottom: 240 * scale, right: 368 * scale })
})
