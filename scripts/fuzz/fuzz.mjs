// Looks for what no test thought of: npm run fuzz -- models|images|api|lists|programs|plans|weights... [--seeds A-B] [--minutes N]
//
// Every seed is one case, the same on every machine. Before the seeds come the files of corpus/KIND. Cases run in processes
// with limits; what ends such a process, takes more than 10 seconds or 2 GB, throws anything but the package's own errors, or
// leaves a tensor, is a finding. Findings that known.json explains are counted; any other makes the exit code 1.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { corpusIds } from './corpus.mjs'
import { runCases } from './run-cases.mjs'

const kinds = ['models', 'images', 'api', 'lists', 'programs', 'plans', 'weights']
/** What is read of a file of some MB takes no more than that, with LibTorch itself. */
const small = { milliseconds: 10_000, bytes: 2 ** 30 }
/** @type {Record<string, typeof small>} */
const limitsOf = { programs: small, plans: small, weights: small }

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`fuzz: ${message}`)
  process.exit(2)
}

function read() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seeds: { type: 'string', default: '0-999' }, minutes: { type: 'string' } },
  })
  const [, first, last] = /^(\d+)-(\d+)$/.exec(values.seeds) ?? []
  if (first === undefined || Number(last) < Number(first)) fail(`--seeds requires A-B, not '${values.seeds}'`)
  const minutes = values.minutes === undefined ? Infinity : Number(values.minutes)
  if (!(minutes > 0)) fail(`--minutes requires a number above 0, not '${values.minutes}'`)
  for (const kind of positionals) if (!kinds.includes(kind)) fail(`${kind} is none of ${kinds.join(', ')}`)
  if (positionals.length === 0) fail(`name one or more of ${kinds.join(', ')}`)
  return { chosen: positionals, first: Number(first), last: Number(last), minutes }
}

/** @type {Record<string, { id: string, found: string, why: string }[]>} */
const known = JSON.parse(readFileSync(new URL('known.json', import.meta.url), 'utf8'))
const { chosen, first, last, minutes } = read()
const folder = mkdtempSync(join(tmpdir(), 'gradcam-fuzz-'))
let unknown = 0
try {
  for (const kind of chosen) {
    const began = performance.now()
    const limits = limitsOf[kind]
    const ids = [...corpusIds(kind), ...Array.from({ length: last - first + 1 }, (_, i) => String(first + i))]
    const until = began + (minutes * 60_000) / chosen.length
    const { outcomes, findings, cases, peak, next } = await runCases(
      new URL(`kinds/${kind}.mjs`, import.meta.url).href,
      ids,
      {
        folder,
        until,
        ...(limits && { limits }),
      },
    )
    const isKnown = (/** @type {import('./run-cases.mjs').Finding} */ { id, found }) =>
      known[kind]?.some((one) => one.id === id && new RegExp(one.found).test(found))
    const fresh = findings.filter((finding) => !isKnown(finding))
    unknown += fresh.length
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    const explained = findings.length - fresh.length
    console.log(
      `${kind}: ${cases} cases in ${seconds} s, ${fresh.length} findings, ${explained} known, ${Math.round(peak / 2 ** 20)} MB at most` +
        (next === '' ? '' : `; ended by --minutes before ${next}`),
    )
    const sorted = Object.entries(outcomes).sort(([, a], [, b]) => b - a)
    console.log(`  ${sorted.map(([outcome, count]) => `${outcome} ${count}`).join(', ')}`)
    for (const { id, what, found } of fresh) console.log(`  ${id}: ${found}\n    ${what}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = unknown > 0 ? 1 : 0
