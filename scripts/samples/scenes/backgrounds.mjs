/**
 * Busy places to stand in: a ground from one of several families, then clutter whose points, spots and stripes look like
 * pieces of the animals, so that a model has to know the whole shape.
 */
import { keysOf } from '../../support/access.mjs'
import { backgroundColours } from './colours.mjs'

/** @typedef {import('./random.mjs').Random} Random */

const number = (/** @type {number} */ value) => value.toFixed(1)

/**
 * Each takes the side in pixels, the colours and the random numbers, and gives markup that covers the square.
 *
 * @satisfies {Record<string, (side: number, colours: import('./colours.mjs').BackgroundColours, random: Random) => string>}
 */
const grounds = {
  gradient(side, { sky, ground }, random) {
    const turn = number(random.between(0, 360))
    return (
      `<linearGradient id="g" gradientTransform="rotate(${turn} .5 .5)"><stop stop-color="${sky}"/>` +
      `<stop offset="1" stop-color="${ground}"/></linearGradient><rect width="${side}" height="${side}" fill="url(#g)"/>`
    )
  },

  hills(side, { sky, ground, detail }, random) {
    const hill = (/** @type {number} */ y, /** @type {string} */ colour) => {
      const [a, b] = [y - random.between(10, 60), y + random.between(10, 60)]
      const [left, right] = [y + random.between(-25, 25), y + random.between(-25, 25)]
      return (
        `<path d="M0 ${number(left)} C${side / 3} ${number(a)} ${(side * 2) / 3} ${number(b)} ${side} ${number(right)}` +
        `V${side} H0Z" fill="${colour}"/>`
      )
    }
    const horizon = random.between(0.3, 0.6) * side
    return cover(side, sky) + hill(horizon, detail) + hill(horizon + random.between(25, 70), ground)
  },

  stripes(side, { sky, ground }, random) {
    const step = random.between(9, 30)
    return cover(side, sky) + ruled(side, step, random, { colour: ground, width: step * random.between(0.3, 0.6) })
  },

  dots(side, { sky, ground }, random) {
    const step = random.between(12, 32)
    const width = step * random.between(0.3, 0.7)
    // Dashes of no length with round ends are dots.
    return cover(side, sky) + ruled(side, step, random, { colour: ground, width, dashes: [0, step], round: true })
  },

  checks(side, { sky, ground }, random) {
    const width = random.between(8, 20)
    return (
      cover(side, sky) + ruled(side, width, random, { colour: ground, width, dashes: [width, width], shift: width })
    )
  },

  waves(side, { sky, ground }, random) {
    const step = random.between(14, 30)
    return (
      cover(side, sky) + ruled(side, step, random, { colour: ground, width: random.between(1.5, 4), swing: step / 4 })
    )
  },

  patches(side, { sky, any }, random) {
    let markup = cover(side, sky)
    for (let i = 0; i < 26; i++) {
      const [x, y, r] = [random.between(0, side), random.between(0, side), random.between(14, 60)]
      const corners = Array.from({ length: 3 + random.below(4) }, (_, k, turn = (k + random.between(0, 0.8)) * 1.3) =>
        [x + r * Math.cos(turn), y + r * Math.sin(turn)].map(number).join(),
      )
      markup += `<polygon points="${corners.join(' ')}" fill="${any()}" opacity=".55"/>`
    }
    return markup
  },
}

/**
 * Each is drawn about (0, 0), some 10 pixels across.
 *
 * @type {((colour: string, other: string) => string)[]}
 */
