// Prints how many threads of this process each kind of work brings with it. Run by threads.test.ts: the teams of OpenMP
// stay with the thread that asked for them, so that the order is all that decides.
import { readdirSync } from 'node:fs'
import { functions } from '../../lib/tensor/operators.js'
import { callOperatorAsync } from '../../lib/tensor/dispatch.js'
import { GradCam, ScriptModule, Tensor, manualSeed, setNumThreads } from '../../lib/index.js'

manualSeed(0)

const [file = ''] = process.argv.slice(2)
const count = (): number => readdirSync('/proc/self/task').length
const large = Tensor.randn([4, 3, 224, 224])
const found: Record<string, number> = {}

async function brings(what: string, work: () => unknown): Promise<void> {
  const before = count()
  await work()
  found[what] = count() - before
}

async function explain(model: ScriptModule): Promise<void> {
  using explainer = new GradCam(model, ['features'])
  using _explanation = await explainer.explain(large)
}

setNumThreads(3)
const alone = await ScriptModule.load(file, { threads: 1 })
const usual = await ScriptModule.load(file)
// The executor of operators starts its own thread at its first; those of models have, by loading them.
const small = Tensor.ones([2])
;(await callOperatorAsync(functions.stack, [[small, small]])).dispose()
await brings('a model of one thread', () => explain(alone))
await brings('an operator', () => large.abs().dispose())
await brings('an operator off the event loop', async () =>
  (await callOperatorAsync(functions.stack, [[large, large]])).dispose(),
)
await brings('a product of matrices', () => large.matmul(large).dispose())
await brings('the numbers of a tensor', () => large.permute([0, 2, 3, 1]).toTypedArray())
await brings('a model of the usual number', () => explain(usual))
console.log(JSON.stringify(found))
