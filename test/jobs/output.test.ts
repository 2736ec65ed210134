import test from 'ava'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../../lib/base/lock.js'
import { common, lines, main, workplace } from '../support/workplace.js'

const names = Array.from({ length: 60 }, (_, i) => `${i}.jpg`)

test('a reader that leaves stops the job, which says so and goes on later', async (t) => {
  const { folder, batch } = await workplace(t, names)
  const args = [main, 'batch', 'in', '--out', 'out', ...common, '--batch', '2', '--json']
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  child.stdout.once('data', () => child.stdout.destroy())
  const code = await new Promise((resolve) => child.on('close', resolve))
  t.is(code, 141, said)
  t.regex(said, /^gradcam: interrupted\. To continue: gradcam batch in .*--json --resume\n$/)
  const done = lines(join(folder, 'out')).length
  t.true(done > 0 && done < names.length, String(done))
  t.false(existsSync(join(folder, 'out', '.gradcam-partial')))
  t.false(existsSync(join(folder, 'out', '.gradcam-lock')))
  t.is(batch(['in', '--out', 'out', ...common, '--json', '--resume']).code, 0)
  t.is(lines(join(folder, 'out')).length, names.length)
})

test('output that nobody reads hides no failure', async (t) => {
  const { folder } = await workplace(t, ['a.jpg'])
  writeFileSync(join(folder, 'in', 'torn.jpg'), '')
  const args = [main, 'batch', 'in', '--out', 'out', ...common]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  // Both go once the job began: nobody reads what is printed at its end.
  child.stdout.once('data', () => {
    child.stdout.destroy()
    child.stderr.destroy()
  })
  t.is(await new Promise((resolve) => child.on('close', resolve)), 3)
  if (existsSync('/dev/full')) {
    const command = `exec '${process.execPath}' '${main}' batch in --out full --json ${common.join(' ')} > /dev/full`
    const full = spawnSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8' })
    t.is(full.status, 1)
    t.regex(full.stderr, /^gradcam: standard output cannot be written: ENOSPC/)
  }
})

;(process.platform === 'linux' ? test : test.skip)(
  'a lock of a process that had the same number is not a lock',
  async (t) => {
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20000)'])
    t.teardown(() => void other.kill('SIGKILL'))
    await sleep(50)
    const pid = other.pid as number
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] as string
    t.true(isAlive({ pid, host: hostname(), started }))
    t.true(isAlive({ pid, host: hostname() }))
    t.false(isAlive({ pid, host: hostname(), started: String(Number(started) - 1) }))

    // As a container leaves it that is killed and started again: the same host, and the same numbers.
    const { folder, batch } = await workplace(t, ['a.jpg'])
    t.is(batch(['in', '--out', 'out', ...common]).code, 0)
    const lock = join(folder, 'out', '.gradcam-lock')
    writeFileSync(lock, JSON.stringify({ pid, host: hostname(), started }))
    const busy = batch(['in', '--out', 'out', ...common, '--resume'])
    t.deepEqual([busy.code, busy.stderr.includes(`Process ${pid} is at work`)], [1, true])
    writeFileSync(lock, JSON.stringify({ pid, host: hostname(), started: '1' }))
    t.is(batch(['in', '--out', 'out', ...common, '--resume']).code, 0)
  },
)
