// Draws docs/images/architecture.svg, the drawing of docs/architecture.md: run it again when a folder comes or goes.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { floors } from '../check/arrows.mjs'

const width = 960
const font = 'font-family="system-ui, sans-serif"'

/**
 * A titled box with rooms in it.
 *
 * @typedef {{ title: string, note: string[], rooms: string[], color: string }} Layer
 */
function layer(
  /** @type {number} */ y,
  /** @type {number} */ height,
  /** @type {Layer} */ { title, note, rooms, color },
) {
  const columns = 6
  const [cellWidth, cellHeight] = [(width - 260) / columns, 34]
  const cells = rooms.map((room, i) => {
    const x = 230 + (i % columns) * cellWidth
    const top = y + 14 + Math.floor(i / columns) * (cellHeight + 8)
    return (
      `<rect x="${x}" y="${top}" width="${cellWidth - 8}" height="${cellHeight}" rx="5" fill="#fff" stroke="${color}"/>` +
      `<text x="${x + (cellWidth - 8) / 2}" y="${top + 22}" text-anchor="middle" font-size="14">${room}</text>`
    )
  })
  return (
    `<rect x="20" y="${y}" width="${width - 40}" height="${height}" rx="8" fill="${color}" fill-opacity="0.14" stroke="${color}"/>` +
    `<text x="38" y="${y + 32}" font-size="18" font-weight="600">${title}</text>` +
    note.map((line, i) => `<text x="38" y="${y + 54 + i * 17}" font-size="12.5" fill="#444">${line}</text>`).join('') +
    cells.join('')
  )
}

const arrow = (/** @type {number} */ y, /** @type {string} */ text) =>
  `<path d="M ${width / 2} ${y} v 20" stroke="#555" stroke-width="2" marker-end="url(#head)"/>` +
  `<text x="${width / 2 + 14}" y="${y + 17}" font-size="12.5" fill="#444">${text}</text>`

const fromTheTop = (/** @type {string[][]} */ rooms) => rooms.toReversed().flat()

/** What lib has besides the library itself. */
const callers = ['cli', 'server', 'report', 'index.ts', 'internal.ts']

const parts = [
  layer(20, 62, {
    title: 'callers',
    note: ['use the library only'],
    rooms: ['cli', 'server', 'report', 'examples', 'your service'],
    color: '#8a6d3b',
  }),
  arrow(82, 'functions and classes of lib/index.ts'),
  layer(112, 188, {
    title: 'lib (TypeScript)',
    note: ['validation, errors,', 'lifetime, types.', 'Imports run from', 'upper rows to lower ones.'],
    rooms: fromTheTop(floors.lib).filter((room) => !callers.includes(room)),
    color: '#2f6f9f',
  }),
  arrow(300, 'Node-API: one call per pass; results come back on the event loop'),
  layer(330, 84, {
    title: 'native/node (C++)',
    note: ['conversion, promises,', 'one executor per model'],
    rooms: ['passes', 'models', 'operators', 'metrics', 'images', 'environment'],
    color: '#3c8d5a',
  }),
  arrow(414, 'plain C++, no Node headers'),
  layer(444, 146, {
    title: 'native/core (C++)',
    note: ['one engine for all', 'methods. Includes run', 'one way, no circles.'],
    rooms: fromTheTop(floors['native/core']),
    color: '#7b4fa3',
  }),
  arrow(590, ''),
  layer(620, 62, {
    title: 'LibTorch',
    note: ['CPU or CUDA'],
    rooms: ['TorchScript', 'autograd', 'ATen, oneDNN'],
    color: '#b04a3a',
  }),
]

export const file = fileURLToPath(new URL('../../docs/images/architecture.svg', import.meta.url))

export const svg =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} 702" ${font} role="img" ` +
  'aria-label="Callers use lib, lib uses native/node, which uses native/core, which uses LibTorch">' +
  '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="5" refY="4" orient="auto">' +
  '<path d="M 0 0 L 8 4 L 0 8 z" fill="#555"/></marker></defs>' +
  `<rect width="${width}" height="702" fill="#fff"/>${parts.join('')}</svg>\n`
if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, svg)
