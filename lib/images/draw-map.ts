import { native } from '../addon/native.js'
import type { Pixels } from './pixels.js'
import { jetTable } from './jet.js'
import { seenRegion, type Framing, type Size } from './frame-image.js'

/** A map over the whole input of a model, [height, width] of any size, row by row. */
export interface MapValues {
  readonly data: Float32Array
  readonly height: number
  readonly width: number
  /** The spatial sizes of a map that is not an image's: then the height is the product of all but the last. */
  readonly sizes?: readonly number[]
}

/**
 * A map laid back over the image that the model's input was framed from, in the image's own size: bilinear between
 * the map's cells, min-max normalised over the region that the model saw, painted in jet and blended. The rest of the image
 * stays as it is. All on the executor thread of images.
 *
 * @param alpha the opacity of the map: 0 gives the image alone
 * @returns red, green and blue bytes
 */
export async function drawOverlay(map: MapValues, image: Pixels, framing: Framing, alpha: number): Promise<Uint8Array> {
  const { data, height, width } = image
  const result = new Uint8Array(3 * height * width)
  const size = [height, width] as const
  await native().drawMap(map.data, [map.height, map.width], data, size, view(size, framing), jetTable(), alpha, result)
  return result
}

/** The same as grey, from 0 for the map's lowest value, and for pixels outside the seen region, to the dtype's largest. */
export async function drawGrey<Levels extends Uint8Array | Uint16Array>(
  map: MapValues,
  size: Size,
  framing: Framing,
  levels: new (length: number) => Levels,
): Promise<Levels> {
  const result = new levels(size[0] * size[1])
  const none = new Float32Array(0)
  await native().drawMap(map.data, [map.height, map.width], null, size, view(size, framing), none, 1, result)
  return result
}

/** A framing with the part of the image that it shows, as [top, left, bottom, right]. */
function view(size: Size, framing: Framing): Framing & { readonly region: readonly number[] } {
  const { top, left, bottom, right } = seenRegion(size, framing)
  return { ...framing, region: [top, left, bottom, right] }
}
