import test from 'ava'
import { readFileSync } from 'node:fs'
import { GuidedBackprop, InputAttribution, ScriptModule, numThreads, setNumThreads } from '../../lib/index.js'
import { absolute } from '../support/absolute.js'
import { assertParity } from '../support/parity.js'
import { reference, type ReferenceCase } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'

// Models whose gradient at the input is computed split, with the bits of the model's own operators: which ReLUs are open must be
// what Python says, also of those that kernels of our own compute together with a convolution.
const cases: Record<string, ReferenceCase> = {
  modules: { method: 'guided', scope: 'modules', target: 1 },
  all: { method: 'guided', scope: 'all', target: 1 },
  gradient: { method: 'gradient', target: 1 },
}
const names = [
  'fused_dense',
  'fused_residual',
  'fused_pre_activation',
  'wide_kinds',
  'wide_read_again',
  'wide_squeezed',
  'wide_sampled',
  'wide_branched',
  'wide_looped',
  'wide_compared',
  'wide_two_relus',
  'wide_normed_twice',
  'wide_dropout_changed',
  'wide_unused_call',
  'wide_changed_later',
  'wide_view_changed',
]
/** What a split would compute otherwise, which it finds out when it is made, or when it runs. */
const runHooked = ['wide_changed_later', 'wide_view_changed']
// The kernels are for AVX2 and AVX-512, as far as LibTorch itself uses these.
const hasKernels =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  process.env['ATEN_CPU_CAPABILITY'] !== 'default' &&
  / avx2 /.test(readFileSync('/proc/cpuinfo', 'utf8'))
const peer = await reference('equal-split', Object.fromEntries(names.map((name) => [name, { files: true, cases }])))

// LibTorch picks other kernels for one thread than for several.
for (const threads of [1, 2])
  for (const name of names)
    for (const kind of ['scripted', 'traced'] as const)
      test.serial(`${name}, ${kind}, ${threads} threads`, async (t) => {
        const before = numThreads()
        setNumThreads(threads)
        t.teardown(() => setNumThreads(before))
        using model = await ScriptModule.load(peer.file(name, kind))
        using input = toTensor(peer.input(name))
        for (const scope of name.startsWith('wide') ? (['modules', 'all'] as const) : (['all'] as const)) {
          using guided = new GuidedBackprop(model, { scope })
          using hooked = new GuidedBackprop(model, { scope, execution: 'hooked' })
          using expected = await hooked.explain(input, { target: 1 })
          // The second run finds the order in which LibTorch sums up, the later ones use it.
          for (let run = 0; run < 4; run++) {
            using found = await guided.explain(input, { target: 1 })
            const { execution } = found
            if (execution.path === 'split') t.false(runHooked.includes(name))
            else t.regex(execution.why, hasKernels ? /in place/ : /no convolution has a kernel here/)
            if (hasKernels && !runHooked.includes(name)) t.is(execution.path, 'split')
            t.is(found.intercepted, peer.number(name, scope, 'intercepted'))
            t.deepEqual(found.scores, expected.scores, 'the same bits')
            assertParity(t, found.gradient, peer.tensor(name, scope, 'gradient'), `${scope}, run ${run}`)
          }
        }
        using saliency = new InputAttribution(model, { method: 'saliency' })
        using found = await saliency.explain(input, { target: 1 })
        assertParity(t, found.attribution, absolute(peer.tensor(name, 'gradient', 'gradient')), 'gradient')
      })
