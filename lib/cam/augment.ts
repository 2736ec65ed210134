import type { CamExplanation } from './cam-explanation.js'
import type { CamExplainOptions } from './cam-options.js'
import { invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { ExplainOptions } from '../explain/explained.js'
import type { MapCondition } from '../explain/condition.js'
import { fixedTarget } from '../target/fixed-target.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Value } from '../tensor/values.js'

/** The unchanged image comes first: its top class is the one that all explain. */
const augmentations = [false, true].flatMap((mirrored) => [1, 0.9, 1.1].map((factor) => ({ mirrored, factor })))

/** Test-time augmentation: see {@link CamExplainOptions.augment}. */
export async function explainAugmented<Output extends Value>(
  inputs: Value | readonly Value[],
  options: CamExplainOptions<Output>,
  explain: (input: Tensor, options: ExplainOptions<Output>) => Promise<CamExplanation<Output>>,
): Promise<CamExplanation<Output>> {
  const input = Array.isArray(inputs) && inputs.length === 1 ? (inputs as readonly Value[])[0] : inputs
  if (!(input instanceof Tensor) || input.shape.length !== 4)
    throw invalid('inputs', 'a single Tensor [N, C, H, W] where `augment` is true', inputs)
  if ((options.target as { kind?: unknown } | undefined)?.kind === 'box')
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      '`augment` mirrors the image, where the box of the target covers another object.',
      { remedy: 'Leave `augment` out.' },
    )
  let plain: CamExplanation<Output> | undefined
  let sums: Tensor[] = []
  const conditions: (readonly MapCondition[])[][] = []
  try {
    for (const [index, { mirrored, factor }] of augmentations.entries()) {
      using image = tidy(() => (mirrored ? input.flip([3]) : input).mul(factor))
      const target = plain ? fixedTarget(options.target, plain.targets, 1) : options.target
      const { onProgress } = options
      const found = await explain(image, {
        ...options,
        target,
        ...(onProgress && { onProgress: (done, all) => onProgress(index * all + done, augmentations.length * all) }),
      })
      conditions.push(found.maps.map((one) => one.conditions))
      const before = sums
      sums = found.maps.map(({ map }, i) =>
        tidy(() => {
          const straight = mirrored ? map.flip([map.shape.length - 1]) : map.clone()
          return before[i]?.add(straight) ?? straight
        }),
      )
      for (const sum of before) sum.dispose()
      if (plain) found.dispose()
      else plain = found
    }
    const maps = sums.map((sum, i) => {
      const map = sum.div(augmentations.length)
      const [first = []] = conditions.map((ofMaps) => ofMaps[i] ?? [])
      const inAll = (state: MapCondition['state']) =>
        first.map((_, image) => conditions.every((ofMaps) => ofMaps[i]?.[image]?.state === state))
      return {
        map: map.handle,
        contribution: null,
        allZero: perImage(map.eq(0)),
        nonFinite: perImage(map.isfinite()).map((finite) => !finite),
        constant: inAll('constant'),
        sameScores: inAll('rounding'),
      }
    })
    return (plain as CamExplanation<Output>).withMaps(maps)
  } catch (error) {
    plain?.dispose()
    throw error
  } finally {
    for (const sum of sums) sum.dispose()
  }
}

function perImage(holds: Tensor): boolean[] {
  using flags = tidy(() => holds.flatten(1).all(1))
  holds.dispose()
  return Array.from(flags.toTypedArray() as ArrayLike<number>, Boolean)
}
