import test, { type ExecutionContext } from 'ava'
import sharp from 'sharp'
import {
  BatchExplanation,
  Cam,
  createServer,
  explainAll,
  GradCam,
  InputAttribution,
  imagenet,
  loadImage,
  methods,
  type Tensor,
} from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import { jpegOf } from '../support/batch.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import {
  catDog,
  explained,
  listening,
  metric,
  post,
  refused,
  sampleServed,
  type ExplainAnswer,
} from '../support/server.js'
import { unusualNets } from '../support/unusual-nets.js'

const served = await sampleServed()
const { model, labels } = served
test.after.always(() => model.dispose())

// `squash` is what loadImage does with a size and ImageNet's normalisation.
const direct = (bytes: Uint8Array): Promise<Tensor> => loadImage(bytes, { size: [224, 224], normalize: imagenet })

/** Norm of the difference over the norm. */
function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, norm] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    difference += ((found[i] as number) - (expected[i] as number)) ** 2
    norm += (expected[i] as number) ** 2
  }
  return Math.sqrt(difference / norm)
}

const valuesOf = (tensor: Tensor): Float32Array => tensor.toTypedArray() as Float32Array

/** @returns how far the map is from what is expected */
function isMap(t: ExecutionContext, answer: ExplainAnswer, index: number, expected: Tensor, tolerance: number): number {
  const map = answer.maps[index]
  t.deepEqual([map?.height, map?.width], expected.shape.slice(2))
  const off = distance(map?.values ?? [], valuesOf(expected))
  t.true(off <= tolerance, `map ${index} differs by ${off}`)
  return off
}

test.serial('an image alone is answered with what the explainer gives, bit for bit', async (t) => {
  const { address } = await listening(t, { models: { animals: served } })
  using gradCam = new GradCam(model, ['features'])
  using input = await direct(catDog)
  for (const target of [0, 1]) {
    using expected = await gradCam.explain(input, { target })
    const answer = await explained(t, post(address, `?target=${labels[target]}`))
    t.like(answer, { model: 'animals', size: [448, 448], outputs: 8 })
    t.deepEqual(answer.region, { top: 0, left: 0, bottom: 448, right: 448 })
    t.like(answer.maps[0], { method: 'gradcam', layer: 'features', class: target, label: labels[target] as string })
    t.is(answer.maps[0]?.score, expected.scores[0])
    isMap(t, answer, 0, expected.cam, 0)
    const logits = Array.from(valuesOf(expected.output))
    const order = logits.map((_, i) => i).sort((a, b) => (logits[b] as number) - (logits[a] as number))
    t.deepEqual(
      answer.top.map((one) => one.class),
      order.slice(0, 5),
    )
    t.deepEqual(
      answer.top.map((one) => one.label),
      order.slice(0, 5).map((index) => labels[index] as string),
    )
  }
})

test.serial(
  'a layer that returns several tensors is explained by its part, of the query, the JSON and the server',
  async (t) => {
    const nets = await unusualNets('part_nets.py')
    using pyramid = await nets.load('dict-pyramid')
    const { one } = nets.batch('dict-pyramid')
    const array = toNpy(valuesOf(one), one.shape)
    const { shape, data } = nets.value('dict-pyramid', 'fine')
    const [, , height, width] = shape as unknown as [number, number, number, number]
    // By eager PyTorch, of the first image, without its negative values.
    const expected = Float32Array.from((data as Float32Array).subarray(0, height * width), (value) =>
      Math.max(0, value),
    )
    const isFineMap = async (answer: Promise<Response>): Promise<void> => {
      const [map] = (await explained(t, answer)).maps
      t.deepEqual([map?.height, map?.width], [height, width])
      t.true(distance(map?.values ?? [], expected) < 1e-5)
    }
    const models = { pyramid: { model: pyramid, layer: 'body', part: 'fine' }, bare: pyramid }
    const { address } = await listening(t, { models })
    const of = (settings: unknown): string =>
      `?model=bare&layer=body&target=1&settings=${encodeURIComponent(JSON.stringify(settings))}`
    await isFineMap(post(address, of({ part: 'fine' }), array))
    await isFineMap(post(address, '?model=pyramid&target=1', array))
    const uploaded = await fetch(`${address}/v1/images`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(array),
    })
    const { image } = (await uploaded.json()) as { image: string }
    const body = { image, model: 'bare', layer: 'body', target: 1, settings: { part: ['fine'], call: 0 } }
    const init = { headers: { 'content-type': 'application/json' } }
    await isFineMap(post(address, '', Buffer.from(JSON.stringify(body)), init))
    await refused(t, await post(address, of({}), array), 422, 'ERR_LAYER_OUTPUT')
    await refused(t, await post(address, of({ part: 'none' }), array), 422, 'ERR_LAYER_OUTPUT')
    await refused(t, await post(address, of({ part: {} }), array), 400, 'ERR_INVALID_ARGUMENT')
    await refused(t, await post(address, of({}).replace(/settings=.*/, 'settings=part'), array), 400, 'ERR_REQUEST')
    await refused(t, await post(address, of({ call: 3, part: 'fine' }), array), 422, 'ERR_LAYER_NOT_REACHED')
    await t.throwsAsync(createServer({ models: { pyramid: { model: pyramid, part: 0 } } }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /models\.pyramid\.part/,
    })
  },
)