const clutter = [
  (colour) => `<circle r="5" fill="${colour}"/>`,
  (colour) => `<circle r="4" fill="none" stroke="${colour}" stroke-width="2"/>`,
  (colour) => `<path d="M0 -6 L5.5 4 H-5.5Z" fill="${colour}"/>`,
  (colour) => `<path d="M-6 0 C-3 -5 3 -5 6 0 C3 5 -3 5 -6 0Z" fill="${colour}"/>`,
  (colour) => `<path d="M-7 3 Q-4 -5 0 2 Q4 -5 7 3" fill="none" stroke="${colour}" stroke-width="1.8"/>`,
  (colour) =>
    `<path d="M0 -6 L1.6 -2 L6 -1.8 L2.6 1 L3.8 5.4 L0 3 L-3.8 5.4 L-2.6 1 L-6 -1.8 L-1.6 -2Z" fill="${colour}"/>`,
  (colour) => `<path d="M-8 4 a4 4 0 0 1 3 -7 a5 5 0 0 1 9 0 a4 4 0 0 1 3 7Z" fill="${colour}"/>`,
  (colour) =>
    `<path d="M-3 6 Q-5 0 -6 -4 M0 6 Q0 -1 0 -6 M3 6 Q4 0 6 -4" fill="none" stroke="${colour}" stroke-width="1.7"/>`,
  (colour, other) =>
    [0, 72, 144, 216, 288]
      .map((turn) => `<ellipse cy="-4" rx="2.3" ry="3" fill="${colour}" transform="rotate(${turn})"/>`)
      .join('') + `<circle r="2" fill="${other}"/>`,
  (colour, other) =>
    `<rect x="-1.5" width="3" height="6" fill="${other}"/><path d="M-6 1 C-6 -7 6 -7 6 1Z" fill="${colour}"/>`,
  (colour, other) => `<ellipse rx="6" ry="4" fill="${colour}"/><ellipse rx="2.5" ry="1.6" fill="${other}"/>`,
]

/**
 * @param {number} side the image's width and height in pixels
 * @param {Random} random
 */
export function background(side, random) {
  const colours = backgroundColours(random)
  let markup = grounds[random.pick(keysOf(grounds))](side, colours, random)
  const pieces = 6 + random.below(22)
  // One scene strews few sorts of things, as a meadow or a wallpaper does.
  const sorts = Array.from({ length: 1 + random.below(4) }, () => random.pick(clutter))
  for (let i = 0; i < pieces; i++) {
    const [x, y, turn] = [random.between(0, side), random.between(0, side), random.between(0, 360)].map(number)
    const scale = number(random.between(0.7, 3.4))
    markup += `<g transform="translate(${x} ${y}) rotate(${turn}) scale(${scale})">${random.pick(sorts)(colours.any(), colours.any())}</g>`
  }
  return markup
}

const cover = (/** @type {number} */ side, /** @type {string} */ colour) =>
  `<rect width="${side}" height="${side}" fill="${colour}"/>`

/**
 * Parallel lines across the whole square at some angle, plain, dashed or wavy. An SVG pattern takes thrice the time.
 *
 * @param {number} side
 * @param {number} step
 * @param {Random} random
 * @param {{ colour: string, width: number, dashes?: number[], shift?: number, swing?: number, round?: boolean }} how
 */
function ruled(side, step, random, { colour, width, dashes, shift = 0, swing = 0, round = false }) {
  const reach = side * 0.72
  const rows = Math.ceil((2 * reach) / step)
  const dash = dashes ? ` stroke-dasharray="${dashes.map(number).join(' ')}"` : ''
  let lines = ''
  for (let row = 0; row < rows; row++) {
    const [x, y] = [-reach - (row % 2) * shift, -reach + row * step]
    lines += `M${number(x)} ${number(y)}`
    if (swing === 0) lines += `H${number(reach)}`
    else {
      lines += `q${number(swing)} ${number(-swing)} ${number(2 * swing)} 0`
      for (let at = x + 2 * swing; at < reach; at += 2 * swing) lines += `t${number(2 * swing)} 0`
    }
  }
  const turn = number(random.between(0, 180))
  const ends = round ? ' stroke-linecap="round"' : ''
  return (
    `<path transform="translate(${side / 2} ${side / 2}) rotate(${turn})" d="${lines}" fill="none" stroke="${colour}"` +
    ` stroke-width="${number(width)}"${dash}${ends}/>`
  )
}
