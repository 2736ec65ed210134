/** A float32 array as the bytes of a `.npy` file, format version 1.0, which `numpy.load` reads. */
export function toNpy(data: Float32Array, shape: readonly number[]): Buffer {
  const described = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  // Magic, version and the length of the header come first; the whole is a multiple of 64 and ends with a new line.
  const before = 10
  const length = Math.ceil((before + described.length + 1) / 64) * 64 - before
  const bytes = Buffer.alloc(before + length + data.length * 4)
  bytes.write('\x93NUMPY\x01\x00', 'latin1')
  bytes.writeUInt16LE(length, 8)
  bytes.write(`${described.padEnd(length - 1)}\n`, before, 'latin1')
  data.forEach((value, i) => bytes.writeFloatLE(value, before + length + 4 * i))
  return bytes
}
