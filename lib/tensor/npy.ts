import { GradCamError } from '../base/errors.js'
import { Tensor } from './tensor.js'
import type { TypedArray } from './dtype.js'

const magic = '\x93NUMPY'

/** Whether bytes are a `.npy` file. */
export const isNpy = (bytes: Uint8Array): boolean =>
  bytes.length > 10 && Buffer.from(bytes.subarray(0, 6)).toString('latin1') === magic

const kinds: Readonly<Record<string, { readonly bytes: number; readonly read: (buffer: ArrayBuffer) => TypedArray }>> =
  {
    '<f4': { bytes: 4, read: (buffer) => new Float32Array(buffer) },
    '<f8': { bytes: 8, read: (buffer) => new Float64Array(buffer) },
    '<i8': { bytes: 8, read: (buffer) => new BigInt64Array(buffer) },
    '<i4': { bytes: 4, read: (buffer) => new Int32Array(buffer) },
    '<i2': { bytes: 2, read: (buffer) => new Int16Array(buffer) },
    '|i1': { bytes: 1, read: (buffer) => new Int8Array(buffer) },
    '|u1': { bytes: 1, read: (buffer) => new Uint8Array(buffer) },
    '|b1': { bytes: 1, read: (buffer) => new Uint8Array(buffer) },
    // LibTorch's own unsigned type has too few operators, and float32 holds every value.
    '<u2': { bytes: 2, read: (buffer) => Float32Array.from(new Uint16Array(buffer)) },
  }

/**
 * The array of a `.npy` file, as `numpy.save` writes it, in its own type; uint16 becomes float32.
 *
 * @param name of the file, for errors
 * @throws GradCamError ERR_IMAGE_CORRUPT for a file that is damaged, ERR_DTYPE for a type that tensors do not have
 */
export function parseNpy(bytes: Uint8Array, name: string): Tensor {
  const damaged = (why: string): GradCamError =>
    new GradCamError('ERR_IMAGE_CORRUPT', `${name} cannot be read as a .npy file: ${why}.`, {
      remedy: 'Write it with numpy.save.',
    })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wide = bytes[6] !== 1
  const start = wide ? 12 : 10
  if (!isNpy(bytes) || bytes.length < start) throw damaged('it does not begin as one')
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true)
  if (start + length > bytes.length) throw damaged('its header is cut short')
  const header = Buffer.from(bytes.subarray(start, start + length)).toString('latin1')
  const type = /'descr': *'([^']+)'/.exec(header)?.[1]
  const sizes = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1]
  if (type === undefined || sizes === undefined) throw damaged('its header is not that of a plain array')
  const kind = kinds[type]
  if (!kind)
    throw new GradCamError(
      'ERR_DTYPE',
      `${name} holds elements of NumPy's type '${type}', which tensors do not have.`,
      {
        remedy: 'Convert them: array.astype(numpy.float32).',
        details: { type },
      },
    )
  if (/'fortran_order': *True/.test(header))
    throw damaged('its elements are in the order of columns; numpy.ascontiguousarray(array) puts them row by row')
  const shape = sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]))
  const size = shape.reduce((product, one) => product * one, 1) * kind.bytes
  const data = bytes.subarray(start + length)
  if (data.length !== size) throw damaged(`it has ${data.length} bytes of elements where its shape takes ${size}`)
  const array = kind.read(data.buffer.slice(data.byteOffset, data.byteOffset + size) as ArrayBuffer)
  return type === '|b1' ? Tensor.from(array, shape, { dtype: 'bool' }) : Tensor.from(array, shape)
}
