// Model files with something wrong in them: their bytes, their records, their source, their pickles.
import { mutateBytes } from './random.mjs'
import { readZip, writeZip } from './zip.mjs'

/** @typedef {import('./random.mjs').Random} Random */

/** Where integers go wrong: around zero, around powers of two, and what is no int64 any more after a sum or product. */
const integers = [
  0,
  1,
  -1,
  2,
  3,
  7,
  31,
  64,
  127,
  128,
  255,
  256,
  1000,
  65_535,
  65_536,
  2 ** 20,
  2 ** 24,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32,
  1e12,
  2 ** 53 - 1,
  '9223372036854775807',
  '-9223372036854775808',
]
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
const storages = [
  'Float',
  'Double',
  'Half',
  'Long',
  'Int',
  'Short',
  'Char',
  'Byte',
  'Bool',
  'BFloat16',
  'ComplexFloat',
  'QInt8',
  'QInt32',
  'Untyped',
  'Nope',
].map((name) => `${name}Storage`)
const globals = [
  'torch._utils\n_rebuild_qtensor',
  'torch._utils\n_rebuild_parameter',
  'torch._utils\n_rebuild_sparse_tensor',
  'torch.jit._pickle\nbuild_intlist',
  'torch.jit._pickle\nrestore_type_tag',
  'torch.jit._pickle\nbuild_tensor_from_id',
  'torch\nnope',
  'torch\ndevice',
  'os\nsystem',
  'collections\nOrderedDict',
  '__torch__.Nope',
  'xyz',
  'cuda',
  'meta',
]
const texts = [
  'torch._utils\n_rebuild_tensor_v2',
  'collections\nOrderedDict',
  'cpu',
  'storage',
  'weight',
  'training',
  '__torch__.',
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

/** One of the places where the pattern matches, with something else there. */
function replaceOne(/** @type {string} */ text, /** @type {RegExp} */ pattern, /** @type {Random} */ random, make) {
  const places = [...text.matchAll(pattern)]
  if (places.length === 0) return text
  const place = random.pick(places)
  return text.slice(0, place.index) + make(place[0]) + text.slice(place.index + place[0].length)
}

/** Lines in another order, twice, or not at all. */
function moveLines(text, random) {
  const lines = text.split('\n')
  const [from, to] = [random.integer(lines.length), random.integer(lines.length)]
  const way = random.integer(3)
  if (way === 0) lines.splice(from, 1)
  else if (way === 1) lines.splice(to, 0, lines[from])
  else [lines[from], lines[to]] = [lines[to], lines[from]]
  return lines.join('\n')
}

/** An expression, or blocks, so deep that a parser that calls itself has no stack left. */
function nest(text, random) {
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

/** Edits of a source file of TorchScript, by what they are about. */
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

/** Where the integers of a pickle are: offset and length of the opcode with its argument. */
function pickledIntegers(/** @type {Buffer} */ pickle) {
  const found = []
  for (let at = 2; at < pickle.length - 1; at++) {
    const opcode = String.fromCharCode(pickle[at])
    const length = { K: 2, M: 3, J: 5, '\x8a': 2 + pickle[at + 1] }[opcode]
    if (length !== undefined) found.push({ at, length })
    // What an opcode is followed by is none itself.
    if (length !== undefined) at += length - 1
    else if (opcode === 'X') at += 4 + pickle.readUInt32LE(at + 1)
    else if (opcode === 'c') at = pickle.indexOf(10, pickle.indexOf(10, at) + 1)
    else at += { q: 1, h: 1, r: 4, j: 4, G: 8 }[opcode] ?? 0
  }
  return found
}

function pickledInteger(value) {
  const long = Buffer.from([0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0])
  long.writeBigInt64LE(BigInt(value), 2)
  if (typeof value === 'string' || Math.abs(value) >= 2 ** 31) return long
  const short = Buffer.from('J\0\0\0\0')
  short.writeInt32LE(value, 1)
  return short
}

const spliced = (bytes, at, length, put) => Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + length)])
const recordOf = (records, ending) => records.find(({ name }) => name.endsWith(ending))

