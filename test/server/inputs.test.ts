// Models with other inputs than the image: what requests and the server give them. See test/python/ways_in_nets.py and
// several_input_nets.py for the nets, and for their maps by eager PyTorch.
import test, { type ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tensor } from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { relativeError } from '../support/parity.js'
import { explained, listening, post, refused, type ExplainAnswer } from '../support/server.js'
import type { Values } from '../support/stored-tensor.js'
import { unusualNets, type UnusualNets } from '../support/unusual-nets.js'
import { main } from '../support/workplace.js'

const guided = await unusualNets('ways_in_nets.py')
const pairs = await unusualNets('several_input_nets.py')
const preprocess = { resize: [16, 24] } as const

const npyOf = (tensor: Tensor): Buffer => toNpy(tensor.contiguous().toTypedArray() as Float32Array, tensor.shape)

/** The map of one image as eager PyTorch has it. */
function rowOf(nets: UnusualNets, name: string, key: string, row: number): Values['data'] {
  const { data, shape } = nets.value(name, key)
  const each = data.length / (shape[0] as number)
  return data.slice(row * each, (row + 1) * each)
}

function isMap(t: ExecutionContext, answer: ExplainAnswer, expected: Values['data'], what: string): void {
  t.true(relativeError(new Float32Array(answer.maps[0]?.values ?? []), expected) < 1e-5, what)
}

/** A request with its options as JSON beside the image. */
function ask(address: string, image: Uint8Array, options: object, path = 'explain'): Promise<Response> {
  const form = new FormData()
  form.set('options', JSON.stringify(options))
  form.set('image', new Blob([new Uint8Array(image)]))
  return fetch(`${address}/v1/${path}`, { method: 'POST', body: form })
}

async function upload(address: string, bytes: Uint8Array): Promise<string> {
  const headers = { 'content-type': 'application/octet-stream' }
  const reply = await fetch(`${address}/v1/images`, { method: 'POST', headers, body: new Uint8Array(bytes) })
  return ((await reply.json()) as { readonly image: string }).image
}

test.serial(
  'a request gives the other inputs: numbers, arrays and uploads, and shares batches with those of the same',
  async (t) => {
    using model = await guided.load('guided')
    const [x, mask] = guided.inputs('guided') as [Tensor, Tensor]
    const images = [0, 1].map((i) => npyOf(x.slice(0, i, i + 1)))
    const options = { models: { guided: { model, layer: 'stem', preprocess } }, batchWindow: 100 }
    const { address } = await listening(t, options)
    const described = (await (await fetch(`${address}/v1/models`)).json()) as { models: { inputs: string[] }[] }
    t.deepEqual(described.models[0]?.inputs, ['scale', 'image', 'mask'])
    const target = 1
    const uploaded = await upload(address, npyOf(mask))
    for (const inputs of [
      { scale: 2.5, mask: mask.tolist() },
      { 0: 2.5, 2: { image: uploaded } },
    ]) {
      const replies = images.map((image) => ask(address, image, { inputs, target }))
      for (const [i, reply] of replies.entries())
        isMap(t, await explained(t, reply), rowOf(guided, 'guided', 'class 1', i), JSON.stringify(Object.keys(inputs)))
    }
    const sizes = await (await fetch(`${address}/metrics`)).text()
    t.regex(sizes, /^gradcam_batch_images_sum\S* 4$/m)
    t.regex(sizes, /^gradcam_batch_images_count\S* 2$/m)
    const half = ask(address, images[0] as Buffer, { inputs: { scale: 0.5, mask: mask.tolist() }, target })
    isMap(t, await explained(t, half), rowOf(guided, 'guided', 'half', 0), 'another number')
    const query = `?target=1&inputs=${encodeURIComponent(JSON.stringify({ scale: 0.5, mask: { image: uploaded } }))}`
    isMap(t, await explained(t, post(address, query, images[0])), rowOf(guided, 'guided', 'half', 0), 'in the query')

    const one = images[0] as Buffer
    const wrong: [inputs: object, status: number, code: string, detail: RegExp][] = [
      [{ scal: 1, mask: mask.tolist() }, 400, 'ERR_INVALID_ARGUMENT', /no input 'scal'; it has scale, image, mask/],
      [{ scale: 1, image: 1, mask: 1 }, 400, 'ERR_INVALID_ARGUMENT', /none is left for the images/],
      [{ mask: mask.tolist(), image: 1 }, 422, 'ERR_', /./],
      [{ scale: 1, mask: [[1, 2], [3]] }, 400, 'ERR_SHAPE', /The input 'mask': .*/],
      [{ scale: 1, mask: [['a']] }, 400, 'ERR_', /The input 'mask': /],
      [{ scale: 1, mask: 'photo.png' }, 400, 'ERR_REQUEST', /'mask' must be a number.*'photo\.png'/],
      [{ scale: 1, mask: { image: 'nothing' } }, 404, 'ERR_UPLOAD_NOT_FOUND', /./],
    ]
    for (const [inputs, , code, detail] of wrong) {
      const reply = await ask(address, one, { inputs, target })
      const problem = (await reply.json()) as { code: string; detail: string }
      t.true(reply.status >= 400 && reply.status < 500, JSON.stringify([inputs, problem]))
      t.true(problem.code.startsWith(code), JSON.stringify(problem))
      t.regex(problem.detail, detail)
    }
    await refused(t, ask(address, one, { target }), 400, 'ERR_INVALID_ARGUMENT')
    await refused(t, ask(address, one, { inputs: [1], target }), 400, 'ERR_INVALID_ARGUMENT')
    const evaluated = ask(address, one, { inputs: { scale: 1, mask: mask.tolist() }, target }, 'evaluate')
    t.regex(
      (await refused(t, evaluated, 400, 'ERR_INVALID_ARGUMENT')).detail ?? '',
      /several inputs cannot be evaluated/,
    )
  },
)

