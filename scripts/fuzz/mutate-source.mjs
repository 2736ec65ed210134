// Source files of TorchScript with something wrong in them.
import { itemAt, keysOf } from '../support/access.mjs'
import { integers, replaceOne } from './edits.mjs'

/** @typedef {import('./random.mjs').Random} Random */

const types = [
  'Tensor',
  'int',
  'float',
  'bool',
  'str',
  'Optional[Tensor]',
  'List[Tensor]',
  'Dict[str, Tensor]',
  'Any',
  'NoneType',
  'Tuple[Tensor, Tensor]',
  'Device',
  'Future[Tensor]',
  'Storage',
  'complex',
  'Nope',
  '__torch__.Nope',
]
const operators = [
  'relu',
  'relu_',
  'as_strided',
  'reshape',
  'view',
  'conv2d',
  'batch_norm',
  'flatten',
  'empty',
  'set_',
  'add',
  'add_',
  'resize_',
  'squeeze',
  'index',
  'embedding',
  'stack',
  'svd',
  'cat',
  'detach',
  'sum',
  'max_pool2d',
  'softmax',
  'linear',
  'from_file',
  'layer_norm',
  'sort',
  'nope',
]
const names = ['x', 'self', 's', 'forward', 'training', '__setstate__', 'weight', 'return', 'zz', 'for']
const signs = [
  '(',
  ')',
  '[',
  ']',
  ':',
  '\n',
  '"',
  '\0',
  '😀',
  '\\',
  '#',
  ',',
  '=',
  '.',
  ' ',
  '-',
  '"""',
  '@',
  '*',
  '\t',
  '('.repeat(10),
]
const returns = ['None', '(x,)', '[x]', 'x', '5', 'self', '(self).forward(x, )', 's']

/** Lines in another order, twice, or not at all. */
function moveLines(/** @type {string} */ text, /** @type {Random} */ random) {
  const lines = text.split('\n')
  const [from, to] = [random.integer(lines.length), random.integer(lines.length)]
  const [one, other] = [itemAt(lines, from), itemAt(lines, to)]
  const way = random.integer(3)
  if (way === 0) lines.splice(from, 1)
  else if (way === 1) lines.splice(to, 0, one)
  else [lines[from], lines[to]] = [other, one]
  return lines.join('\n')
}

/** An expression, or blocks, so deep that a parser that calls itself has no stack left. */
function nest(/** @type {string} */ text, /** @type {Random} */ random) {
  const deep = random.pick([100, 1000, 10_000, 60_000])
  const way = random.integer(4)
  if (way === 0)
    return text.replace(/return (\w+)/, (_, name) => `return ${'('.repeat(deep)}${name}${')'.repeat(deep)}`)
  if (way === 1)
    return text.replace(/return (\w+)/, (_, name) => `return ${'torch.add('.repeat(deep)}${name}${', 1)'.repeat(deep)}`)
  if (way === 2) return text.replace(/: bool/, `: ${'List['.repeat(deep)}int${']'.repeat(deep)}`)
  const depth = Math.min(deep, 1000)
  const blocks = Array.from({ length: depth }, (_, i) => `${'  '.repeat(i + 2)}if True:\n`).join('')
  return text.replace(/\n {4}return/, `\n${blocks}${'  '.repeat(depth + 2)}pass\n    return`)
}

/**
 * Edits of a source file of TorchScript, by what they are about.
 *
 * @satisfies {Record<string, (text: string, random: Random) => string>}
 */
const sourceEdits = {
  number: (text, random) => replaceOne(text, /-?\b\d+\b/g, random, () => String(random.pick(integers))),
  type: (text, random) =>
    replaceOne(text, /\b(?:Tensor|int|float|bool|str|Optional\[\w+\]|List\[\w+\])\b/g, random, () =>
      random.pick(types),
    ),
  operator: (text, random) => replaceOne(text, /\btorch\.\w+/g, random, () => `torch.${random.pick(operators)}`),
  constant: (text, random) =>
    replaceOne(text, /\b(?:True|False|None)\b/g, random, () =>
      random.pick(['True', 'False', 'None', '0', '1.5', '"x"']),
    ),
  lines: moveLines,
  returned: (text, random) => replaceOne(text, /return \w+/g, random, () => `return ${random.pick(returns)}`),
  loop: (text, random) => {
    const times = random.pick([0, 10, 100_000])
    const body = `\n    for _i in range(${times}):\n      _zz = torch.mul(x, 2)`
    return replaceOne(text, /\n {4}return /g, random, (found) => body + found)
  },
  call: (text, random) =>
    text.replace(/\)\.forward\((\w+), \)/, (_, name) =>
      random.pick([`).nope(${name}, )`, ').forward()', `).forward(${name}, ${name}, )`, `)(${name})`]),
    ),
  name: (text, random) => replaceOne(text, /\b[a-z]\w*\b/g, random, () => random.pick(names)),
  sign: (text, random) => {
    const at = random.integer(text.length)
    return text.slice(0, at) + random.pick(signs) + text.slice(at + random.integer(3))
  },
  cut: (text, random) => text.slice(0, random.integer(text.length)),
  nest,
  parameters: (text, random) =>
    text.replace(/__parameters__ = \[[^\]]*\]/, () =>
      random.pick([
        '__parameters__ = ["nope", ]',
        '__parameters__ = ["training", ]',
        '__parameters__ = ["weight", "weight", ]',
        '__parameters__ = [5]',
        '',
      ]),
    ),
}

/** A source with something wrong in it, and in words what that is about. */
export function mutateSource(/** @type {string} */ source, /** @type {Random} */ random) {
  const what = random.pick(keysOf(sourceEdits))
  return { source: sourceEdits[what](source, random), what }
}