test.serial(
  'requests that arrive together share batches, each gets what it gets alone, and a bad one fails alone',
  async (t) => {
    const before = await heldTensors()
    const { address, server } = await listening(t, { models: { animals: served }, batchWindow: 200, maxBatch: 8 })
    const images = await Promise.all(Array.from({ length: 15 }, (_, seed) => jpegOf(seed)))
    const bodies = [...images.slice(0, 7), Buffer.from('not an image'), ...images.slice(7)]
    const answers = await Promise.all(bodies.map((body, i) => post(address, i % 3 === 0 ? '?target=2' : '', body)))
    await refused(t, answers[7] as Response, 422, 'ERR_IMAGE_CORRUPT')
    t.is(await metric(address, 'gradcam_batch_images_sum'), images.length)
    const batches = await metric(address, 'gradcam_batch_images_count')
    t.true(batches <= 6, `${images.length} images in ${batches} batches`)
    using gradCam = new GradCam(model, ['features'])
    let worst = 0
    for (const [i, body] of bodies.entries()) {
      if (i === 7) continue
      const answer = await explained(t, Promise.resolve(answers[i] as Response))
      using input = await direct(body)
      using expected = await gradCam.explain(input, i % 3 === 0 ? { target: 2 } : {})
      t.is(answer.maps[0]?.class, expected.targets[0])
      t.true(Math.abs((answer.maps[0]?.score ?? NaN) - (expected.scores[0] as number)) < 1e-5)
      // The kernels of LibTorch sum in another order for other sizes of a batch: rounding of float32, 6e-8, through 30 layers.
      worst = Math.max(worst, isMap(t, answer, 0, expected.cam, 1e-5))
    }
    t.log(`largest difference from an image alone: ${worst.toExponential(1)}`)
    await server.close()
    t.is(await settledLiveTensors(before), before)
  },
)

test.serial(
  'a request that is alone does not wait for the end of the window; all its maps share a batch',
  async (t) => {
    const batchWindow = 9000
    const { address } = await listening(t, { models: { animals: served }, batchWindow, deadline: 60_000 })
    // Among those before it is the image that the model was prepared with.
    const began = performance.now()
    await explained(t, post(address, ''))
    await explained(t, post(address, '?target=0&target=1&target=2'))
    t.true(performance.now() - began < batchWindow)
    t.is(await metric(address, 'gradcam_batch_images_count'), 2)
    t.is(await metric(address, 'gradcam_batch_images_sum'), 4)
  },
)

test.serial('several methods, layers and targets come in the order of the request', async (t) => {
  const { address } = await listening(t, { models: { animals: served } })
  const [deep, shallow] = ['features', 'features.denseblock2']
  const query = `?method=saliency&method=layercam&method=gradcam&layer=${deep}&layer=${shallow}&target=dog&target=0`
  const answer = await explained(t, post(address, query))
  t.deepEqual(
    answer.maps.map((map) => [map.method, map.layer, map.class]),
    [
      ...[1, 0].map((target) => ['saliency', null, target]),
      ...['layercam', 'gradcam'].flatMap((method) =>
        [deep, shallow].flatMap((layer) => [1, 0].map((target) => [method, layer, target])),
      ),
    ],
  )
  using input = await direct(catDog)
  using cam = new Cam(model, { layers: [deep, shallow], methods: ['gradcam', 'layercam'] })
  using saliency = new InputAttribution(model, { method: 'saliency' })
  for (const target of [1, 0]) {
    using maps = await cam.explain(input, { target })
    for (const [index, map] of answer.maps.entries())
      if (map.class === target && map.layer !== null)
        // Both targets were rows of one batch.
        isMap(t, answer, index, maps.get(map.layer, map.method as 'gradcam'), 1e-5)
    using found = await saliency.explain(input, { target })
    using mean = found.attribution.mean(1, true)
    isMap(t, answer, target === 1 ? 0 : 1, mean, 1e-5)
  }
})

