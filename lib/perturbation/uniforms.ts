/** Scatters 32-bit integers: the finalizer of MurmurHash3. */
function scatter(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/**
 * The first `count` random numbers, uniform in [0, 1), of stream `index` of a seed. A stream can be had without those before
 * it, so that work can be cut into chunks of any size.
 */
export function uniforms(seed: number, index: number, count: number): Float64Array {
  const high = scatter(Math.floor(seed / 2 ** 32) + 1)
  const a = scatter(scatter(seed ^ high) + index)
  const b = scatter(scatter(seed + high) ^ scatter(~index))
  // Two counters with strides of their own, so that two streams meet only where both do.
  return Float64Array.from({ length: count }, (_, i) => {
    const bits = scatter(a + Math.imul(i, 0x9e3779b9)) ^ scatter(b + Math.imul(i, 0x7f4a7c15))
    return (bits >>> 0) / 2 ** 32
  })
}
