import test from 'ava'
import sharp from 'sharp'
import { GradCam, loadImage, ScriptModule, type TargetData } from '../../lib/index.js'
import { smallNets } from '../support/models.js'
import { explained, listening, post, refused } from '../support/server.js'

const nets = await smallNets()

/** A model that returns several tensors, the path to one of them, and a class of it. */
const cases = [
  { net: 'dict_output', of: ['out'], target: 3 },
  { net: 'tuple_output', of: [0], target: 2 },
  { net: 'nested_output', of: [1, 'maps', 0], target: { kind: 'element', at: [1, 2, 3] } },
] as const

test.serial('`of` names the part of the output, in the query and as JSON', async (t) => {
  const image = await sharp({ create: { width: 24, height: 24, channels: 3, background: '#4080c0' } })
    .png()
    .toBuffer()
  for (const { net, of, target } of cases) {
    using model = await ScriptModule.load(nets.file(net))
    const preprocess = { resize: [24, 24] }
    const { address } = await listening(t, { models: { net: { model, layer: 'features', preprocess } } })
    using gradCam = new GradCam(model, ['features'])
    using input = await loadImage(image, { size: [24, 24] })
    const whole = (typeof target === 'number' ? { kind: 'class', class: target, of } : { ...target, of }) as TargetData
    using expected = await gradCam.explain(input, { target: whole })
    const asJson = new FormData()
    asJson.set('options', JSON.stringify({ of, target }))
    asJson.set('image', new Blob([new Uint8Array(image)]))
    const query = `?${of.map((step) => `of=${step}`).join('&')}&target=${typeof target === 'number' ? target : ''}`
    const replies = [
      fetch(`${address}/v1/explain`, { method: 'POST', body: asJson }),
      ...(typeof target === 'number' ? [post(address, query, image)] : []),
    ]
    for (const reply of replies) {
      const answer = await explained(t, reply)
      t.is(answer.maps[0]?.score, expected.scores[0], net)
      t.deepEqual(new Float32Array(answer.maps[0]?.values ?? []), expected.cam.toTypedArray(), net)
    }
    await refused(t, post(address, '?of=nothing', image), 422, 'ERR_TARGET')
  }
})
