// No metric computes on the JavaScript thread.
import test from 'ava'
import { join } from 'node:path'
import { GradCam, metrics, ScriptModule, Tensor, type ExplainMaps } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lateness } from '../support/lateness.js'

const most = 20
const boxes = [
  { x: 20, y: 20, w: 90, h: 90 },
  { x: 60, y: 40, w: 150, h: 150 },
]

test.serial(
  'a 5 ms timer is never more than 20 ms late while any metric measures the maps of two images',
  async (t) => {
    t.timeout(600_000)
    using model = await ScriptModule.load(join(packageRoot, 'samples', 'animals-densenet.pt'))
    using input = Tensor.rand([2, 3, 224, 224])
    using large = Tensor.rand([2, 1, 224, 224])
    using small = Tensor.rand([2, 1, 14, 14])
    const explain: ExplainMaps = async (of, images, { target }) => {
      using cam = new GradCam(of as ScriptModule, ['features'])
      using found = await cam.explain(images, { target: target ?? 0 })
      return found.cam.clone()
    }
    for (const [name, row] of Object.entries(metrics)) {
      // Of explainers' own size where they explain again.
      const maps = row.needs === 'explain' ? small : large
      using metric = row.create(model, (row.needs === 'explain' ? { explain } : {}) as never)
      // As in test/addon/event-loop.test.ts: a busy machine may be late by itself.
      const measure = (): Promise<void> => metric.add(input, maps, { ...(row.scores ? { targets: 1 } : {}), boxes })
      const worst: number[] = []
      do worst.push((await lateness(measure)).worst)
      while (Math.min(...worst) > most && worst.length < 4)
      t.log(`${name} ${worst.map((late) => late.toFixed(1)).join(', ')}`)
      t.true(Math.min(...worst) <= most, `${name}: ${worst.map((late) => late.toFixed(1)).join(', ')} ms late`)
    }
  },
)
