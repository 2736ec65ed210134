// What a job reads besides images: lists, labels, its options and its manifest, with something wrong in them. Nothing that
// they say may lead out of the folder of the results, or become markup in the page.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { FileSource, readJobSpec, readLabels, readManifest, readPreprocess, writeReport } from 'libtorch-gradcam'
import { keysOf } from '../../support/access.mjs'
import { mutateBytes, randomOf } from '../random.mjs'

/** @typedef {import('../random.mjs').Random} Random */

const markup = [
  '<script>alert(1)</script>',
  '</script><script>alert(2)</script>',
  '<img src=x onerror=alert(3)>',
  "'onclick='alert(4)",
  '<!-- {{items}} -->',
  '{{job}}',
  '{{policy}}',
  '$&$`',
  '</title></style>',
  '\u2028',
  '<!--<script>',
  'javascript:alert(5)',
]
const paths = [
  '../../../etc/passwd',
  '/etc/passwd',
  'file:///etc/passwd',
  'http://127.0.0.1/x.png',
  '/dev/zero',
  '/proc/self/environ',
  'a.jpg',
  'sub/b.jpg',
  'a.jpg@3',
  '.gradcam-lock/x',
  'manifest.jsonl',
  'a'.repeat(5000),
  '^',
  '^/x',
  '',
  '.',
  'a\0b',
  '\ud800',
]
const scalars = [
  null,
  true,
  0,
  -1,
  1.5,
  Number.MAX_VALUE,
  2 ** 53,
  -0,
  '',
  'x',
  'argmax',
  [],
  {},
  [[]],
  { kind: 'box' },
  '__proto__',
]

/**
 * Any JSON, deep or flat.
 *
 * @returns {unknown}
 */
function json(/** @type {Random} */ random, depth = 3) {
  const way = random.integer(depth > 0 ? 8 : 5)
  if (way < 3) return random.pick(scalars)
  if (way === 3) return random.pick(markup)
  if (way === 4) return random.pick(paths)
  const list = Array.from({ length: random.integer(5) }, () => json(random, depth - 1))
  if (way === 5) return list
  return Object.fromEntries(
    list.map((value) => [random.pick(['id', 'path', 'target', 'kind', 'files', ...paths]), value]),
  )
}

/**
 * An object with some of its values, or those within them, replaced.
 *
 * @returns {unknown}
 */
function distorted(/** @type {unknown} */ value, /** @type {Random} */ random) {
  if (typeof value !== 'object' || value === null || random.next() < 0.05) return json(random)
  const copy = Array.isArray(value) ? [...value] : { ...value }
  for (const [key, part] of Object.entries(copy)) {
    const dice = random.next()
    if (dice < 0.06) Reflect.set(copy, key, distorted(part, random))
    else if (dice < 0.08) Reflect.deleteProperty(copy, key)
    else if (dice < 0.12 && typeof part === 'string') Reflect.set(copy, key, random.pick([...markup, ...paths]))
  }
  return copy
}

const digest = 'a'.repeat(64)
const result = {
  id: 'a.jpg',
  input: '/nowhere/a.jpg',
  sha256: digest,
  target: 1,
  label: 'cat',
  score: 2.5,
  top: [{ class: 1, label: 'cat', score: 2.5, probability: 0.9 }],
  method: 'gradcam',
  layer: 'features',
  size: [10, 20],
  region: { left: 0, top: 0, right: 20, bottom: 10 },
  map: { height: 2, width: 2, levels: 'AAECAw==' },
  files: { overlay: 'a.jpg.overlay.jpg' },
  digests: { overlay: { bytes: 5, sha256: digest } },
  inputFile: { bytes: 5, modified: 1.5 },
  milliseconds: 3,
}
const failure = {
  id: 'b.jpg',
  input: '/nowhere/b.jpg',
  sha256: null,
  error: { code: 'ERR_IMAGE_CORRUPT', message: 'torn' },
}
const spec = {
  version: 1,
  model: { path: 'm.pt', sha256: digest },
  method: 'gradcam',
  precision: null,
  layer: 'features',
  target: 'argmax',
  preprocess: { resize: 8 },
  write: [],
  alpha: 0.5,
  labels: ['cat'],
  sources: ['in'],
  base: '/in',
}

