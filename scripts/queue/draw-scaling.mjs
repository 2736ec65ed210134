/**
 * @typedef {{ workers: number, perSecond: number, cost: number }} Point
 * @typedef {{ name: string, ideal: number, points: readonly Point[] }} Series
 */

const colours = ['#1f6feb', '#d9480f', '#2b8a3e', '#862e9c']
const [width, height, left, top, gap] = [420, 300, 64, 70, 90]

/** Two panels with logarithmic axes: images per second, and dollars for a million images, against workers. */
export function drawScaling(/** @type {readonly Series[]} */ series) {
  const all = series.flatMap(({ points }) => points)
  const x = scale([1, 1000], [0, width])
  const rate = panel({ title: 'images per second', x, values: all.map(({ perSecond }) => perSecond), at: left })
  const cost = panel({
    title: 'dollars per million images',
    x,
    values: all.map((one) => one.cost),
    at: left + width + gap,
  })
  const lines = series.map(({ name, ideal, points }, i) => {
    const colour = colours[i % colours.length] ?? 'black'
    const of = (/** @type {(point: Point) => number} */ value, /** @type {typeof rate} */ { y, at }) =>
      points.map((point) => `${(at + x(point.workers)).toFixed(1)},${(top + y(value(point))).toFixed(1)}`).join(' ')
    const row = top + height + 62 + 20 * i
    return [
      line(
        of((point) => Math.min(point.workers * ideal, rate.most), rate),
        colour,
        ' stroke-dasharray="2 5" opacity="0.6"',
      ),
      line(
        of(({ perSecond }) => perSecond, rate),
        colour,
      ),
      line(
        of((point) => point.cost, cost),
        colour,
      ),
      `<line x1="${left}" y1="${row - 4}" x2="${left + 24}" y2="${row - 4}" stroke="${colour}" stroke-width="2.5"/>`,
      text(left + 32, row, name),
    ].join('\n')
  })
  const all_ = [
    rate.svg,
    cost.svg,
    ...lines,
    text(left, 24, 'Simulated jobs of a queue, by the number of workers', 'font-weight="bold"'),
  ]
  all_.push(text(left, 44, 'dotted: as many times the rate of one worker as there are workers', 'fill="#666"'))
  const size = `${left + 2 * width + gap + 24} ${top + height + 66 + 20 * series.length}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size}" font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n${all_.join('\n')}\n</svg>\n`
}

/** A logarithmic scale. */
function scale(
  /** @type {readonly [number, number]} */ [from, to],
  /** @type {readonly [number, number]} */ [start, end],
) {
  return (/** @type {number} */ value) => start + ((end - start) * Math.log(value / from)) / Math.log(to / from)
}

/** @param {{ title: string, x: (value: number) => number, values: readonly number[], at: number }} options */
function panel({ title, x, values, at }) {
  const least = 10 ** Math.floor(Math.log10(Math.min(...values)))
  const most = 10 ** Math.ceil(Math.log10(Math.max(...values)))
  const y = scale([least, most], [height, 0])
  const grid = []
  for (let value = least; value <= most * 1.001; value *= 10)
    grid.push(
      `<line x1="${at}" y1="${top + y(value)}" x2="${at + width}" y2="${top + y(value)}" stroke="#ddd"/>`,
      text(at - 8, top + y(value) + 4, short(value), 'text-anchor="end"'),
    )
  for (const workers of [1, 10, 100, 1000])
    grid.push(
      `<line x1="${at + x(workers)}" y1="${top}" x2="${at + x(workers)}" y2="${top + height}" stroke="#ddd"/>`,
      text(at + x(workers), top + height + 18, String(workers), 'text-anchor="middle"'),
    )
  grid.push(text(at + width / 2, top + height + 36, 'workers', 'text-anchor="middle"'), text(at, top - 8, title))
  return { svg: grid.join('\n'), y, at, most }
}

const short = (/** @type {number} */ value) =>
  value >= 1 ? value.toLocaleString('en') : String(Number(value.toPrecision(1)))

const line = (/** @type {string} */ points, /** @type {string} */ colour, more = '') =>
  `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2.5"${more}/>`

const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, more = '') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${words}</text>`
