/**
 * Draws samples/cat_dog.png, the first image that anyone explains: a cat and a dog on a summer meadow.
 *
 *     node scripts/samples/draw-cat-dog.mjs [FILE]
 */
import { fileURLToPath } from 'node:url'

import sharp from 'sharp'

import { svgDocument } from './scenes.mjs'
import { animals } from './scenes/animals.mjs'
import { Random } from './scenes/random.mjs'

const side = 448

const ginger = {
  body: '#f2a04e',
  dark: '#c96f2b',
  light: '#fff0d9',
  accent: '#f2919b',
  trim: '#3f88c5',
  ink: '#33262b',
}
const brown = { body: '#b98556', dark: '#75492c', light: '#f8e6cd', accent: '#f0768a', trim: '#3f9fc0', ink: '#33241f' }

/**
 * An animal whose 100 x 100 square has its middle at (x, y); seed 3 gives the cat its stripes and the dog its patch.
 *
 * @param {'cat' | 'dog'} name
 * @param {import('./scenes/animals.mjs').Palette} colours
 * @param {number} x
 * @param {number} y
 * @param {number} size
 */
function animal(name, colours, x, y, size, turn = 0, mirrored = false) {
  const scale = size / 100
  const shadow = `<ellipse cx="${x}" cy="${y + size * 0.45}" rx="${size * 0.42}" ry="${size * 0.06}" fill="#3c7a45" opacity=".45"/>`
  const flip = mirrored ? -scale : scale
  const drawn = animals[name].draw(colours, new Random(3))
  return `${shadow}<g transform="translate(${x} ${y}) rotate(${turn}) scale(${flip} ${scale}) translate(-50 -50)">${drawn}</g>`
}

/** @typedef {(x: number, y: number, scale: number) => string} Draw what stands at (x, y) */

/** @type {Draw} */
const cloud = (x, y, scale) =>
  `<g transform="translate(${x} ${y}) scale(${scale})" fill="#fff" opacity=".9"><circle cx="-22" cy="2" r="13"/>` +
  `<circle cx="-4" cy="-6" r="18"/><circle cx="17" cy="0" r="14"/><rect x="-36" y="0" width="68" height="15" rx="7.5"/></g>`

/** @type {Draw} */
const tree = (x, y, scale) =>
  `<g transform="translate(${x} ${y}) scale(${scale})"><rect x="-4" y="-14" width="8" height="30" fill="#8a6242"/>` +
  `<circle cx="0" cy="-36" r="24" fill="#5d9e64"/><circle cx="-15" cy="-24" r="16" fill="#5d9e64"/>` +
  `<circle cx="15" cy="-23" r="17" fill="#548f5c"/><circle cx="-6" cy="-42" r="13" fill="#74b273"/></g>`

/** @type {(x: number, y: number, scale: number, petals: string, heart: string) => string} */
const flower = (x, y, scale, petals, heart) =>
  `<g transform="translate(${x} ${y}) scale(${scale})"><path d="M0 4 V15" stroke="#4d8f4e" stroke-width="2"/>` +
  [0, 72, 144, 216, 288]
    .map((turn) => `<circle cy="-4.4" r="3.6" fill="${petals}" transform="rotate(${turn})"/>`)
    .join('') +
  `<circle r="3" fill="${heart}"/></g>`

function meadow(/** @type {Random} */ random) {
  let markup = ''
  for (let i = 0; i < 70; i++) {
    const [x, y] = [random.between(0, side), random.between(300, 440)]
    const height = random.between(5, 11)
    const blades = `M-4 0 Q-5 ${-height / 2} -7 ${-height} M0 0 V${-height - 2} M4 0 Q5 ${-height / 2} 7 ${-height}`
    markup +=
      `<path transform="translate(${x.toFixed(1)} ${y.toFixed(1)})" d="${blades}" fill="none"` +
      ` stroke="${random.pick(['#63ab5d', '#8fcc79', '#59a056'])}" stroke-width="2" stroke-linecap="round"/>`
  }
  return markup
}

const landscape =
  `<linearGradient id="sky" x2="0" y2="1"><stop stop-color="#8fd0ee"/><stop offset=".65" stop-color="#e4f5f2"/></linearGradient>` +
  `<rect width="${side}" height="${side}" fill="url(#sky)"/>` +
  `<circle cx="372" cy="66" r="46" fill="#fff3c4" opacity=".55"/><circle cx="372" cy="66" r="31" fill="#ffd866"/>` +
  cloud(96, 74, 1.15) +
  cloud(238, 46, 0.8) +
  cloud(292, 118, 0.6) +
  `<path d="M0 236 C70 176 130 196 190 230 C250 186 340 160 448 226 V448 H0Z" fill="#a9d8b0"/>` +
  `<path d="M0 270 C90 232 180 250 250 268 C320 240 390 236 448 262 V448 H0Z" fill="#8ecb8f"/>` +
  tree(30, 262, 0.9) +
  tree(66, 258, 0.62) +
  tree(424, 254, 0.82) +
  `<path d="M0 304 C120 276 300 284 448 308 V448 H0Z" fill="#79bf72"/>` +
  meadow(new Random(4))

const flowers =
  flower(30, 408, 1.2, '#fff', '#ffcf4d') +
  flower(52, 424, 0.9, '#f7a8b8', '#fff2b0') +
  flower(222, 420, 1.1, '#ffdf70', '#e98b3a') +
  flower(240, 404, 0.8, '#fff', '#ffcf4d') +
  flower(418, 412, 1.2, '#c3a6e8', '#fff2b0') +
  flower(400, 430, 0.9, '#fff', '#ffcf4d') +
  flower(214, 352, 0.7, '#f7a8b8', '#fff2b0')

const svg = svgDocument(
  side,
  side,
  landscape + animal('cat', ginger, 118, 296, 186) + animal('dog', brown, 324, 286, 206, 0, true) + flowers,
)
const file = process.argv[2] ?? fileURLToPath(new URL('../../samples/cat_dog.png', import.meta.url))
const { size } = await sharp(Buffer.from(svg)).removeAlpha().png({ compressionLevel: 9 }).toFile(file)
console.log(`${file}: ${side} x ${side}, ${(size / 1024).toFixed(0)} KiB`)