/** Text with something wrong in it: now and then in its bytes. */
function toBytes(/** @type {string} */ text, /** @type {Random} */ random) {
  return random.next() < 0.2 ? mutateBytes(Buffer.from(text), random).bytes : Buffer.from(text)
}

/**
 * Each writes a file into the folder, has it read, and says what is wrong.
 *
 * @satisfies {Record<string, (folder: string, random: Random) => Promise<string[]>>}
 */
const steps = {
  async list(folder, random) {
    const lines = Array.from({ length: 1 + random.integer(20) }, () => {
      const path = random.pick(paths)
      return random.pick([
        () => path,
        () => `${path}\t${random.pick(scalars.map(String))}`,
        () => JSON.stringify({ path, target: json(random) }),
        () => JSON.stringify(json(random)),
      ])()
    })
    const file = join(folder, random.pick(['list.txt', 'list.tsv', 'list.jsonl']))
    writeFileSync(file, toBytes(lines.join(random.pick(['\n', '\r\n'])), random))
    const source = await FileSource.open([file], { exclude: join(folder, 'out'), labels: ['cat', 'dog'] })
    const problems = []
    for await (const { id, input } of source.entries()) {
      if (id === '' || isAbsolute(id) || id.split('/').includes('..'))
        problems.push(`the id ${JSON.stringify(id)} leads out`)
      if (!isAbsolute(input)) problems.push(`the input ${JSON.stringify(input)} is not an absolute path`)
    }
    return problems
  },
  async manifest(folder, random) {
    const lines = Array.from({ length: 1 + random.integer(8) }, (_, i) => {
      const line = random.pick([result, result, failure])
      return JSON.stringify(distorted({ ...line, id: `${i}.jpg` }, random))
    })
    writeFileSync(join(folder, 'manifest.jsonl'), toBytes(`${lines.join('\n')}\n${JSON.stringify(result)}\n`, random))
    writeFileSync(join(folder, 'job.json'), JSON.stringify(spec))
    let count = 0
    for await (const line of readManifest(folder)) {
      count++
      if (
        'files' in line &&
        Object.values(line.files).some((file) => isAbsolute(file) || file.split('/').includes('..'))
      )
        return [`a file of ${JSON.stringify(line.files)} leads out`]
    }
    if (count === 0) return []
    await writeReport(folder, join(folder, 'page.html'), { thumbnail: 16 })
    const page = readFileSync(join(folder, 'page.html'), 'utf8')
    // Its own: the job, one block of items, and the module.
    const scripts = page.match(/<script/g)?.length
    return scripts === 3 && !page.includes('<img') ? [] : [`the page has ${scripts} scripts`]
  },
  async job(folder, random) {
    writeFileSync(join(folder, 'job.json'), toBytes(JSON.stringify(distorted(spec, random)), random))
    await readJobSpec(folder)
    return []
  },
  async labels(folder, random) {
    const file = join(folder, random.pick(['labels.txt', 'labels.json']))
    const text = random.pick([
      () => JSON.stringify(json(random)),
      () => markup.join('\n'),
      () => '{"id2label": {"0": 7}}',
    ])
    writeFileSync(file, toBytes(text(), random))
    const labels = await readLabels(file)
    return labels.every((label) => typeof label === 'string') ? [] : ['a label is not a string']
  },
  async preprocess(_folder, random) {
    const whole = { resize: 8, resample: 'bilinear', crop: [8, 8], fill: 0, mean: [0, 0, 0], std: [1, 1, 1] }
    // Not what its type asks for: it checks what a file says.
    /** @type {ReturnType<typeof readPreprocess>} */
    const read = Reflect.apply(readPreprocess, undefined, [distorted(whole, random)])
    return typeof read.resample === 'string' ? [] : ['it has no resample']
  },
}

/** @returns {Promise<import('../types.d.mts').Kind>} */
export async function prepare(/** @type {string} */ folder) {
  return {
    run: async (id, begin) => {
      const random = randomOf(Number(id))
      const step = random.pick(keysOf(steps))
      const own = join(folder, 'lists')
      rmSync(own, { recursive: true, force: true })
      mkdirSync(own)
      begin(step)
      return await steps[step](own, random)
    },
  }
}
