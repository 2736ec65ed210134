import { expect, invalid, toList } from '../base/check.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** What a model of several inputs is given besides the images. */
export interface OtherInputs {
  /** Where the images go. */
  readonly at: number
  /** All inputs in order; what stands at `at` is replaced. */
  readonly values: readonly Value[]
}

/**
 * Reads all inputs of a model in order, with null where the images go.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function readOtherInputs(inputs: unknown): OtherInputs {
  if (inputs === undefined) return { at: 0, values: [null] }
  const values = toList(inputs) as readonly Value[] | null
  const at = values?.indexOf(null) ?? -1
  if (!values || at < 0)
    throw invalid('inputs', 'an array of all inputs in order, with null where the images go', inputs)
  return { at: expect.integer('inputs', at, { min: 0 }), values }
}

/** All inputs for a batch: tensors of one row go with every image of it. */
export function withImages({ at, values }: OtherInputs, images: Tensor): { inputs: Tensor | Value[] } & Disposable {
  if (values.length === 1) return { inputs: images, [Symbol.dispose]() {} }
  const made: Tensor[] = []
  const [count = 1] = images.shape
  const inputs = values.map((value, i) => {
    if (i === at) return images
    if (!(value instanceof Tensor) || value.shape.length === 0 || value.shape[0] !== 1 || count === 1) return value
    const rows = value.expand([count, ...value.shape.slice(1)])
    made.push(rows)
    return rows
  })
  return {
    inputs,
    [Symbol.dispose]() {
      for (const each of made) each.dispose()
    },
  }
}