/** Mutations of the records of an archive. They change them in place, and say in words what they did. */
export const recordMutations = {
  records(records, random) {
    const [one, other] = [random.pick(records), random.pick(records)]
    const changes = {
      swapped: () => ([one.data, other.data] = [other.data, one.data]),
      removed: () => records.splice(records.indexOf(one), 1),
      cut: () => (one.data = one.data.subarray(0, random.integer(one.data.length + 1))),
      lengthened: () => (one.data = Buffer.concat([one.data, Buffer.alloc(random.integer(5000))])),
      doubled: () => records.push({ ...one }),
      renamed: () =>
        (one.name = random.pick([
          `${one.name}x`,
          `../${one.name}`,
          '',
          other.name,
          one.name.replace('/', '//'),
          'x/'.repeat(2000),
        ])),
      'of another size': () => (one.claimed = random.pick([0, 1, one.data.length + 1, 2 ** 31 - 1, 2 ** 32 - 1])),
      emptied: () => (one.data = Buffer.alloc(0)),
      'with a wrong sum': () => (one.wrongSum = true),
    }
    const how = random.pick(Object.keys(changes))
    const what = `${one.name} ${how}`
    changes[how]()
    return what
  },
  storage(records, random) {
    const one = random.pick(records.filter(({ name }) => /\/data\/\d+$/.test(name)))
    const length = random.pick([0, 1, one.data.length >> 1, Math.max(0, one.data.length - 1)])
    one.data = one.data.subarray(0, length)
    return `${one.name} cut to ${length} bytes`
  },
  source(records, random) {
    const sources = records.filter(({ name }) => /code\/.*\.py$/.test(name))
    const done = []
    for (let times = random.integer(3); times >= 0; times--) {
      const one = random.pick(sources)
      const edit = random.pick(Object.keys(sourceEdits))
      one.data = Buffer.from(sourceEdits[edit](one.data.toString(), random))
      done.push(edit)
    }
    return done.join(', ')
  },
  integer(records, random) {
    const one =
      recordOf(records, random.next() < 0.9 ? '/data.pkl' : '/constants.pkl') ?? recordOf(records, '/data.pkl')
    const done = []
    for (let times = random.integer(4); times >= 0; times--) {
      const places = pickledIntegers(one.data)
      if (places.length === 0) break
      const { at, length } = random.pick(places)
      const value = random.pick(integers)
      one.data = spliced(one.data, at, length, pickledInteger(value))
      done.push(`${value} at ${at}`)
    }
    return done.join(', ')
  },
  dtype(records, random) {
    const one = recordOf(records, '/data.pkl')
    const storage = random.pick(storages)
    one.data = Buffer.from(
      replaceOne(one.data.toString('latin1'), /\w+Storage/g, random, () => storage),
      'latin1',
    )
    return storage
  },
  pickle(records, random) {
    const one = recordOf(records, '/data.pkl')
    const changed = Buffer.from(one.data)
    const opcodes = [...Buffer.from('(]}).taeRbucq0K1N\x88\x89\x85\x86\x87h', 'latin1')]
    const count = 1 + random.integer(4)
    for (let i = 0; i < count; i++) {
      const at = random.integer(changed.length)
      changed[at] = random.pick([changed[at] ^ (1 << random.integer(8)), random.pick(opcodes), random.integer(256)])
    }
    one.data = changed
    return `${count} bytes`
  },
  global(records, random) {
    const one = recordOf(records, '/data.pkl')
    const [from, to] = [random.pick(texts), random.pick(globals)]
    const at = one.data.indexOf(from, 0, 'latin1')
    if (at < 0) return 'nothing'
    // A text has its length before it.
    const isText = one.data[at - 5] === 'X'.charCodeAt(0)
    one.data = spliced(one.data, at, from.length, Buffer.from(to, 'latin1'))
    if (isText) one.data.writeUInt32LE(Math.max(0, one.data.readUInt32LE(at - 4) + to.length - from.length), at - 4)
    return `${JSON.stringify(from)} to ${JSON.stringify(to)}`
  },
  constants(records, random) {
    const one = recordOf(records, '/constants.pkl')
    const pickles = {
      "the model's": recordOf(records, '/data.pkl').data,
      'an integer': Buffer.from('\x80\x02K\x01.', 'latin1'),
      'a deep tuple': Buffer.from(`\x80\x02${'('.repeat(100_000)})t.`, 'latin1'),
      'a list': Buffer.from('\x80\x02](K\x01K\x02e.', 'latin1'),
    }
    const which = random.pick(Object.keys(pickles))
    one.data = pickles[which]
    return which
  },
  version(records, random) {
    const one = random.pick(records.filter(({ name }) => /(?:version|byteorder|serialization_id)$/.test(name)))
    const value = random.pick(['', '0', '-1', '2', '9'.repeat(21), 'big', 'abc', '3\n', '1'])
    one.data = Buffer.from(value)
    return `${one.name} ${JSON.stringify(value)}`
  },
  'deep pickle'(records, random) {
    const one = recordOf(records, '/data.pkl')
    const deep = random.pick([1000, 100_000, 1_000_000])
    const pickles = {
      lists: Buffer.from(`\x80\x02${']'.repeat(deep)}${'a'.repeat(deep - 1)}.`, 'latin1'),
      tuples: Buffer.from(`\x80\x02)${'\x85'.repeat(deep)}.`, 'latin1'),
      marks: Buffer.from(`\x80\x02${'('.repeat(deep)}.`, 'latin1'),
      'marks before the model': Buffer.concat([one.data.subarray(0, 2), Buffer.alloc(deep, '('), one.data.subarray(2)]),
    }
    const which = random.pick(Object.keys(pickles))
    one.data = pickles[which]
    return `${deep} ${which}`
  },
}

/** What is done most often is where most was found. */
const ways = [
  'bytes',
  ...Object.keys(recordMutations),
  'source',
  'source',
  'source',
  'integer',
  'integer',
  'integer',
  'pickle',
  'pickle',
  'records',
  'bytes',
  'storage',
]

/** A model file with something wrong in it, and in words what was done. */
export function mutateModel(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const way = random.pick(ways)
  if (way === 'bytes') return mutateBytes(bytes, random)
  const records = readZip(bytes)
  const what = recordMutations[way](records, random)
  return { bytes: writeZip(records), what: `${way}: ${what}`.slice(0, 200) }
}