test.serial('other methods, and a look at the layers, leave the bits of an image alone as they are', async (t) => {
  const { address } = await listening(t, { models: { animals: served } })
  using gradCam = new GradCam(model, ['features'])
  using input = await direct(catDog)
  using expected = await gradCam.explain(input, { target: 0 })
  const others = ['layercam', 'xgradcam', 'guided-backprop', 'eigencam', 'saliency']
  // Each begins before the image is decoded, and so runs beside it.
  const beside = [
    fetch(`${address}/v1/models/animals/layers`),
    ...others.map((name) => post(address, `?method=${name}`)),
  ]
  for (let round = 0; round < 2 * others.length; round++) {
    const answer = await explained(t, post(address, '?target=0'))
    t.is(answer.maps[0]?.score, expected.scores[0], `round ${round}`)
    isMap(t, answer, 0, expected.cam, 0)
    beside.push(post(address, `?method=${others[round % others.length]}`))
  }
  for (const reply of await Promise.all(beside)) t.is(reply.status, 200)
})

test.serial('formats: .npy has the same numbers, and images are what the library draws', async (t) => {
  const { address } = await listening(t, { models: { animals: served } })
  const plain = await explained(t, post(address))
  const npy = await explained(t, post(address, '?format=npy'))
  t.is(npy.maps[0]?.values, undefined)
  const numpy = Buffer.from(npy.maps[0]?.npy ?? '', 'base64')
  t.is(numpy.subarray(1, 6).toString('latin1'), 'NUMPY')
  const header = numpy.subarray(10, 10 + numpy.readUInt16LE(8)).toString('latin1')
  t.true(header.includes("'<f4'") && header.includes(`(${plain.maps[0]?.height}, ${plain.maps[0]?.width})`), header)
  const data = numpy.subarray(10 + numpy.readUInt16LE(8))
  const numbers = Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i))
  t.deepEqual(numbers, [...(plain.maps[0]?.values ?? [])])

  const options = { model, layer: 'features', preprocess: 'squash', batchSize: 1 } as const
  for await (const result of explainAll([new Uint8Array(catDog)], options)) {
    if (!(result instanceof BatchExplanation)) throw result.error
    for (const [format, file] of [
      ['png', 'overlay-png'],
      ['webp', 'overlay-webp'],
      ['jpeg', 'overlay'],
    ] as const) {
      const reply = await post(address, `?format=${format}&alpha=0.25`)
      t.is(reply.headers.get('content-type'), `image/${format}`)
      t.is(reply.headers.get('gradcam-class'), String(result.target))
      t.is(Number(reply.headers.get('gradcam-score')), result.score)
      t.is(reply.headers.get('gradcam-condition'), 'ok')
      const bytes = Buffer.from(await reply.arrayBuffer())
      t.deepEqual(bytes, await result.encode(file, { alpha: 0.25 }))
      const { width, height, format: kind } = await sharp(bytes).metadata()
      t.deepEqual([width, height, kind], [448, 448, format])
    }
    result.dispose()
  }
  await refused(t, post(address, '?format=png&target=0&target=1'), 400, 'ERR_INVALID_ARGUMENT')
})

