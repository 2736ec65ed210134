import test from 'ava'
import { loadavg, availableParallelism } from 'node:os'
import { GradCam, manualSeed, ScriptModule, Tensor } from '../../lib/index.js'
import { densenetReference } from '../support/densenet.js'
import { lateness, latenessAtBest, leastWorst, mostLate, type Lateness } from '../support/lateness.js'

manualSeed(0)

const peer = await densenetReference()

const text = ({ worst, p99, ticks }: Lateness): string =>
  `worst ${worst.toFixed(1)} ms, 99 % within ${p99.toFixed(1)} ms, ${ticks} ticks`

test.serial('a 5 ms timer is never more than 20 ms late while densenet121 explains batches of 8', async (t) => {
  t.timeout(240_000)
  using model = await ScriptModule.load(peer.file('densenet121', 'scripted'))
  using input = Tensor.randn([8, 3, 224, 224])
  using gradCam = new GradCam(model, ['features'])
  const explain = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      using _explanation = await gradCam.explain(input)
    }
  }
  await explain(1)

  const measured = await latenessAtBest(async () => {
    const idle = await lateness(() => new Promise((resolve) => setTimeout(resolve, 300)))
    const explaining = await lateness(() => explain(2))
    t.log(`explaining: ${text(explaining)}; idle: ${text(idle)}`)
    return explaining
  })
  t.log(`load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} CPUs`)
  t.true(
    measured.every(({ ticks }) => ticks > 50),
    'the timer ran all the time',
  )
  t.true(leastWorst(measured) <= mostLate)
})
