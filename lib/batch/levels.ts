import { expect, invalid, isInstance } from '../base/check.js'
import { isRounding } from '../explain/condition.js'
import type { MapValues } from '../images/draw-map.js'

/** A small map as text, e.g. for a line of JSON. */
export interface MapLevels {
  /** Rows, at most 32. */
  readonly height: number
  /** Columns, at most 32. */
  readonly width: number
  /** One byte a cell, row by row, in base64: 0 for the least value of the map, 255 for the greatest. */
  readonly levels: string
}

/** The most cells a side. */
const most = 32

/**
 * Makes a map small enough for a line of text: means over cells where a side has more than 32, min-max normalised to 0 to
 * 255. NaN and infinities become 0, and so does a map with one value everywhere, within rounding.
 *
 * @param map float32 [height, width], row by row
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function toMapLevels(map: MapValues): MapLevels {
  const { data, height, width } = shrink(checkMap(map))
  const finite = data.filter((value) => Number.isFinite(value))
  const low = finite.reduce((least, value) => Math.min(least, value), Infinity)
  const high = finite.reduce((greatest, value) => Math.max(greatest, value), -Infinity)
  const range = high - low
  const varies = !isRounding(range, Math.max(Math.abs(low), Math.abs(high)), 'float32')
  const levels = Uint8Array.from(data, (value) =>
    Number.isFinite(value) && varies ? Math.round((255 * (value - low)) / range) : 0,
  )
  return { height, width, levels: Buffer.from(levels).toString('base64') }
}

function shrink({ data, height, width }: MapValues): MapValues {
  const toHeight = Math.min(most, height)
  const toWidth = Math.min(most, width)
  if (toHeight === height && toWidth === width) return { data, height, width }
  const result = new Float32Array(toHeight * toWidth)
  const edge = (at: number, from: number, to: number): number => Math.floor((at * from) / to)
  for (let y = 0; y < toHeight; y++) {
    for (let x = 0; x < toWidth; x++) {
      let sum = 0
      let count = 0
      for (let row = edge(y, height, toHeight); row < edge(y + 1, height, toHeight); row++)
        for (let column = edge(x, width, toWidth); column < edge(x + 1, width, toWidth); column++, count++)
          sum += data[row * width + column] as number
      result[y * toWidth + x] = sum / count
    }
  }
  return { data: result, height: toHeight, width: toWidth }
}

function checkMap(map: MapValues): MapValues {
  const { data, height, width } = expect.options(map, 'map')
  expect.count('map.height', height)
  expect.count('map.width', width)
  if (!isInstance(data, Float32Array) || data.length !== height * width)
    throw invalid('map.data', `a Float32Array of ${height * width} elements`, data)
  return { data, height, width }
}