test.serial('a form: options as JSON go before those of the query', async (t) => {
  const { address } = await listening(t, { models: { animals: served } })
  const form = (options?: string, file = new Blob([new Uint8Array(catDog)])): FormData => {
    const made = new FormData()
    if (options !== undefined) made.set('options', options)
    made.set('image', file, '../../etc/passwd')
    return made
  }
  const send = (query: string, body: FormData): Promise<Response> =>
    fetch(`${address}/v1/explain${query}`, { method: 'POST', body })
  const target = { kind: 'difference', class: 0, minus: 1 } as const
  const answer = await explained(t, send('?target=3&method=layercam', form(JSON.stringify({ target }))))
  t.is(answer.maps[0]?.method, 'layercam')
  using cam = new Cam(model, { layers: ['features'], methods: ['layercam'] })
  using input = await direct(catDog)
  using expected = await cam.explain(input, { target })
  t.is(answer.maps[0]?.score, expected.scores[0])
  isMap(t, answer, 0, expected.get('features', 'layercam'), 0)

  const asQuery = await explained(t, send('?target=3', form()))
  t.is(asQuery.maps[0]?.class, 3)
  await refused(t, send('', form('{"target"')), 400, 'ERR_REQUEST')
  await refused(t, send('', form('[1]')), 400, 'ERR_REQUEST')
  t.regex((await refused(t, send('', form('{"tarjet":1}')), 400, 'ERR_INVALID_ARGUMENT')).detail ?? '', /'target'/)
  await refused(t, send('', form('{"alpha":"much"}')), 400, 'ERR_INVALID_ARGUMENT')
  await refused(t, send('', form('{"target":{"kind":"wish"}}')), 422, 'ERR_TARGET')
  const two = form()
  two.append('image', new Blob(['x']), 'b.png')
  await refused(t, send('', two), 400, 'ERR_REQUEST')
  const other = form()
  other.set('comment', 'x')
  await refused(t, send('', other), 400, 'ERR_REQUEST')
  const none = new FormData()
  none.set('options', '{}')
  await refused(t, send('', none), 400, 'ERR_REQUEST')
  const cut = `--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\nhalf`
  const headers = { 'content-type': 'multipart/form-data; boundary=x' }
  await refused(t, fetch(`${address}/v1/explain`, { method: 'POST', headers, body: cut }), 400, 'ERR_REQUEST')
})

test.serial(
  'an image that was uploaded is explained as if it had come along, until others need its place',
  async (t) => {
    const small = await jpegOf(1)
    const { address } = await listening(t, { models: { animals: served }, uploads: catDog.length + small.length })
    const upload = async (body: Uint8Array): Promise<string> => {
      const reply = await fetch(`${address}/v1/images`, { method: 'POST', body: new Uint8Array(body) })
      t.is(reply.status, 200)
      const { image, bytes } = (await reply.json()) as { image: string; bytes: number }
      t.is(bytes, body.length)
      return image
    }
    const ask = (options: object): Promise<Response> =>
      post(address, '', Buffer.from(JSON.stringify(options)), { headers: { 'content-type': 'application/json' } })
    const first = await upload(catDog)
    const along = await explained(t, post(address, '?target=dog'))
    t.deepEqual(await explained(t, ask({ image: first, target: 'dog' })), along)
    const second = await upload(small)
    t.not(first, second)
    await explained(t, ask({ image: first })) // used after the second, which goes before it
    const third = await upload(small)
    await refused(t, ask({ image: second }), 404, 'ERR_UPLOAD_NOT_FOUND')
    await explained(t, ask({ image: first }))
    await explained(t, ask({ image: third, format: 'npy' }))
    await refused(t, ask({ image: first, tarjet: 1 }), 400, 'ERR_INVALID_ARGUMENT')
    const large = new Uint8Array(catDog.length + small.length + 1)
    await refused(t, fetch(`${address}/v1/images`, { method: 'POST', body: large }), 413, 'ERR_REQUEST_TOO_LARGE')
  },
)

