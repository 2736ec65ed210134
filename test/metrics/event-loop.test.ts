// No metric computes on the JavaScript thread.
import test from 'ava'
import { join } from 'node:path'
import { GradCam, manualSeed, metrics, ScriptModule, Tensor, type ExplainMaps } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lateness, latenessAtBest, leastWorst, mostLate } from '../support/lateness.js'

manualSeed(0)

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
      const measure = (): Promise<void> => metric.add(input, maps, { ...(row.scores ? { targets: 1 } : {}), boxes })
      const measured = await latenessAtBest(() => lateness(measure))
      const late = measured.map(({ worst }) => worst.toFixed(1)).join(', ')
      t.log(`${name} ${late}`)
      t.true(leastWorst(measured) <= mostLate, `${name}: ${late} ms late`)
    }
  },
)
