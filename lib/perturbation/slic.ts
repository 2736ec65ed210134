/** An image in which neighbouring values of a channel lie `height * width` apart. */
export interface Planes {
  readonly data: Float64Array
  readonly channels: number
  readonly height: number
  readonly width: number
}

interface Clusters {
  /** For each cluster its row, its column, and the mean of each channel. */
  readonly centres: Float64Array
  readonly count: number
  /** How far apart they began, in pixels. */
  readonly step: number
}

/** Clusters on a grid of about `segments` cells, with the values of the pixel in the middle of each. */
function seeds({ data, channels, height, width }: Planes, segments: number): Clusters {
  const step = Math.max(1, Math.sqrt((height * width) / segments))
  const rows = Math.max(1, Math.round(height / step))
  const columns = Math.max(1, Math.round(width / step))
  const centres = new Float64Array(rows * columns * (2 + channels))
  for (let i = 0; i < rows * columns; i++) {
    const row = (Math.floor(i / columns) + 0.5) * (height / rows) - 0.5
    const column = ((i % columns) + 0.5) * (width / columns) - 0.5
    const at = i * (2 + channels)
    centres.set([row, column], at)
    const pixel = Math.round(row) * width + Math.round(column)
    for (let c = 0; c < channels; c++) centres[at + 2 + c] = data[c * height * width + pixel] as number
  }
  return { centres, count: rows * columns, step }
}

/** Gives each pixel the cluster that is nearest, of those within a step in each direction. */
function assign(image: Planes, { centres, count, step }: Clusters, compactness: number, labels: Int32Array): void {
  const { data, channels, height, width } = image
  const nearest = new Float64Array(height * width).fill(Infinity)
  const spatial = (compactness / step) ** 2
  for (let k = 0; k < count; k++) {
    const at = k * (2 + channels)
    const [row, column] = [centres[at] as number, centres[at + 1] as number]
    // A step further than a cell, so that no pixel is beyond all of them once they have moved.
    const [top, bottom] = [Math.max(0, Math.ceil(row - 2 * step)), Math.min(height - 1, Math.floor(row + 2 * step))]
    const [left, right] = [
      Math.max(0, Math.ceil(column - 2 * step)),
      Math.min(width - 1, Math.floor(column + 2 * step)),
    ]
    for (let y = top; y <= bottom; y++)
      for (let x = left; x <= right; x++) {
        const pixel = y * width + x
        let distance = spatial * ((y - row) ** 2 + (x - column) ** 2)
        for (let c = 0; c < channels; c++)
          distance += ((data[c * height * width + pixel] as number) - (centres[at + 2 + c] as number)) ** 2
        if (distance >= (nearest[pixel] as number)) continue
        nearest[pixel] = distance
        labels[pixel] = k
      }
  }
}

/** Moves each cluster to the mean of its pixels; one without any stays. */
function update({ data, channels, height, width }: Planes, { centres, count }: Clusters, labels: Int32Array): void {
  const size = 2 + channels
  const sums = new Float64Array(count * size)
  const pixels = new Float64Array(count)
  for (const [pixel, k] of labels.entries()) {
    if (k < 0) continue
    const at = k * size
    pixels[k]!++
    sums[at]! += Math.floor(pixel / width)
    sums[at + 1]! += pixel % width
    for (let c = 0; c < channels; c++) sums[at + 2 + c]! += data[c * height * width + pixel] as number
  }
  for (let i = 0; i < centres.length; i++) {
    const own = pixels[Math.floor(i / size)] as number
    if (own > 0) centres[i] = (sums[i] as number) / own
  }
}

/** The pixels above, below, left and right of one. */
function* around(pixel: number, { height, width }: Planes): Generator<number> {
  const x = pixel % width
  if (pixel >= width) yield pixel - width
  if (pixel < (height - 1) * width) yield pixel + width
  if (x > 0) yield pixel - 1
  if (x < width - 1) yield pixel + 1
}

/** The connected parts of clusters: of each pixel its part, and the pixels of each part. */
function partsOf(labels: Int32Array, image: Planes): { of: Int32Array; pixels: number[][] } {
  const of = new Int32Array(labels.length).fill(-1)
  const pixels: number[][] = []
  for (let start = 0; start < labels.length; start++) {
    if (of[start] !== -1) continue
    const part = [start]
    of[start] = pixels.length
    for (const pixel of part)
      for (const other of around(pixel, image)) {
        if (of[other] !== -1 || labels[other] !== labels[start]) continue
        of[other] = pixels.length
        part.push(other)
      }
    pixels.push(part)
  }
  return { of, pixels }
}

/**
 * Makes every segment connected: parts of a cluster that lie apart become segments of their own, and those that are smaller
 * than `least` pixels go, the smallest first, to the segment with which they share the longest border. Labels from 0 on, without gaps.
 */
function connect(labels: Int32Array, image: Planes, least: number): Int32Array {
  const { of, pixels } = partsOf(labels, image)
  const small = pixels.flatMap((part, i) => (part.length < least ? [i] : []))
  for (const i of small.sort((a, b) => (pixels[a] as number[]).length - (pixels[b] as number[]).length)) {
    const part = pixels[i] as number[]
    if (part.length >= least) continue // others went to it
    const borders = new Map<number, number>()
    for (const pixel of part)
      for (const other of around(pixel, image))
        if (of[other] !== i) borders.set(of[other] as number, (borders.get(of[other] as number) ?? 0) + 1)
    const [longest] = [...borders].sort(([a, x], [b, y]) => y - x || a - b)
    if (!longest) continue
    const [into] = longest
    for (const pixel of part) of[pixel] = into
    pixels[into] = (pixels[into] as number[]).concat(part)
    pixels[i] = []
  }
  const numbers = new Map<number, number>()
  return of.map((part) => numbers.get(part) ?? (numbers.set(part, numbers.size), numbers.size - 1))
}

/**
 * Divides an image into about `segments` connected parts whose pixels are alike and near each other: k-means over colour and
 * position, each cluster searching only around itself. Achanta et al. 2012, "SLIC Superpixels Compared to State-of-the-Art
 * Superpixel Methods", doi:10.1109/TPAMI.2012.120, algorithm 1; the seeds stay where the grid has them.
 *
 * @param compactness how much a distance of one step weighs beside a colour's
 * @param pause is awaited between iterations
 * @returns labels from 0 on, row by row
 */
export async function slic(
  image: Planes,
  { segments, compactness, iterations }: { segments: number; compactness: number; iterations: number },
  pause: () => Promise<void>,
): Promise<Int32Array> {
  const clusters = seeds(image, segments)
  const labels = new Int32Array(image.height * image.width).fill(-1)
  for (let i = 0; i < iterations; i++) {
    const before = labels.slice()
    assign(image, clusters, compactness, labels)
    // Where no pixel changed its cluster, none ever will.
    if (labels.every((label, pixel) => label === before[pixel])) break
    update(image, clusters, labels)
    await pause()
  }
  return connect(labels, image, clusters.step ** 2 / 2)
}
