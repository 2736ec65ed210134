import type { Target, Tensor, Value } from '../../lib/index.js'
import type { SmallNetCase } from './small-net-cases.js'

/** The case's target as this package takes it: classes where the model returns logits, else a function to a scalar. */
export function targetOf({ target, output }: SmallNetCase): Target<Value> {
  if (output === undefined && target !== 'sum') return target
  return (returned) => {
    const scores = output === undefined ? (returned as Tensor) : part(returned, output)
    if (target === 'sum') return scores.sum()
    return target
      .map((chosen, image) => scores.select(0, image).select(0, chosen))
      .reduce((sum, score) => sum.add(score))
  }
}

/** A part of a list or tuple by position or of a dict by key; a named tuple has both. */
function part(returned: Value, key: number | string): Tensor {
  const parts = returned as unknown as Record<string | number, Tensor>
  const found = parts[key] ?? Object.values(parts)[Number(key)]
  if (!found) throw new Error(`the model's output has no part ${key}`)
  return found
}
