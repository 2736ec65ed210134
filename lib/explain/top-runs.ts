import type { CallOptions } from '../addon/abort.js'
import type { Model } from '../model/model.js'
import type { Target, TargetOptions } from '../target/target.js'
import { topClasses } from '../target/top-classes.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, shareValue, type Value } from '../tensor/values.js'
import { disposeRun, type Run } from './explained.js'
import type { Pass } from './pass.js'
import { joinWarnings } from './warnings.js'

/** One forward, and a backward for each of the top `k` classes. */
export async function explainTop(
  by: Pass,
  model: Model,
  inputs: Value | readonly Value[],
  { k, of, signal }: CallOptions & TargetOptions & { readonly k: number },
): Promise<Run<Value>[]> {
  using pass = by.fork()
  const found: Run<Value>[] = []
  let first: Value | undefined
  let kept: Value | undefined
  try {
    const result = await pass.forward(inputs, signal)
    first = result.output
    kept = result.kept
    const part = of ?? (first instanceof Tensor ? [] : await pass.likelyPart(signal))
    for (const classes of topClasses(first, k, part)) {
      const target = { kind: 'class', class: classes, of: part } as const
      const explained = await pass.backward(target, undefined, { signal })
      const { intercepted, execution } = result
      const warnings = joinWarnings(result.warnings, explained.warnings)
      found.push({ model, output: shareValue(first), intercepted, execution, explained, warnings })
    }
    return found
  } catch (error) {
    found.forEach(disposeRun)
    throw error
  } finally {
    disposeValue([first ?? null, kept ?? null])
  }
}

/** The same for a model that takes another number of images at a time: a run for each class, in parts of that number. */
export async function explainTopInParts(
  run: (target: Target<Value>) => Promise<Run<Value>>,
  k: number,
  of: TargetOptions['of'],
): Promise<Run<Value>[]> {
  const classOf = async (classes: number[] | 'argmax', part = of): Promise<Run<Value>> =>
    await run({ kind: 'class', class: classes, ...(part !== undefined && { of: part }) })
  const found = [await classOf('argmax')]
  try {
    const [top] = found as [Run<Value>]
    const part = of ?? top.explained.of
    const [, ...others] = topClasses(top.output, k, part)
    for (const classes of others) found.push(await classOf(classes, part))
    return found
  } catch (error) {
    found.forEach(disposeRun)
    throw error
  }
}
