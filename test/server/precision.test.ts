import test from 'ava'
import { GradCam, imagenet, loadImage, type Tensor } from '../../lib/index.js'
import { temporaryFolder } from '../support/package-copy.js'
import { catDog, explained, listening, post, refused, sampleServed } from '../support/server.js'

const served = await sampleServed()
test.after.always(() => served.model.dispose())
process.env['GRADCAM_CACHE'] = temporaryFolder(null)

const asked = (settings: unknown): string => `?target=0&settings=${encodeURIComponent(JSON.stringify(settings))}`

test('a request may leave the precision to a measurement, and its answer says what was chosen', async (t) => {
  const { address } = await listening(t, { models: { animals: served } })
  const answer = await explained(t, post(address, asked({ precision: 'auto', precisionError: 1 })))
  const map = answer.maps[0] as (typeof answer.maps)[0] & { precision?: 'float32' | 'bfloat16' | 'float16' }
  t.true(['float32', 'bfloat16', 'float16'].includes(map.precision ?? ''))

  using input = await loadImage(catDog, { size: [224, 224], normalize: imagenet })
  const named = map.precision === 'float32' ? {} : { precision: map.precision as 'bfloat16' }
  using gradCam = new GradCam(served.model, ['features'], named)
  using expected = await gradCam.explain(input, { target: 0 })
  t.deepEqual(map.values, [...((expected.cam as Tensor).toTypedArray() as Float32Array)])
  const body = new FormData()
  body.set('options', JSON.stringify({ target: [0], settings: { precision: 'auto', precisionError: 1 } }))
  body.set('image', new Blob([new Uint8Array(catDog)]))
  const evaluated = await fetch(`${address}/v1/evaluate`, { method: 'POST', body })
  const { maps } = (await evaluated.json()) as { maps: { precision?: string }[] }
  t.is(maps[0]?.precision, map.precision, 'so does an evaluation')
  t.false('precision' in ((await explained(t, post(address, asked({})))).maps[0] ?? {}))
  await refused(t, await post(address, asked({ precision: 'fast' })), 400, 'ERR_INVALID_ARGUMENT')
  await refused(
    t,
    await post(address, asked({ precision: 'bfloat16', precisionError: 1 })),
    400,
    'ERR_INVALID_ARGUMENT',
  )
})
