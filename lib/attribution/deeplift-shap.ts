import { settled } from '../base/callback.js'
import type { ExplainOptions } from '../explain/explained.js'
import { joinWarnings } from '../explain/warnings.js'
import { fixedTarget } from '../target/fixed-target.js'
import type { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, shareValue, type Value } from '../tensor/values.js'
import type { InputExplanation } from './input-explanation.js'

interface Explaining extends Disposable {
  explain<Output extends Value>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output>,
  ): Promise<InputExplanation<Output>>
}

/** What an explanation says, but for what is said of its model. */
type MeanExplained<Output extends Value> = Pick<
  InputExplanation<Output>,
  'output' | 'attribution' | 'targets' | 'scores' | 'intercepted' | 'delta' | 'of' | 'warnings'
>

/**
 * DeepLIFT-SHAP: the mean over baselines of DeepLIFT from each of them. Lundberg and Lee 2017, "A Unified Approach to
 * Interpreting Model Predictions", arXiv:1705.07874, section 4.2 (Deep SHAP), with the rules of DeepLIFT.
 *
 * @param rows the baselines, [B, ...]
 * @param from makes DeepLIFT from one, [1, ...]
 */
export async function meanOverBaselines<Output extends Value>(
  rows: Tensor,
  from: (row: Tensor) => Explaining,
  inputs: Value | readonly Value[],
  options: ExplainOptions<Output>,
): Promise<MeanExplained<Output>> {
  const count = rows.shape[0] as number
  const { signal, onProgress } = options
  let sum: Tensor | undefined
  let found: MeanExplained<Output> | undefined
  try {
    for (let i = 0; i < count; i++) {
      using row = rows.narrow(0, i, 1)
      using explainer = from(row)
      const target = found ? fixedTarget(options.target, found.targets, 1) : options.target
      using explained = await explainer.explain<Output>(inputs, { target, signal })
      const before = sum
      sum = before ? tidy(() => before.add(explained.attribution)) : explained.attribution.detach()
      before?.dispose()
      const { targets, scores, intercepted, of } = explained
      const delta = explained.delta?.map((value, image) => value / count + (found?.delta?.[image] ?? 0)) ?? null
      const warnings = joinWarnings(found?.warnings ?? [], explained.warnings)
      const output = found?.output ?? (shareValue(explained.output) as Output)
      const rest = { output, attribution: explained.attribution, delta, warnings }
      found = {
        ...rest,
        targets: found?.targets ?? targets,
        scores: found?.scores ?? scores,
        intercepted,
        ...(of && { of }),
      }
      await settled(onProgress?.(i + 1, count))
    }
    const mean = (sum as Tensor).div(count)
    return { ...(found as MeanExplained<Output>), attribution: mean }
  } catch (error) {
    disposeValue(found?.output ?? null)
    throw error
  } finally {
    sum?.dispose()
  }
}
