// Loads mutated copies of model files in child processes: none may end the process, hang, or take memory out of proportion.
//
//   node scripts/fuzz/model-files.mjs FILE... [--count 10000] [--seed 1]
//
// FILE: .pt2, state dicts (.pth) and safetensors. A failure is printed with the file, seed and number that make it again.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { crc32 } from 'node:zlib'

const perChild = 250
const longestMs = 20_000
/** What a child may take beyond what it had after its first load, for files of a few MB. */
const mostBytes = 1.5 * 2 ** 30

/** A small generator of numbers (mulberry32), so that a mutant can be made again. */
function randomOf(/** @type {number} */ seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const hostileNumbers = [
  '-1',
  '0',
  '1',
  '9007199254740993',
  '9223372036854775807',
  '1e308',
  '4294967296',
  'null',
  '[]',
  '{}',
  '""',
]

/** A mutated copy of a file's bytes. */
export function mutant(/** @type {Buffer} */ bytes, /** @type {number} */ seed) {
  const random = randomOf(seed)
  const pick = (/** @type {number} */ n) => Math.floor(random() * n)
  const copy = Buffer.from(bytes)
  const kind = pick(6)
  if (kind === 0) return copy.subarray(0, pick(copy.length))
  if (kind === 1) {
    for (let i = pick(8) + 1; i > 0; i--) copy[pick(copy.length)] = pick(256)
    return copy
  }
  // Inside the text or the pickle, with the checksums made right again so that what reads it is reached.
  const parts = describedParts(copy)
  const part = parts[pick(parts.length)]
  if (!part) return copy
  for (let i = pick(4) + 1; i > 0; i--) mutatePart(copy.subarray(part.from, part.to), random)
  repair(copy, part)
  return copy
}

/** The part that a mutation goes into keeps its length: numbers become others, or bytes change. */
function mutatePart(/** @type {Buffer} */ part, /** @type {() => number} */ random) {
  const at = Math.floor(random() * part.length)
  const text = part.subarray(at, at + 2000).toString('latin1')
  const number = /\d+|"[a-z_]{3,30}"/.exec(text)
  if (number && random() < 0.7) {
    const wanted = hostileNumbers[Math.floor(random() * hostileNumbers.length)] ?? '0'
    const fitted = wanted.slice(0, number[0].length).padEnd(number[0].length, random() < 0.5 ? ' ' : '9')
    part.write(fitted, at + number.index, 'latin1')
  } else part[at] = Math.floor(random() * 256)
}

/** @typedef {{ from: number, to: number, header: number, central: number }} Part of a file, and where its checksums are */

/** The JSON and pickle records of a zip archive; the header of other files. */
function describedParts(/** @type {Buffer} */ bytes) {
  /** @type {Part[]} */
  const parts = []
  const signature = Buffer.from('PK\x01\x02', 'latin1')
  for (let at = bytes.indexOf(signature); at >= 0 && at + 46 < bytes.length; at = bytes.indexOf(signature, at + 4)) {
    const name = bytes.toString('utf8', at + 46, at + 46 + bytes.readUInt16LE(at + 28))
    if (!/\.json$|\.pkl$|\.pt$/.test(name)) continue
    const header = bytes.readUInt32LE(at + 42)
    if (header + 30 > bytes.length) continue
    const from = header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28)
    parts.push({ from, to: Math.min(from + bytes.readUInt32LE(at + 20), from + 200_000), header, central: at })
  }
  return parts.length > 0 ? parts : [{ from: 0, to: Math.min(bytes.length, 20_000), header: -1, central: -1 }]
}

function repair(/** @type {Buffer} */ bytes, /** @type {Part} */ { from, header, central }) {
  if (central < 0) return
  const checksum = crc32(bytes.subarray(from, from + bytes.readUInt32LE(central + 20)))
  bytes.writeUInt32LE(checksum, central + 16)
  bytes.writeUInt32LE(checksum, header + 14)
}

/** In a child: loads mutants `from` to `to` of a file and says what became of each. */
async function child(/** @type {{ file: string, from: number, to: number, architecture: string }} */ job) {
  const { GradCamError, ScriptModule } = await import('libtorch-gradcam')
  const bytes = readFileSync(job.file)
  const isProgram = job.file.endsWith('.pt2')
  /** @type {Record<string, number>} */
  const codes = {}
  const before = process.memoryUsage().rss
  for (let seed = job.from; seed < job.to; seed++) {
    process.send?.({ seed })
    let code = 'loaded'
    try {
      const copy = mutant(bytes, seed)
      const model = isProgram
        ? await ScriptModule.load(copy)
        : await ScriptModule.load(job.architecture, { weights: copy })
      model.dispose()
    } catch (error) {
      code = error instanceof GradCamError ? error.code : `not ours: ${String(error).slice(0, 200)}`
    }
    codes[code] = (codes[code] ?? 0) + 1
    if (process.memoryUsage().rss - before > mostBytes) codes['too much memory'] = (codes['too much memory'] ?? 0) + 1
  }
  process.send?.({ codes })
}

/** Runs one child to its end; what it did wrong, if anything. */
function runChild(/** @type {object} */ job) {
  return new Promise(
    (/** @type {(result: { codes: Record<string, number>, problem: string | null }) => void} */ resolve) => {
      const running = fork(fileURLToPath(import.meta.url), [JSON.stringify(job)], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      })
      let seed = -1
      let stderr = ''
      /** @type {Record<string, number>} */
      let codes = {}
      /** @type {NodeJS.Timeout | undefined} */
      let timer
      running.stderr?.on('data', (/** @type {Buffer} */ data) => (stderr = (stderr + data.toString()).slice(-500)))
      running.on('message', (/** @type {{ seed?: number, codes?: Record<string, number> }} */ message) => {
        clearTimeout(timer)
        if (message.codes) codes = message.codes
        else {
          seed = message.seed ?? seed
          timer = setTimeout(() => running.kill('SIGKILL'), longestMs)
        }
      })
      running.on('exit', (code, signal) => {
        clearTimeout(timer)
        const problem = code === 0 ? null : `mutant ${seed} ended the process with ${signal ?? code}: ${stderr.trim()}`
        resolve({ codes, problem })
      })
    },
  )
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      architecture: { type: 'string', default: 'densenet121' },
    },
  })
  const each = Math.ceil(Number(values.count) / positionals.length)
  let failed = false
  for (const file of positionals) {
    /** @type {Record<string, number>} */
    const all = {}
    for (let from = Number(values.seed); from < Number(values.seed) + each; from += perChild) {
      const to = Math.min(from + perChild, Number(values.seed) + each)
      const { codes, problem } = await runChild({ file, from, to, architecture: values.architecture })
      for (const [code, count] of Object.entries(codes)) all[code] = (all[code] ?? 0) + count
      if (problem) {
        failed = true
        console.error(`${file}: ${problem}`)
      }
    }
    failed ||= Object.keys(all).some((code) => /^not ours|^too much/.test(code))
    console.log(`${basename(file)}: ${each} mutants, ${JSON.stringify(all)}`)
  }
  process.exitCode = failed ? 1 : 0
}

if (process.send && process.argv[2]?.startsWith('{')) {
  await child(JSON.parse(process.argv[2]))
  process.disconnect()
} else if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
