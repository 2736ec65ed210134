import test, { type ExecutionContext } from 'ava'
import sharp from 'sharp'
import { drawConcepts, loadImage, Tensor } from '../../lib/index.js'
import { lateness, type Lateness } from '../support/lateness.js'

/** As in test/addon/event-loop.test.ts: a busy machine may be late by itself. */
async function staysFree(t: ExecutionContext, work: () => Promise<void>): Promise<void> {
  await work() // loads sharp
  const measured: Lateness[] = []
  do {
    measured.push(await lateness(work))
    t.log(`worst ${measured.at(-1)!.worst.toFixed(1)} ms, ${measured.at(-1)!.ticks} ticks`)
  } while (Math.min(...measured.map(({ worst }) => worst)) > 20 && measured.length < 4)
  t.true(
    measured.every(({ ticks }) => ticks > 10),
    'the timer ran all the time',
  )
  t.true(Math.min(...measured.map(({ worst }) => worst)) <= 20)
}

test.serial(
  'a 5 ms timer is never more than 20 ms late while concepts are drawn over images of a megapixel',
  async (t) => {
    using image = Tensor.rand([1, 3, 1000, 1000])
    using maps = Tensor.rand([1, 6, 32, 32])
    await staysFree(t, async () => {
      for (let i = 0; i < 4; i++) await drawConcepts(image, maps)
    })
  },
)

test.serial('nor while photographs are made grey for a model of one channel', async (t) => {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
  const file = await sharp({ create: { width: 1200, height: 1000, channels: 3, background: 'grey', noise } })
    .png({ compressionLevel: 0 })
    .toBuffer()
  await staysFree(t, async () => {
    for (let i = 0; i < 8; i++) {
      using image = await loadImage(file, { size: [64, 64], channels: 1 })
      t.deepEqual(image.shape, [1, 1, 64, 64])
    }
  })
})
