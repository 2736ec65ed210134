import { GradCamError } from '../base/errors.js'
import { show } from '../base/check.js'
import { placeInputs } from '../methods/other-inputs.js'
import { expectedInput, type ExpectedInput } from '../model/expected-input.js'
import type { Model } from '../model/model.js'
import type { NestedNumbers } from '../tensor/elements.js'
import { Tensor } from '../tensor/tensor.js'
import { shareValue, type Value } from '../tensor/values.js'

/** The name of an upload, and its bytes. */
export interface UploadedInput {
  readonly image: string
  readonly bytes: Uint8Array
}

/** The same with the bytes of uploaded images. */
export type GivenInput = NestedNumbers | UploadedInput

/** All inputs of a model in order, with null where the image goes. */
export interface InputsOfRequest extends Disposable {
  /** What tells these inputs from others: requests with the same ones share batches. */
  readonly text: string
  readonly values: readonly Value[]
  /** What the input of the image is expected to be. */
  readonly expected: ExpectedInput
}

/** Refuses what is none of the kinds of inputs, and finds uploaded images. */
export function readAskedInputs(
  asked: Readonly<Record<string, unknown>>,
  bytesOf: (image: string) => Uint8Array,
): Readonly<Record<string, GivenInput>> {
  return Object.fromEntries(
    Object.entries(asked).map(([name, value]): [string, GivenInput] => {
      if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return [name, value]
      if (Array.isArray(value)) return [name, value as NestedNumbers]
      const image: unknown = (value as { readonly image?: unknown } | null)?.image
      if (typeof image === 'string') return [name, { image, bytes: bytesOf(image) }]
      throw new GradCamError(
        'ERR_REQUEST',
        `The input '${name}' must be a number, true, false, nested arrays of numbers, or { "image": NAME } of an image that was uploaded, but is ${show(value)}.`,
      )
    }),
  )
}

/**
 * The inputs of a request over those that the server was started with.
 *
 * @param base all inputs with null for the image, or undefined
 * @param load makes the input of an image, or an array (.npy), that was uploaded
 * @returns null where there are none but the image
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_SHAPE, what `load` throws
 */
export async function inputsOfRequest(
  model: Model,
  base: readonly Value[] | undefined,
  asked: Readonly<Record<string, GivenInput>> | undefined,
  load: (bytes: Uint8Array, expected: ExpectedInput) => Promise<Tensor>,
): Promise<InputsOfRequest | null> {
  const given = Object.entries(asked ?? {})
  if (given.length === 0 && base === undefined) return null
  const { names } = expectedInput(model)
  const own = placeInputs(names, given, base?.indexOf(null))
  const count = Math.max(own.length, base?.length ?? 0)
  const at = base?.indexOf(null) ?? own.indexOf(null)
  const values: Value[] = []
  const dispose = (): void => {
    for (const value of values) if (value instanceof Tensor) value.dispose()
  }
  try {
    for (let i = 0; i < count; i++) {
      const one = own[i] ?? null
      if (i === at) values.push(null)
      else if (one === null) values.push(base === undefined ? missing(names[i], names[at]) : shareValue(base[i]))
      else values.push(await toValue(one, names[i] ?? String(i), expectedInput(model, i), load))
    }
  } catch (error) {
    dispose()
    throw error
  }
  const text = JSON.stringify(own.map((one) => (isUpload(one) ? { image: one.image } : one)))
  return { text, values, expected: expectedInput(model, at), [Symbol.dispose]: dispose }
}

const isUpload = (value: unknown): value is UploadedInput =>
  typeof value === 'object' && value !== null && 'bytes' in value

function missing(name: string | undefined, images: string | undefined): never {
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `The input '${name}' comes before another that is given, so it has to be given, too: the image goes to '${images}'.`,
  )
}

async function toValue(
  given: GivenInput,
  name: string,
  expected: ExpectedInput,
  load: (bytes: Uint8Array, expected: ExpectedInput) => Promise<Tensor>,
): Promise<Value> {
  if (isUpload(given)) return await load(given.bytes, expected)
  if (typeof given === 'number' || typeof given === 'boolean') return given
  try {
    return Tensor.from(given, undefined, { dtype: expected.dtype ?? 'float32' })
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    throw new GradCamError(error.code, `The input '${name}': ${error.message}`, { cause: error })
  }
}
