// Proves the lock: processes that all take it at once, many rounds of it, and some killed meanwhile. Prints how often two
// were inside at once and exits with 1 if ever. Needs `npm run build` (or `npx tsc`) first.
//
//   node scripts/check/lock-storm.mjs [--rounds 10000] [--processes 4] [--callers 2] [--kills 0.25] [--hosts] [--module FILE]
//
// --callers: in each process; --kills: the share of rounds in which a process is killed; --hosts: each process counts as
// one on another host, on a file system that keeps locks to each host; --module: the lock.js of another build.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { lockStorm } from '#test-support/lock-storm.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10000' },
    processes: { type: 'string', default: '4' },
    callers: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0.25' },
    hosts: { type: 'boolean', default: false },
    module: { type: 'string' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'lock-storm-'))
const began = performance.now()
try {
  const result = await lockStorm({
    folder,
    rounds: Number(values.rounds),
    processes: Number(values.processes),
    callers: Number(values.callers),
    kills: Number(values.kills),
    hosts: values.hosts,
    ...(values.module === undefined ? {} : { module: resolve(values.module) }),
    onRound: (round) => {
      if (round % 1000 === 0) process.stderr.write(`${round} rounds\n`)
    },
  })
  console.log({ ...result, seconds: Math.round((performance.now() - began) / 1000) })
  process.exitCode = result.doubles > 0 ? 1 : 0
} finally {
  rmSync(folder, { recursive: true, force: true })
}
