// `npm run lint` runs it: lib and native/core are divided into rooms (folders), and a file may use only what lies on a
// floor below its own. So arrows run one way, and no circle leaves a room.
//
// A script of our own, and no dependency-cruiser: that reads TypeScript through the compiler's JavaScript API, which
// TypeScript 7 no longer has, and it knows nothing of #include.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

/** From the ground up. Rooms of one floor do not know each other. A file that lies loose in lib is a room of its own. */
export const floors = {
  lib: [
    ['base'],
    ['addon', 'archive', 'storage'],
    ['tensor', 'setup', 'exported', 'model-file'],
    ['architectures'],
    ['model', 'target', 'images'],
    ['explain', 'preprocess'],
    ['cam', 'perturbation', 'attention', 'metrics'],
    ['attribution'],
    ['methods'],
    ['batch'],
    ['jobs'],
    ['report'],
    ['server', 'queue'],
    ['cli'],
    ['index.ts'],
    ['internal.ts'],
  ],
  'native/core': [
    ['base'],
    ['memory', 'kernels', 'graphs'],
    ['autograd', 'methods', 'targets', 'rescale', 'attribution', 'metrics', 'images'],
    ['hooks', 'relevance'],
    ['split', 'maps'],
    ['model', 'rerun'],
    ['pass'],
  ],
}

/**
 * Circles of files inside one room that are there on purpose, each with its reason; by the first name in the alphabet.
 *
 * @type {Record<string, string>}
 */
const knownCircles = {
  'lib/tensor/dispatch.ts': 'tensors have the operators as methods, and operators make tensors',
}

/** What native/core may not include: the binding, and the headers of Node. */
const bindingHeaders = /^(?:node\/|napi|node_api|js_native_api|uv\.h|v8)/

/** @typedef {{ from: string, to: string }} Arrow between two files, by their paths from the root */

const list = (/** @type {string} */ folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'))
    : []

/**
 * The files under `folder` that end so, with what each names in its source by one of the pattern's groups.
 *
 * @param {string} root
 * @param {string} folder
 * @param {RegExp} ending
 * @param {RegExp} pattern
 */
function mentions(root, folder, ending, pattern) {
  return list(join(root, folder))
    .filter((name) => ending.test(name) && !name.includes('node_modules/'))
    .flatMap((name) =>
      Array.from(readFileSync(join(root, folder, name), 'utf8').matchAll(pattern), (found) => ({
        from: `${folder}/${name}`,
        named: found.slice(1).find((group) => group !== undefined) ?? '',
      })),
    )
}

// Of types as well: `import type`, and import('./x.js').Type.
const imports =
  /^\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
const includes = /^\s*#\s*include\s*["<]([^">]+)[">]/gm

/** @returns {Arrow[]} */
function arrowsOfLib(/** @type {string} */ root) {
  return mentions(root, 'lib', /\.ts$/, imports)
    .filter(({ named }) => named.startsWith('.'))
    .map(({ from, named }) => ({ from, to: posix.join(posix.dirname(from), named).replace(/\.js$/, '.ts') }))
}

/** @returns {Arrow[]} */
function arrowsOfNative(/** @type {string} */ root) {
  return mentions(root, 'native', /\.(?:h|cc)$/, includes).flatMap(({ from, named }) => {
    const beside = posix.join(posix.dirname(from), named)
    const to = existsSync(join(root, beside)) ? beside : `native/${named}`
    return existsSync(join(root, to)) ? [{ from, to }] : []
  })
}

/** @returns {string[]} what is wrong with arrows between the rooms of a part */
function upward(/** @type {Arrow[]} */ arrows, /** @type {keyof typeof floors} */ part) {
  const order = floors[part]
  const roomOf = (/** @type {string} */ file) => file.slice(part.length + 1).split('/')[0] ?? ''
  const floorOf = (/** @type {string} */ room) => order.findIndex((rooms) => rooms.includes(room))
  const within = arrows.filter(({ from, to }) => [from, to].every((file) => file.startsWith(`${part}/`)))
  return within.flatMap(({ from, to }) => {
    const rooms = [roomOf(from), roomOf(to)]
    const [high, low] = rooms.map(floorOf)
    const unknown = rooms.find((room) => floorOf(room) < 0)
    if (unknown) return [`${part}/${unknown} is on no floor: add it to \`floors\` in scripts/check/arrows.mjs`]
    if (rooms[0] === rooms[1] || (high ?? 0) > (low ?? 0)) return []
    return [`${from} uses ${to}, but ${rooms[0]} lies ${high === low ? 'beside' : 'below'} ${rooms[1]}`]
  })
}

/** @returns {string[][]} the circles among files: the strongly connected components of more than one (Tarjan 1972) */
export function circles(/** @type {Arrow[]} */ arrows) {
  /** @type {Map<string, string[]>} */
  const next = new Map()
  for (const { from, to } of arrows) next.set(from, [...(next.get(from) ?? []), to])
  const order = new Map()
  const lowest = new Map()
  /** @type {string[]} */
  const open = []
  /** @type {string[][]} */
  const found = []
  const visit = (/** @type {string} */ file) => {
    order.set(file, order.size)
    lowest.set(file, order.get(file))
    open.push(file)
    for (const to of next.get(file) ?? []) {
      if (!order.has(to)) visit(to)
      if (open.includes(to)) lowest.set(file, Math.min(lowest.get(file), lowest.get(to)))
    }
    if (lowest.get(file) !== order.get(file)) return
    const circle = open.splice(open.indexOf(file))
    if (circle.length > 1) found.push(circle.sort())
  }
  for (const file of next.keys()) if (!order.has(file)) visit(file)
  return found
}

/** @returns {string[]} everything that is wrong with the arrows of the tree below `root`, a sentence each */
export function arrowErrors(/** @type {string} */ root) {
  const [lib, native] = [arrowsOfLib(root), arrowsOfNative(root)]
  const outside = lib.filter(({ to }) => !to.startsWith('lib/'))
  const binding = mentions(root, 'native/core', /\.(?:h|cc)$/, includes).filter(({ named }) =>
    bindingHeaders.test(named),
  )
  const found = circles([...lib, ...native]).filter(([first = '']) => !Object.hasOwn(knownCircles, first))
  const ofDist = mentions(root, 'scripts', /\.mjs$/, imports).filter(({ named }) => /\bdist\//.test(named))
  return [
    ...new Set([
      ...upward(lib, 'lib'),
      ...upward(native, 'native/core'),
      ...outside.map(({ from, to }) => `${from} imports ${to}, which is not in lib`),
      ...binding.map(({ from, named }) => `${from} includes ${named}, but native/core knows nothing of Node`),
      ...found.map((files) => `a circle: ${files.join(', ')}`),
      ...ofDist.map(
        ({ from, named }) =>
          `${from} imports ${named}: take it from 'libtorch-gradcam', '#internal' or '#test-support/'`,
      ),
    ]),
  ]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(import.meta.dirname))
  const errors = arrowErrors(root)
  for (const error of errors) console.error(error)
  if (errors.length > 0) process.exit(1)
  const files = new Set([...arrowsOfLib(root), ...arrowsOfNative(root)].flatMap(({ from, to }) => [from, to]))
  console.log(`${files.size} files of lib and native: all arrows run down, and no circles but those that are known.`)
}