test.serial('an image goes to the first input that is not given, and another image to the other', async (t) => {
  using model = await pairs.load('pair')
  const [left, right] = pairs.inputs('pair') as [Tensor, Tensor]
  const { address } = await listening(t, { models: { pair: { model, layer: 'encoder', preprocess } } })
  for (const [row] of [0, 1].entries()) {
    const both = [left, right].map((tensor) => npyOf(tensor.slice(0, row, row + 1)))
    for (const at of [0, 1]) {
      const other = await upload(address, both[1 - at] as Buffer)
      const options = { inputs: { [at === 0 ? 'right' : 'left']: { image: other } }, target: 1, settings: { call: at } }
      const answer = await explained(t, ask(address, both[at] as Buffer, options))
      isMap(t, answer, rowOf(pairs, 'pair', `cam ${at}`, row), `input ${at} of pair ${row}`)
    }
  }
})

test.serial('the server is told the other inputs: it picks a layer, and requests may give others', async (t) => {
  using model = await guided.load('guided')
  const [x, mask] = guided.inputs('guided') as [Tensor, Tensor]
  const image = npyOf(x.slice(0, 0, 1))
  const served = { model, preprocess, inputs: [2.5, null, mask] }
  const { address } = await listening(t, { models: { guided: served } })
  isMap(t, await explained(t, post(address, '?target=1', image)), rowOf(guided, 'guided', 'class 1', 0), 'as told')
  const half = ask(address, image, { inputs: { scale: 0.5 }, target: 1 })
  isMap(t, await explained(t, half), rowOf(guided, 'guided', 'half', 0), 'another scale')
  const layers = (await (await fetch(`${address}/v1/models/guided/layers`)).json()) as {
    layers: { path: string; isDefault: boolean }[]
  }
  t.is(layers.layers.find(({ isDefault }) => isDefault)?.path, 'stem')
  await refused(t, ask(address, image, { inputs: { image: 1 }, target: 1 }), 400, 'ERR_INVALID_ARGUMENT')
  await t.throwsAsync(listening(t, { models: { guided: { ...served, inputs: [2.5, mask] } } }), {
    code: 'ERR_INVALID_ARGUMENT',
  })
})

test.serial('gradcam serve --input', async (t) => {
  const folder = temporaryFolder(t)
  const [x, mask] = guided.inputs('guided') as [Tensor, Tensor]
  const file = join(folder, 'mask.npy')
  writeFileSync(file, npyOf(mask))
  const inputs = ['--input', 'scale=2.5', '--input', `mask=${file}`]
  const net = ['--model', guided.file('guided'), '--preprocess', '{"resize":[16,24],"crop":null}']
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', ...net, ...inputs])
  t.teardown(() => void child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [Buffer | number]
  t.true(Buffer.isBuffer(said), errors)
  const address = String(said).slice('listening on '.length).trim()
  const answer = explained(t, post(address, '?target=1', npyOf(x.slice(0, 1, 2))))
  isMap(t, await answer, rowOf(guided, 'guided', 'class 1', 1), 'by the command')
  const two = gradcam(['serve', '--model', 'a.pt', '--model', 'b.pt', ...inputs])
  t.is(two.code, 2)
  t.regex(two.stderr, /--input goes with one model/)
})

test.serial('the window of a request has a number for each spatial dimension, or one for all', async (t) => {
  using model = await guided.load('guided')
  const [x, mask] = guided.inputs('guided') as [Tensor, Tensor]
  const image = npyOf(x.slice(0, 0, 1))
  const { address } = await listening(t, { models: { guided: { model, preprocess, inputs: [2.5, null, mask] } } })
  const occluded = (window: unknown): Promise<Response> =>
    ask(address, image, { method: 'occlusion', target: 1, settings: { window, stride: 4 } })
  const [square, sides, wide] = await Promise.all([8, [8, 8], [8, 12]].map((window) => explained(t, occluded(window))))
  t.deepEqual(square?.maps[0]?.values, sides?.maps[0]?.values)
  t.notDeepEqual(wide?.maps[0]?.values, sides?.maps[0]?.values)
  for (const window of [[8, 8, 8], [8], 0, 'eight']) await refused(t, occluded(window), 400, 'ERR_INVALID_ARGUMENT')
})
