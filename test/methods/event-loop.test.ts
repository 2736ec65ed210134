// No method computes on the JavaScript thread: one that did, element by element, held it for 0.2 s at a time.
import test from 'ava'
import { join } from 'node:path'
import {
  disposeValue,
  manualSeed,
  methods,
  ScriptModule,
  Tensor,
  type MethodName,
  type MethodSettings,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { makeMapExplainers } from '../../lib/methods/map-explainer.js'
import { settingsOf } from '../../lib/methods/settings.js'
import { lateness, latenessAtBest, leastWorst, mostLate } from '../support/lateness.js'

manualSeed(0)

/** Few runs: what is looked at is what happens between them. */
const few: MethodSettings = {
  seed: 0,
  steps: 3,
  masks: 12,
  samples: 14,
  segments: 6,
  window: [112, 112],
  stride: [112, 112],
}
const fewer: Readonly<Partial<Record<MethodName, MethodSettings>>> = { sscam: { samples: 1 }, iscam: { samples: 1 } }

const names = Object.keys(methods) as MethodName[]
const load = (name: string): Promise<ScriptModule> => ScriptModule.load(join(packageRoot, 'samples', name))

test.serial('a 5 ms timer is never more than 20 ms late while any method explains two images', async (t) => {
  t.timeout(600_000)
  using net = await load('animals-densenet.pt')
  using transformer = await load('animals-vit.pt')
  using input = Tensor.rand([2, 3, 224, 224])
  for (const name of names) {
    const { by, layered } = methods[name]
    const model = by === 'AttentionMap' ? transformer : net
    const settings = { ...settingsOf(few, [name]), ...fewer[name] }
    const explainers = makeMapExplainers(model, [name], layered ? ['features'] : [], settings)
    const explain = async (): Promise<void> => {
      for (const explainer of explainers) {
        const { output, maps } = await explainer.explain(input, { target: 1 })
        disposeValue(output)
        for (const { map } of maps) map.dispose()
      }
    }
    // The first run also makes what is kept.
    const measured = await latenessAtBest(() => lateness(explain))
    const late = measured.map(({ worst }) => worst.toFixed(1)).join(', ')
    t.true(leastWorst(measured) <= mostLate, `${name}: ${late} ms late`)
    for (const explainer of explainers) explainer[Symbol.dispose]()
  }
})