test.serial('what is wrong with a request is said by a code, a status and a sentence', async (t) => {
  const { address } = await listening(t, { models: { animals: served }, methods: ['gradcam', 'saliency'] })
  const cases: [query: string, status: number, code: string, detail: RegExp][] = [
    ['?metod=gradcam', 400, 'ERR_INVALID_ARGUMENT', /'metod'.*'method'/],
    ['?method=gradcm', 400, 'ERR_INVALID_ARGUMENT', /one of gradcam/],
    ['?method=rise', 403, 'ERR_METHOD', /rise/],
    ['?format=gif', 400, 'ERR_INVALID_ARGUMENT', /format/],
    ['?alpha=2', 400, 'ERR_INVALID_ARGUMENT', /alpha/],
    ['?model=animal', 404, 'ERR_MODEL_NOT_FOUND', /'animals'/],
    ['?layer=feature', 404, 'ERR_LAYER_NOT_FOUND', /features/],
    ['?method=saliency&layer=features', 400, 'ERR_INVALID_ARGUMENT', /layer/],
    ['?target=cow', 422, 'ERR_TARGET', /cow/],
    ['?target=8', 422, 'ERR_TARGET_OUT_OF_RANGE', /8/],
    [`?${Array.from({ length: 65 }, (_, i) => `target=${i % 8}`).join('&')}`, 400, 'ERR_INVALID_ARGUMENT', /64/],
  ]
  for (const [query, status, code, detail] of cases)
    t.regex((await refused(t, post(address, query), status, code)).detail ?? '', detail, query)
  await refused(t, post(address, '', Buffer.alloc(0)), 400, 'ERR_REQUEST')
  await refused(t, post(address, '', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')), 415, 'ERR_IMAGE_SVG')
  const asJson = { headers: { 'content-type': 'application/json' } }
  await refused(t, post(address, '', Buffer.from('{"image":"/etc/passwd"}'), asJson), 404, 'ERR_UPLOAD_NOT_FOUND')
  await refused(t, post(address, '', Buffer.from('{"target":1}'), asJson), 400, 'ERR_REQUEST')
  await refused(t, post(address, '', Buffer.from('"x"'), asJson), 400, 'ERR_REQUEST')
  await refused(t, post(address, '', undefined, { headers: { 'content-type': 'text/plain' } }), 415, 'ERR_MEDIA_TYPE')
  await refused(t, fetch(`${address}/v1/explain`, { method: 'POST' }), 415, 'ERR_MEDIA_TYPE')
  await refused(t, fetch(`${address}/v2/explain`), 404, 'ERR_ROUTE')
  await refused(t, fetch(`${address}/v1/models/no/layers`), 404, 'ERR_MODEL_NOT_FOUND')
})

test.serial('models, layers, methods and the description of the API say what there is', async (t) => {
  const { address } = await listening(t, {
    models: { animals: served, again: { model, layer: 'features.denseblock1' } },
  })
  const get = async <Body>(path: string): Promise<Body> => {
    const reply = await fetch(address + path)
    t.is(reply.status, 200, path)
    return (await reply.json()) as Body
  }
  const { models } = await get<{ models: Record<string, unknown>[] }>('/v1/models')
  t.like(models[0], { name: 'animals', isDefault: true, defaultLayer: 'features', size: [224, 224] })
  t.like(models[1], { name: 'again', isDefault: false, defaultLayer: 'features.denseblock1', labels: null })
  const { layers } = await get<{ layers: { path: string; output: string; isDefault: boolean }[] }>(
    '/v1/models/animals/layers',
  )
  t.deepEqual(
    layers.map(({ path }) => path),
    model.namedModules().flatMap(({ path }) => (path === '' ? [] : [path])),
  )
  t.like(layers[0], { path: 'features', output: '[1, 192, 14, 14]', suggested: true, isDefault: true })
  const listed = await get<{ methods: { name: string; formula: string }[] }>('/v1/methods')
  t.deepEqual(
    listed.methods.map(({ name }) => name),
    Object.keys(methods),
  )
  t.is(listed.methods[0]?.formula, methods.gradcam.formula)

  interface Api {
    readonly openapi: string
    readonly paths: Record<
      string,
      Record<string, { parameters: { name: string; schema: { items?: { enum?: string[] } } }[] }>
    >
  }
  const api = await get<Api>('/openapi.json')
  t.is(api.openapi, '3.1.0')
  for (const path of Object.keys(api.paths))
    if (api.paths[path]?.['get']) t.is((await fetch(address + path.replace('{name}', 'animals'))).status, 200, path)
  // What validates is what is described: each of the described options is taken, and each described method is known.
  const parameters = api.paths['/v1/explain']?.['post']?.parameters ?? []
  t.deepEqual(
    parameters.map(({ name }) => name),
    ['model', 'method', 'layer', 'target', 'of', 'settings', 'inputs', 'top', 'format', 'alpha'],
  )
  t.deepEqual(parameters[1]?.schema.items?.enum, Object.keys(methods))
  const page = await fetch(`${address}/`)
  t.regex(page.headers.get('content-type') ?? '', /^text\/html/)
  t.regex(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
  t.deepEqual(
    Object.keys(api.paths).filter((path) => !/^\/(?:v1\/|healthz$|readyz$|metrics$|openapi.json$|$)/.test(path)),
    [],
    'files of the page are not part of the API',
  )
})
