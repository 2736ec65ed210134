import test from 'ava'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobFile } from '../lib/cli/batch/job-file.js'
import type { ManifestLine } from '../lib/cli/batch/manifest.js'
import { isAlive } from '../lib/lock.js'
import { packageRoot } from '../lib/paths.js'
import { sampleModel, writeJpegs } from './support/batch.js'
import { runNode, temporaryFolder, type Ended } from './support/package-copy.js'

const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
const common = ['--model', sampleModel, '--layer', 'features']

function lines(out: string): ManifestLine[] {
  const text = readFileSync(join(out, 'manifest.jsonl'), 'utf8').split('\n')
  return text.filter((line) => line !== '').map((line) => JSON.parse(line) as ManifestLine)
}

/** A folder with pictures, and a way to run jobs in it. */
async function workplace(
  t: Parameters<typeof temporaryFolder>[0],
  names: readonly string[] = ['a.jpg', 'sub/b.jpg'],
): Promise<{ folder: string; batch: (args: readonly string[]) => Ended }> {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names)
  return { folder, batch: (args) => runNode([main, 'batch', ...args], {}, folder) }
}

test('results are not put where the pictures are looked for', async (t) => {
  const { folder, batch } = await workplace(t)
  for (const [source, out] of [
    ['in', 'in'],
    ['in', '.'],
    ['in/**/*.jpg', '.'],
    ['in/sub', 'in'],
  ] as const) {
    const ended = batch([source, '--out', out, ...common])
    t.is(ended.code, 2, `${source} to ${out}`)
    t.regex(ended.stderr, /would be taken for pictures\. Name a folder of its own, e\.g\. --out \w+-maps\.\n$/)
    t.false(existsSync(join(folder, out, 'job.json')))
  }
  // A folder in it is left out of the pictures.
  for (const more of [[], ['--resume']]) {
    t.is(batch(['in/**/*.jpg', '--out', 'in/maps', ...common, ...more]).code, 0)
    t.is(lines(join(folder, 'in', 'maps')).length, 2)
  }
})

test('a job without pictures says so', async (t) => {
  const { folder, batch } = await workplace(t, [])
  writeFileSync(join(folder, 'list.txt'), '\n\n')
  const empty = batch(['list.txt', '--out', 'out', ...common])
  t.is(empty.code, 0)
  t.regex(empty.stderr, /no picture was found in list\.txt\. In a folder, pictures end in \.jpg/)
})

test('labels for another number of classes are told of, once', async (t) => {
  const { folder, batch } = await workplace(t)
  writeFileSync(join(folder, 'labels.txt'), 'background\ncat\ndog\n')
  const ended = batch(['in', '--out', 'out', ...common, '--labels', 'labels.txt'])
  t.is(ended.code, 0)
  t.is(
    ended.stderr,
    "gradcam: there are 3 labels for the model's 8 classes. Check --labels: its first is taken for class 0.\n",
  )
})

;(process.platform === 'win32' ? test.skip : test)('a pipe among the inputs keeps nobody waiting', async (t) => {
  const { folder, batch } = await workplace(t, ['a.jpg'])
  t.is(spawnSync('mkfifo', [join(folder, 'pipe.jpg')]).status, 0)
  const ended = batch(['pipe.jpg', 'in', '--out', 'out', ...common])
  t.is(ended.code, 3)
  t.regex(ended.stderr, /pipe\.jpg' cannot be read: it is a pipe or a device\. Save it to a file\./)
  t.deepEqual(
    lines(join(folder, 'out'))
      .map(({ id }) => id)
      .sort(),
    ['in/a.jpg', 'pipe.jpg'],
  )
})

test('names below a glob do not depend on what matches it', async (t) => {
  const { folder, batch } = await workplace(t, ['sub/a1.jpg', 'other/b.jpg'])
  t.is(batch(['in/**/a*.jpg', '--out', 'out', ...common]).code, 0)
  t.deepEqual(
    lines(join(folder, 'out')).map(({ id }) => id),
    ['sub/a1.jpg'],
  )
  await writeJpegs(join(folder, 'in'), ['other/a2.jpg'])
  const again = batch(['in/**/a*.jpg', '--out', 'out', ...common, '--resume'])
  t.is(again.code, 0, again.stderr)
  t.deepEqual(
    lines(join(folder, 'out')).map(({ id }) => id),
    ['sub/a1.jpg', 'other/a2.jpg'],
  )
})

test('a job that could not start leaves nothing in the way of the next', async (t) => {
  const { folder, batch } = await workplace(t)
  for (const wrong of [
    ['--layer', 'featurs'],
    ['--layer', 'features', '--target', '99'],
  ]) {
    const ended = batch(['in', '--out', 'out', '--model', sampleModel, ...wrong])
    t.is(ended.code, 1, wrong.join(' '))
    t.regex(ended.stderr, /^gradcam: [^\n]+\n$/)
  }
  const ended = batch(['in', '--out', 'out', ...common, '--target', '1'])
  t.is(ended.code, 0, ended.stderr)
  t.is((JSON.parse(readFileSync(join(folder, 'out', 'job.json'), 'utf8')) as JobFile).layer, 'features')
  t.is(lines(join(folder, 'out')).length, 2)
})

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
  t.regex(said, /^gradcam: interrupted\. To go on: gradcam batch in .*--json --resume\n$/)
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
  // Both go once the job began: what is said at its end meets nobody.
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
  'a lock of a process that had the same number is no lock',
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
