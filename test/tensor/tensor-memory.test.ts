import test from 'ava'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { emptyCache, GradCamError, manualSeed, ScriptModule, Tensor, tensorMemory } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { smallNets } from '../support/models.js'
import { needing } from '../support/needs.js'

manualSeed(0)

const nets = await smallNets()
const MiB = 2 ** 20

/** Pages that the system had to provide during a call, as it counts them itself. */
function pageFaults(call: () => void): number {
  const before = process.resourceUsage().minorPageFault
  call()
  return process.resourceUsage().minorPageFault - before
}

test.serial('memory that a tensor gives back serves the next one', (t) => {
  const run = () => Tensor.ones([16 * MiB]).dispose() // 64 MiB, a size that malloc always asks the system for
  run()
  const warm = pageFaults(run)
  emptyCache()
  const cold = pageFaults(run)
  t.log(`${warm} page faults with memory that was kept, ${cold} without`)
  t.true(cold > 1000 && warm < cold / 10, `${warm} and ${cold}`)
})

test.serial('what is idle was in use at once, and goes back to the system', (t) => {
  emptyCache()
  const before = tensorMemory()
  const tensors = Array.from({ length: 8 }, () => Tensor.zeros([4 * MiB]))
  t.is(tensorMemory().live - before.live, 8 * 16 * MiB)
  for (const tensor of tensors) tensor.dispose()
  t.is(tensorMemory().live, before.live)
  t.is(tensorMemory().idle - before.idle, 8 * 16 * MiB)
  const { rss } = process.memoryUsage()
  emptyCache()
  t.is(tensorMemory().idle, 0)
  t.true(rss - process.memoryUsage().rss > 100 * MiB)
})

test.serial('tensors of ever new sizes do not heap up', (t) => {
  emptyCache()
  const before = tensorMemory()
  for (let i = 1; i <= 60; i++) Tensor.zeros([MiB + i * 100_000]).dispose()
  const { idle, mostLive } = tensorMemory()
  t.true(idle <= mostLive, `${idle} idle, at most ${mostLive} live`)
  t.true(mostLive - before.live <= 4 * (MiB + 6_000_000))
})

test.serial('memory that is used again holds what was written last', (t) => {
  const ones = Tensor.ones([MiB])
  ones.dispose()
  using zeros = Tensor.zeros([MiB])
  using sum = zeros.sum()
  t.is(sum.item(), 0)
  using kept = Tensor.ones([MiB])
  emptyCache()
  using all = kept.sum()
  t.is(all.item(), MiB, 'a tensor in use keeps its memory')
})

test.serial('a model that was disposed leaves nothing idle behind', async (t) => {
  const model = await ScriptModule.load(nets.file('plain'))
  using input = Tensor.randn([8, 3, 160, 160])
  ;(await model.forward(input)).dispose()
  t.true(tensorMemory().idle > MiB)
  model.dispose()
  t.is(tensorMemory().idle, 0)
})

test.serial('where there is no memory, idle memory is given up before the call fails', (t) => {
  Tensor.zeros([4 * MiB]).dispose()
  t.true(tensorMemory().idle >= 16 * MiB)
  const error = t.throws(() => Tensor.zeros([2 ** 45]), { instanceOf: GradCamError })
  t.is(error?.code, 'ERR_OUT_OF_MEMORY')
  t.is(tensorMemory().idle, 0)
})

/** What a process of its own counts, with this allocator, around 64 MiB that a model and a tensor use. */
function memoryWith(allocator: string): { live: number; idle: number; limited: string; output: number } {
  const program = `
    import { ScriptModule, setTensorMemoryLimit, Tensor, tensorMemory } from ${JSON.stringify(new URL('../../lib/index.js', import.meta.url))}
    const model = await ScriptModule.load(${JSON.stringify(nets.file('plain'))})
    const output = await model.forward(Tensor.ones([2, 3, 64, 64]))
    const tensor = Tensor.ones([${16 * MiB}])
    const { live } = tensorMemory()
    tensor.dispose()
    const { idle } = tensorMemory()
    let limited = 'set'
    try { setTensorMemoryLimit(live + 1) } catch (error) { limited = error.code }
    console.log(JSON.stringify({ live, idle, limited, output: output.sum().item() }))`
  const env = { ...process.env, GRADCAM_ALLOCATOR: allocator }
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { env, encoding: 'utf8' }))
}

test.serial("GRADCAM_ALLOCATOR=libtorch leaves LibTorch's allocator in its place", (t) => {
  const cached = memoryWith('')
  const plain = memoryWith('libtorch')
  t.true(cached.live >= 64 * MiB && cached.idle >= 64 * MiB)
  t.is(cached.limited, 'set')
  t.deepEqual(plain, { live: 0, idle: 0, limited: 'ERR_INVALID_ARGUMENT', output: cached.output })
})

/** Page faults of each explanation, in a process whose malloc is as it begins. */
function faultsOfExplanation(): number {
  const program = `
    import { GradCam, ScriptModule, Tensor } from '${new URL('../../lib/index.js', import.meta.url).href}'
    const model = await ScriptModule.load('${join(packageRoot, 'samples', 'animals-densenet.pt')}')
    const gradCam = new GradCam(model, ['features'])
    const image = Tensor.ones([1, 3, 224, 224])
    const run = async (times) => {
      for (let i = 0; i < times; i++) (await gradCam.explain(image, { target: 0 })).dispose()
    }
    await run(10)
    const before = process.resourceUsage().minorPageFault
    await run(40)
    console.log((process.resourceUsage().minorPageFault - before) / 40)`
  const ran = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  return Number(ran)
}

// Some 70 of each explanation, where glibc gives the ends of heaps back to the system. What remains are those of JavaScript.
const onLinux = needing('linux', process.platform === 'linux', test.serial)
onLinux('the small blocks of an explanation are not requested from the system again in the next', (t) => {
  const faults = faultsOfExplanation()
  t.log(`${faults} page faults for each explanation`)
  t.true(faults < 25, String(faults))
})
