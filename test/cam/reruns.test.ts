import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { Cam, ScriptModule, type CamMethod, type CamOptions, type Target, type Tensor } from '../../lib/index.js'
import { cachedFolder } from '../support/cached-folder.js'
import { pythonPackagesOrNull } from '../support/numpy.js'
import { assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { Reference } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

/** Both sides compute in float64. */
const tolerance = 1e-9
const methods = ['ablationcam', 'scorecam'] as const satisfies readonly CamMethod[]

/** A target as test/python/reruns.py takes it: with an entry per image, and 'single' for the output of a regression. */
interface Case {
  readonly net: string
  readonly layer: string
  readonly target: { readonly kind: string; readonly class?: number[]; minus?: number[]; mask?: number[][][] }
  readonly size?: readonly number[]
  readonly part?: string
  readonly reshape?: 'vit'
  /** It cannot be split. */
  readonly hooked?: boolean
}

const classes = { kind: 'class', class: [0, 3] }
const half = (rows: number) => Array.from({ length: 16 }, (_, row) => Array<number>(20).fill(row < rows ? 1 : 0))

/** By what is unusual about each. */
const cases: Readonly<Record<string, Case>> = {
  in_place_relu_behind: { net: 'in_place_relu_after', layer: 'features', target: classes },
  skip_connection: { net: 'residual', layer: 'blocks.1.conv1', target: classes },
  list_across_the_cut: { net: 'dense', layer: 'layer2', target: classes },
  batch_size_in_a_view: { net: 'viewed', layer: 'features', target: classes },
  called_twice: { net: 'called_twice', layer: 'shared', target: classes, hooked: true },
  in_a_branch: { net: 'control_flow', layer: 'chosen', target: classes },
  in_a_loop: { net: 'control_flow', layer: 'step', target: classes, hooked: true },
  dict: { net: 'dict_output', layer: 'features', target: classes, part: 'out' },
  tokens: { net: 'vit', layer: 'blocks.0', target: { kind: 'class', class: [0, 5, 2] }, reshape: 'vit' },
  signal: { net: 'one_dimension', layer: 'features', target: classes },
  volume: { net: 'three_dimensions', layer: 'features', target: classes },
  single_output: { net: 'regression_flat', layer: 'inner.features', target: { kind: 'single' } },
  top_class: { net: 'plain', layer: 'features.6', target: { kind: 'class' } },
  probability: { net: 'plain', layer: 'features', target: { kind: 'probability', class: [4, 1] } },
  difference: { net: 'plain', layer: 'features', target: { kind: 'difference', class: [4, 1], minus: [2, 3] } },
  finer: { net: 'plain', layer: 'features', target: { kind: 'finer' } },
  masks: {
    net: 'segmentation',
    layer: 'features',
    target: { kind: 'segmentation', class: [1, 2], mask: [half(5), half(12)] },
  },
}

const packages = await pythonPackagesOrNull()
const derived = packages && (await derive(packages))
const run = needing('packages', derived, test.serial)

async function derive(withNumpy: NodeJS.ProcessEnv): Promise<Reference> {
  const python = await testPython()
  const job = JSON.stringify({ models: cases })
  const folder = await cachedFolder('reruns', [job, programsHash('reruns.py'), python.identity], async (partial) => {
    mkdirSync(partial)
    const file = join(partial, 'job.json')
    writeFileSync(file, job)
    await runPython({ ...python, env: withNumpy }, 'reruns.py', [file, partial])
  })
  return new Reference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')))
}

const targetOf = ({ target, part }: Case): Target<never> => {
  if (target.kind === 'single') return 0
  return { ...target, ...(part && { of: part }) } as unknown as Target<never>
}

/** How often a pass calls a layer. */
async function callsOf(model: ScriptModule, layer: string, input: Tensor): Promise<number> {
  using cam = new Cam(model, { layers: [layer], methods: ['eigencam'] })
  using found = await cam.explain(input)
  return found.maps[0]?.calls ?? 0
}

for (const [name, one] of Object.entries(cases)) {
  run(`${name}: running again gives what the formulas say, split and hooked, in chunks of any size`, async (t) => {
    using input = toTensor(derived!.input(name))
    for (const kind of ['scripted', 'traced'] as const) {
      const file = derived!.fileOrNull(name, kind)
      if (file === null) continue
      using model = await ScriptModule.load(file)
      const { layer, reshape, hooked = false } = one
      // 'split' is refused where any of it would run hooked.
      const executions = hooked || (kind === 'traced' && name === 'in_a_loop') ? ['auto'] : ['split', 'hooked']
      for (const execution of executions as NonNullable<CamOptions['execution']>[]) {
        for (const chunkSize of [1, 3, 32]) {
          const options: CamOptions = { layers: [layer], methods, execution, chunkSize, compat: 'captum' }
          const call = hooked ? { call: (await callsOf(model, layer, input)) - 1 } : {} // the last, as in the formulas
          using cam = new Cam(model, { ...options, ...call, ...(reshape && { reshape }) })
          using found = await cam.explain(input, { target: targetOf(one) })
          for (const method of methods) {
            const expected = derived!.tensor(name, 'maps', method)
            assertSame(
              t,
              found.get(layer, method),
              expected,
              `${method}, ${kind}, ${execution}, ${chunkSize}`,
              tolerance,
            )
          }
        }
      }
    }
  })
}
