// Images that take much from a small file, that claim more than they hold, or that are something else. The first seeds.
import { crc32, deflateSync } from 'node:zlib'

const uint32 = (/** @type {number} */ value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function chunk(/** @type {string} */ type, /** @type {Buffer} */ data) {
  const named = Buffer.concat([Buffer.from(type), data])
  return Buffer.concat([uint32(data.length), named, uint32(crc32(named))])
}

/**
 * A PNG of one or four channels, which says that it has this size.
 *
 * @param {number} width
 * @param {number} height
 * @param {Buffer} data
 */
function png(width, height, data, { depth = 8, color = 0, between = /** @type {Buffer[]} */ ([]) } = {}) {
  const header = chunk('IHDR', Buffer.concat([uint32(width), uint32(height), Buffer.from([depth, color, 0, 0, 0])]))
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([signature, header, ...between, chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))])
}

const zeros = (/** @type {number} */ length) => deflateSync(Buffer.alloc(length), { level: 9 })

const svg = (/** @type {string} */ body, attributes = 'width="40" height="40"') =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ${attributes}>${body}</svg>`,
  )

/** Entities of entities: 10^9 letters. */
const laughs = `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">${Array.from('bcdefghij', (name, i) => {
  return `<!ENTITY ${name} "${`&${'abcdefghij'[i]};`.repeat(10)}">`
}).join('')}]>`

const uses = Array.from({ length: 12 }, (_, i) => `<g id="a${i + 1}">${`<use xlink:href="#a${i}"/>`.repeat(10)}</g>`)

/** @type {readonly { name: string, make: () => Buffer }[]} */
export const hostileImages = Object.entries({
  'png of 13000 x 13000, all zero': () => png(13_000, 13_000, zeros(13_001 * 13_000)),
  'png of one bit, 13300 x 13300': () => png(13_300, 13_300, zeros(1664 * 13_300), { depth: 1 }),
  'png of 16 bits and 4 channels that ends early': () => png(4000, 4000, zeros(100), { depth: 16, color: 6 }),
  'png that claims 2^31 x 2^31': () => png(2 ** 31 - 1, 2 ** 31 - 1, zeros(10)),
  'png that claims one row of 178956970': () => png(178_956_970, 1, zeros(10)),
  'png that claims one column of 16777216': () => png(1, 2 ** 24, zeros(10)),
  'png with 200 MB of compressed text': () =>
    png(4, 4, zeros(20), { between: [chunk('zTXt', Buffer.concat([Buffer.from('x\0\0'), zeros(200 * 2 ** 20)]))] }),
  svg: () => svg('<rect width="40" height="40" fill="red"/>'),
  'svg with an entity of a file': () =>
    Buffer.concat([
      Buffer.from('<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
      svg('<text x="5" y="20">&x;</text>'),
    ]),
  'svg of a billion laughs': () => Buffer.concat([Buffer.from(laughs), svg('<text>&j;</text>')]),
  'svg of a million by a million': () => svg('<rect width="9" height="9"/>', 'width="1000000" height="1000000"'),
  'svg 200000 groups deep': () => svg('<g>'.repeat(200_000) + '</g>'.repeat(200_000)),
  'svg that uses itself 10^12 times': () =>
    svg(`<defs><g id="a0"><rect width="1" height="1"/></g>${uses.join('')}</defs><use xlink:href="#a12"/>`),
  'svg with a filter without end': () =>
    svg(
      '<filter id="f"><feGaussianBlur stdDeviation="500"/><feTurbulence baseFrequency="0.01" numOctaves="1000"/></filter>' +
        '<rect width="4000" height="4000" filter="url(#f)"/>',
      'width="4000" height="4000"',
    ),
  'svg with a script': () => svg('<script>alert(1)</script><foreignObject><p>x</p></foreignObject>'),
  pdf: () => Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>'),
  'html that begins as a gif': () => Buffer.from('GIF89a/*<html><script>alert(1)</script>*/=1;'),
  'ppm of 60000 x 60000': () => Buffer.from('P6\n60000 60000\n255\n'),
  pfm: () => Buffer.from('PF\n999999 999999\n-1.0\n'),
  csv: () => Buffer.from('1,2,3\n4,5,6\n'),
  vips: () => Buffer.concat([Buffer.from([0xb6, 0xa6, 0xf2, 0x08]), Buffer.alloc(60)]),
  radiance: () => Buffer.from('#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n'),
  fits: () => Buffer.from('SIMPLE  =                    T'.padEnd(2880)),
  matlab: () => Buffer.from('MATLAB 5.0 MAT-file'.padEnd(200, '\0')),
  nothing: () => Buffer.alloc(0),
}).map(([name, make]) => ({ name, make }))
