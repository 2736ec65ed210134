import { expect, invalid, toList } from '../base/check.js'
import { checkDType, type DType, type TensorOptions } from './dtype.js'

/** A shape, copied. */
export function checkShape(name: string, value: unknown): number[] {
  const sizes = toList(value)
  if (sizes?.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)) return sizes as number[]
  throw invalid(name, 'an array of integers from 0 on', value, { code: 'ERR_SHAPE' })
}

/** The options of a new tensor that were given. */
export function checkTensorOptions(options: unknown): { dtype?: DType; device?: string } {
  const { dtype, device } = expect.options(options as TensorOptions)
  checkDType(dtype)
  if (device !== undefined) expect.string('device', device, "the name of a device, e.g. 'cpu' or 'cuda:0'")
  return { ...(dtype !== undefined && { dtype }), ...(device !== undefined && { device }) }
}
