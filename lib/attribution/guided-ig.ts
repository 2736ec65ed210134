import { cancellable } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions, operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { fromBaseline } from './baseline.js'
import type { ManyPassMethod } from './many-passes.js'

/**
 * Guided integrated gradients: the integral of the gradient on a path from the baseline to x on which, step by step, the
 * elements with the least gradients go first, none further from the straight line than `maxDistance`. Kapishnikov et al. 2021,
 * "Guided Integrated Gradients: an Adaptive Path Method for Removing Noise", arXiv:2106.09788, algorithm 1, with the bounds of
 * section 4.3 as PAIR's saliency has them.
 */
export const guidedIg: ManyPassMethod = {
  steps: 200,
  complete: true,
  async attribute({ x, copies }, { run, signal }, { steps, baseline, fraction, maxDistance }) {
    const call = { signal }
    /** For the path, whose steps are taken in float64 on the CPU. */
    const exact = async (tensor: Tensor): Promise<Tensor> => {
      using values = await callOperatorAsync(functions.to, [tensor, 'cpu', 'float64'], call)
      return await callOperatorAsync(operators.contiguous, [values], call)
    }
    using path = fromBaseline(baseline, x, copies)
    using plain = x.detach()
    using input = await exact(plain)
    using start = await exact(path.start)
    let at = start.clone()
    let attribution = tidy(() => start.mul(0))
    try {
      for (let step = 0; step < steps; step++) {
        using inputs = await callOperatorAsync(functions.to, [at, x.device, x.dtype], call)
        using pass = await run(inputs, copies)
        using gradient = await exact(pass.gradient)
        const share = (step + 1) / steps
        const before = [at, attribution] as const
        const next = await cancellable(
          signal,
          (ticket) =>
            native().guidedStep(
              [at.handle, attribution.handle],
              gradient.handle,
              input.handle,
              start.handle,
              share,
              fraction,
              maxDistance,
              ticket,
            ),
          (late) => late.forEach((handle) => handle.dispose()),
        )
        ;[at, attribution] = next.map((handle) => Tensor.own(handle)) as [Tensor, Tensor]
        for (const tensor of before) tensor.dispose()
      }
      return await callOperatorAsync(functions.to, [attribution, x.device, x.dtype], call)
    } finally {
      at.dispose()
      attribution.dispose()
    }
  },
}
