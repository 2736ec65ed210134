import type { NativePackedForm, NativePackedRows } from '../addon/binding.js'
import { native } from '../addon/native.js'
import type { Pixels } from './pixels.js'

/**
 * Red, green and blue of each pixel of bytes without compression, made on the executor thread of images.
 *
 * @throws Error where the bytes are not of this form
 */
export async function unpack(bytes: Uint8Array, rows: NativePackedRows, form: NativePackedForm): Promise<Pixels> {
  const { height, width } = rows
  const data = new Uint8Array(height * width * 3)
  const problem = await native().unpackPixels(bytes, rows, form, data)
  if (problem !== null) throw new Error(problem)
  return { data, height, width }
}

/** The same table for red, green and blue: the level of each value of so many bits. */
export function sameTables(bits: number, level: (value: number) => number): Uint8Array {
  const values = 2 ** bits
  const tables = new Uint8Array(3 * values)
  for (let value = 0; value < values; value++) tables[value] = level(value)
  tables.copyWithin(values, 0, values)
  tables.copyWithin(2 * values, 0, values)
  return tables
}

/** One value for all three colours. */
export const grey = [0, 0, 0] as const
