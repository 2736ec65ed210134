import test from 'ava'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../lib/base/paths.js'
import { ScriptModule } from '../../lib/index.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'

interface Random {
  readonly integer: (below: number) => number
}
interface Mutated {
  readonly bytes: Buffer
  readonly what: string
}
interface Record_ {
  name: string
  data: Buffer
}
interface Ran {
  readonly outcomes: Readonly<Record<string, number>>
  readonly findings: readonly { id: string; what: string; found: string }[]
  readonly cases: number
  readonly next: string
}

const folder = join(packageRoot, 'scripts', 'fuzz')
const load = async (name: string) => (await import(pathToFileURL(join(folder, name)).href)) as Record<string, unknown>
const { randomOf, mutateBytes } = (await load('random.mjs')) as {
  randomOf: (seed: number) => Random
  mutateBytes: (bytes: Buffer, random: Random) => Mutated
}
const { mutateModel } = (await load('mutate-model.mjs')) as { mutateModel: typeof mutateBytes }
const { readZip, writeZip } = (await load('zip.mjs')) as {
  readZip: (bytes: Buffer) => Record_[]
  writeZip: (records: Record_[]) => Buffer
}
const { runCases } = (await load('run-cases.mjs')) as {
  runCases: (kind: string, ids: readonly string[], options: object) => Promise<Ran>
}
const bases = readdirSync(join(folder, 'bases')).filter((name) => name.endsWith('.pt'))
const base = (name: string) => readFileSync(join(folder, 'bases', name))

test('a seed gives the same mutation each time, and another seed another one', (t) => {
  const bytes = base('pooled-script.pt')
  const of = (seed: number) => mutateModel(bytes, randomOf(seed))
  const seen = new Set<string>()
  for (let seed = 0; seed < 300; seed++) {
    const { bytes: mutated, what } = of(seed)
    t.true(of(seed).bytes.equals(mutated), `${seed}: ${what}`)
    t.true(what.length > 0 && what.length <= 200)
    seen.add(what)
  }
  t.true(seen.size > 200, `${seen.size} of 300 differ`)
  t.true(base('pooled-script.pt').equals(bytes), 'the base stays as it is')
  const [one, other] = [0, 1].map((seed) => Array.from({ length: 8 }, () => randomOf(seed).integer(1000)).join())
  t.not(one, other)
  for (let seed = 0; seed < 100; seed++) t.truthy(mutateBytes(Buffer.from('some bytes of a file'), randomOf(seed)).what)
})

test('records of a model that are read and written make the same model', async (t) => {
  for (const name of bases) {
    const records = readZip(base(name))
    t.true(
      records.some((record) => record.name.endsWith('/data.pkl')),
      name,
    )
    const again = readZip(writeZip(records))
    t.deepEqual(again, records)
    using model = await ScriptModule.load(writeZip(records))
    t.true(model.namedModules().length > 1, name)
  }
})

test('what ends a process, takes too much, or is not an error of the package, is found, and the cases after it run', async (t) => {
  const kind = new URL('../support/fuzz-kind.js', import.meta.url).href
  const ids = ['fine', 'crash', 'refused', 'untyped', 'trap', 'exit', 'memory', 'rejection', 'said', 'fine', 'leak']
  const own = temporaryFolder(t)
  // On a busy machine it takes a while to take memory; what hangs does so for ever.
  const limits = { milliseconds: 60_000, bytes: 800 * 2 ** 20 }
  const { outcomes, findings, cases, next } = await runCases(kind, ids, { folder: own, limits })
  const hung = await runCases(kind, ['hang'], { folder: own, limits: { ...limits, milliseconds: 1500 } })
  t.deepEqual(hung.findings, [{ id: 'hang', what: 'the case hang', found: 'hang' }])
  t.is(cases, ids.length)
  t.is(next, '')
  const found = Object.fromEntries(findings.map((one) => [one.id, one.found]))
  t.deepEqual(found, {
    crash: 'SIGSEGV',
    untyped: 'untyped TypeError: oh',
    exit: 'exit code 7',
    memory: 'memory',
    rejection: 'unhandled Error: late',
    said: 'what the case found',
    leak: '1 tensors are left',
  })
  t.is(findings[0]?.what, 'the case crash')
  t.is(outcomes['ok'], 5)
  t.is(outcomes['ERR_SHAPE'], 1)
})

test('the command: what it takes, and its exit code', (t) => {
  const program = join(folder, 'fuzz.mjs')
  const ran = runNode([program, 'lists', '--seeds', '0-19'])
  t.is(ran.code, 0, ran.stdout)
  t.regex(ran.stdout, /^lists: 20 cases in \d+ s, 0 findings, 0 known, \d+ MB at most\n {2}ok \d+/)
  const archives = runNode([program, 'programs', 'plans', 'weights', '--seeds', '0-39'])
  t.is(archives.code, 0, archives.stdout)
  t.regex(archives.stdout, /programs: 40 cases in \d+ s, 0 findings/)
  t.regex(archives.stdout, /weights: 40 cases in \d+ s, 0 findings/)
  const wrong: [string[], RegExp][] = [
    [[], /name one or more of models, images, api, lists/],
    [['model'], /model is none of/],
    [['lists', '--seeds', '9-3'], /--seeds requires A-B/],
    [['lists', '--minutes', '0'], /--minutes requires a number above 0/],
  ]
  for (const [args, message] of wrong) {
    const { code, stderr } = runNode([program, ...args])
    t.is(code, 2)
    t.regex(stderr, message)
  }
})
