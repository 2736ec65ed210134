import test from 'ava'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { common, lines, main, workplace } from '../support/workplace.js'

const names = Array.from({ length: 60 }, (_, i) => `${i}.jpg`)

test('a reader that leaves stops the job, which says so and goes on later', async (t) => {
  const { folder } = await workplace(t, names)
  const paths = names.map((name) => `in/${name}`)
  const args = [main, 'batch', '-', '--out', 'out', ...common, '--batch', '2', '--json']
  const child = spawn(process.execPath, args, { cwd: folder, stdio: 'pipe' })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  // The rest of the list comes after the reader has left: a fast job on a busy machine does not end before.
  child.stdin.on('error', () => {}).write(`${paths.slice(0, 20).join('\n')}\n`)
  child.stdout.on('close', () => child.stdin.write(`${paths.slice(20).join('\n')}\n`))
  child.stdout.once('data', () => child.stdout.destroy())
  const code = await new Promise((resolve) => child.on('close', resolve))
  t.is(code, 141, said)
  t.regex(said, /^gradcam: interrupted\. To continue: gradcam batch - .*--json --resume\n$/)
  const done = lines(join(folder, 'out')).length
  t.true(done > 0 && done < names.length, String(done))
  t.false(existsSync(join(folder, 'out', '.gradcam-partial')))
  t.is(readFileSync(join(folder, 'out', '.gradcam-lock'), 'utf8'), '', 'the lock is released')
  t.is(spawnSync(process.execPath, [...args, '--resume'], { cwd: folder, input: paths.join('\n') }).status, 0)
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
