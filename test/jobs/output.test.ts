import test from 'ava'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
  t.is(readFileSync(join(folder, 'out', '.gradcam-lock'), 'utf8'), '', 'the lock is released')
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
