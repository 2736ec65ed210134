// Prints how late a 5 ms timer comes, at worst, while a model explains batches in the same process.
//
//   npm run build && node scripts/bench/event-loop.mjs MODEL.pt [LAYER] [BATCH] [TIMES]
//
// e.g. with the file that scripts/samples/export-densenet121.py writes. The machine should have nothing else to do: what another
// process takes from the CPU comes on top.
import { GradCam, ScriptModule, Tensor, numThreads } from 'libtorch-gradcam'
import { lateness } from '#test-support/lateness.js'

const [file, layer = 'features', batch = '8', times = '5'] = process.argv.slice(2)
if (!file) {
  console.error('usage: node scripts/bench/event-loop.mjs MODEL.pt [LAYER] [BATCH] [TIMES]')
  process.exit(2)
}

const model = await ScriptModule.load(file)
const input = Tensor.randn([Number(batch), 3, 224, 224])
const gradCam = new GradCam(model, [layer])
;(await gradCam.explain(input)).dispose() // the first run allocates what later ones use again

const idle = await lateness(() => new Promise((resolve) => setTimeout(resolve, 1000)))
const start = performance.now()
const busy = await lateness(async () => {
  for (let i = 0; i < Number(times); i++) (await gradCam.explain(input)).dispose()
})
const each = (performance.now() - start) / Number(times)

const text = (/** @type {Awaited<ReturnType<typeof lateness>>} */ { worst, p99, ticks }) =>
  `worst ${worst.toFixed(1)} ms, 99 % within ${p99.toFixed(1)} ms (${ticks} ticks)`
console.log(`${batch} images in ${each.toFixed(0)} ms, ${numThreads()} threads`)
console.log(`5 ms timer with nothing to do:    ${text(idle)}`)
console.log(`5 ms timer during ${times} explanations: ${text(busy)}`)
