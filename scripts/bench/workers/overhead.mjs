// What the same explanation costs from TypeScript: see overhead.cc.
//
//   node scripts/bench/workers/overhead.mjs MODEL.pt LAYER
import { createInterface } from 'node:readline'
import { GradCam, ScriptModule, Tensor, setNumThreads } from 'libtorch-gradcam'
import { median } from '../statistics.mjs'

const [file = '', layer = ''] = process.argv.slice(2)
setNumThreads(1)
const model = await ScriptModule.load(file)
const gradCam = new GradCam(model, [layer])
const input = Tensor.ones([1, 3, 8, 8])

for await (const line of createInterface({ input: process.stdin })) {
  const times = []
  for (let i = 0; i < Number(line.split(' ')[1]); i++) {
    const start = performance.now()
    const found = await gradCam.explain(input, { target: 0 })
    times.push((performance.now() - start) * 1000)
    found.dispose()
  }
  process.stdout.write(`${JSON.stringify({ us: median(times) })}\n`)
}
