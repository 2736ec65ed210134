import test from 'ava'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import type { JobLine, JobResultLine } from '../../lib/jobs/job-line.js'
import { packageRoot } from '../../lib/base/paths.js'
import { writeBadInputs } from '../support/bad-inputs.js'
import { sampleLabels, sampleModel, writeJpegs } from '../support/batch.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { pythonPackages } from '../support/python-packages.js'
import { common, lines as manifest } from '../support/workplace.js'
import { needing } from '../support/needs.js'

function batch(sources: readonly string[], out: string, more: readonly string[] = []) {
  return gradcam(['batch', ...sources, ...common, '--out', out, ...more])
}

const results = (out: string): JobResultLine[] => manifest(out).filter((line) => 'files' in line)
const ids = (lines: readonly JobLine[]): string[] => lines.map(({ id }) => id).sort()

/** All files of a job but its lock, which stays there empty. */
function filesOf(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = found.filter((one) => one.isFile() && one.name !== '.gradcam-lock')
  return files.map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
}

test('good and bad inputs side by side: each has a result or a typed error', async (t) => {
  const folder = temporaryFolder(t)
  const expected = await writeBadInputs(join(folder, 'in'))
  const out = join(folder, 'in', 'out')
  const ended = batch([join(folder, 'in')], out, ['--write', 'overlay,grey', '--labels', sampleLabels])
  t.is(ended.code, 3, ended.stderr)
  const lines = manifest(out)
  const requested = Object.entries(expected).filter(([, outcome]) => outcome !== null)
  t.is(lines.length, requested.length)
  for (const [name, outcome] of requested) {
    const line = lines.find(({ input }) => input === join(folder, 'in', name))
    if (!line) throw new Error(`${name} is not in the manifest`)
    t.is(line.id, name.startsWith('^') ? `^${name}` : name)
    if ('error' in line) {
      t.is(line.error.code, outcome as string, `${name}: ${line.error.message}`)
      t.false(line.error.message.includes('\n'))
      continue
    }
    if (typeof outcome === 'string') throw new Error(`${name} was explained`)
    t.deepEqual(line.size as number[], [...(outcome as [number, number])], name)
    const bytes = readFileSync(join(folder, 'in', name))
    t.is(line.sha256, createHash('sha256').update(bytes).digest('hex'))
    const overlay = await sharp(readFileSync(join(out, line.files['overlay'] as string))).metadata()
    t.deepEqual([overlay.height, overlay.width, overlay.format], [...(outcome as [number, number]), 'jpeg'])
    const grey = await sharp(readFileSync(join(out, line.files['grey'] as string))).metadata()
    t.deepEqual([grey.height, grey.width, grey.channels], [...(outcome as [number, number]), 1])
    t.is(line.label, line.top[0]?.label ?? '')
    t.true(
      readFileSync(sampleLabels, 'utf8')
        .split('\n')
        .includes(line.label as string),
    )
  }
  const explained = lines.filter((line) => 'files' in line).length
  t.is(filesOf(out).length, 2 * explained + 2) // and manifest.jsonl and job.json
  t.regex(ended.stdout, new RegExp(`${explained} images explained, ${lines.length - explained} failed \\(ERR_`))
  // A second run finds its own results in the folder, and must not take them for inputs.
  const again = batch([join(folder, 'in')], out, ['--write', 'overlay,grey', '--labels', sampleLabels, '--resume'])
  t.is(again.code, 3)
  t.deepEqual(ids(manifest(out)), ids(lines))
})

test('every kind of file, as numpy and others read it', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'sub/b.jpg'])
  const out = join(folder, 'out')
  const ended = batch([join(folder, 'in')], out, ['--write', 'overlay,overlay-png,grey,png16,npy', '--json'])
  t.is(ended.code, 0, ended.stderr)
  t.deepEqual(filesOf(out).sort(), [
    ...['grey.png', 'grey16.png', 'map.npy', 'overlay.jpg', 'overlay.png'].map((kind) => `a.jpg.${kind}`),
    'job.json',
    'manifest.jsonl',
    ...['grey.png', 'grey16.png', 'map.npy', 'overlay.jpg', 'overlay.png'].map((kind) => `sub/b.jpg.${kind}`),
  ])
  const printed = ended.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  t.deepEqual(printed.slice(0, -1), JSON.parse(JSON.stringify(manifest(out))) as Record<string, unknown>[])
  t.like(printed.at(-1)?.['summary'], { inputs: 2, explained: 2, failed: 0, files: 10, interrupted: false })

  const python = await pythonPackages()
  const program =
    'import json, sys, numpy as np; m = np.load(sys.argv[1]); ' +
    'print(json.dumps([str(m.dtype), list(m.shape), m.ravel().tolist()]))'
  for (const line of results(out)) {
    const deep = await sharp(join(out, line.files['png16'] as string))
      .toColourspace('grey16')
      .raw({ depth: 'ushort' })
      .toBuffer()
    const levels = new Uint16Array(new Uint8Array(deep).buffer)
    t.is(Math.max(...levels), 65_535)
    const answer = spawnSync(python.command, ['-c', program, join(out, line.files['npy'] as string)], {
      env: { ...process.env, ...python.env },
      encoding: 'utf8',
    })
    const [dtype, shape, values] = JSON.parse(answer.stdout) as [string, number[], number[]]
    t.is(dtype, 'float32')
    t.deepEqual(shape, [14, 14])
    const stretched = Buffer.from(line.map.levels, 'base64')
    const [low, high] = [Math.min(...values), Math.max(...values)]
    t.deepEqual(
      [...stretched],
      values.map((value) => Math.round((255 * (value - low)) / (high - low))),
    )
  }
})

test('lists, globs and standard input, with a target a line', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'b.jpg', 'c d.jpg', 'sub/e.jpg', 'sub/f.png.jpg'])
  const run = (args: readonly string[], input?: string) =>
    spawnSync(
      process.execPath,
      [join(packageRoot, 'dist/lib/cli/main.js'), 'batch', '--model', sampleModel, '--layer', 'features', ...args],
      { cwd: folder, encoding: 'utf8', ...(input !== undefined && { input }) },
    )
  const found = (out: string): [string, number][] =>
    results(join(folder, out))
      .map(({ id, target }): [string, number] => [id, target])
      .sort(([a], [b]) => (a < b ? -1 : 1))

  const text = 'in/a.jpg\t3\n\nin/c d.jpg\tbutterfly\nin/b.jpg\t9\nin/a.jpg\t4\nin/a.jpg\tno such animal\nin/a.jpg\t3\n'
  writeFileSync(join(folder, 'list.txt'), text)
  const fromText = run(['list.txt', '--out', 'text', '--labels', sampleLabels])
  t.is(fromText.status, 3, fromText.stderr)
  t.deepEqual(found('text'), [
    ['in/a.jpg@3', 3],
    ['in/a.jpg@4', 4],
    ['in/c d.jpg@7', 7],
  ])
  const failed = manifest(join(folder, 'text')).flatMap((line) => ('error' in line ? [[line.id, line.error.code]] : []))
  t.deepEqual(
    failed.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
    [
      ['in/b.jpg@9', 'ERR_TARGET_OUT_OF_RANGE'],
      ['list.txt:6', 'ERR_INVALID_ARGUMENT'],
    ],
  )

  const difference = { kind: 'difference', class: 2, minus: 1 }
  const lines = [
    { path: 'in/a.jpg', target: 2 },
    { path: 'in/sub/e.jpg' },
    { path: 7 },
    { path: 'in/b.jpg', target: difference },
    { path: 'in/b.jpg', target: { kind: 'box', box: [1, 2, 3] } },
  ].map((line) => JSON.stringify(line))
  const fromInput = run(['-', '--target', '1', '--out', 'json'], lines.join('\n'))
  t.is(fromInput.status, 3, fromInput.stderr)
  const digest = createHash('sha256').update(JSON.stringify(difference)).digest('hex').slice(0, 12)
  t.deepEqual(found('json'), [
    ['in/a.jpg@2', 2],
    [`in/b.jpg@difference-${digest}`, 2],
    ['in/sub/e.jpg', 1],
  ])
  const refused = manifest(join(folder, 'json')).flatMap((line) => ('error' in line ? [line.error.message] : []))
  t.true(
    refused.some((message) => message.includes('`box` must be [x1, y1, x2, y2]')),
    refused.join(),
  )

  t.is(run(['in/**/*.jpg', '!in/b*', '--target', '0', '--out', 'glob']).status, 1) // nothing is named !in/b*
  t.false(existsSync(join(folder, 'glob')), 'nothing is left of it')
  t.is(run(['in/**/{e,f}*.jpg', join(folder, 'in', 'a.jpg'), '--target', '0', '--out', 'glob']).status, 0)
  t.deepEqual(found('glob'), [
    ['a.jpg', 0],
    ['sub/e.jpg', 0],
    ['sub/f.png.jpg', 0],
  ])

  // What does not lie below the current folder is put where it cannot escape, or meet anything else.
  const outside = temporaryFolder(t)
  await writeJpegs(outside, ['a.jpg'])
  const escaped = run(['-', '--target', '0', '--out', 'outside'], `${outside}/a.jpg\nin/../in/a.jpg\n`)
  t.is(escaped.status, 0, escaped.stderr)
  t.deepEqual(found('outside'), [
    [`^${outside}/a.jpg`, 0],
    ['in/a.jpg', 0],
  ])
  t.true(existsSync(join(folder, 'outside', '^', outside, 'a.jpg.overlay.jpg')))
})

test('a job is resumed: what is there stays, what is missing, torn or failed is done again', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'])
  writeFileSync(join(folder, 'in', 'e.jpg'), '')
  const out = join(folder, 'out')
  t.is(batch([join(folder, 'in')], out).code, 3)
  const [first, second, third] = results(out)
  const before = readFileSync(join(out, first?.files['overlay'] as string))
  const kept = JSON.stringify(first)

  // As if the machine had died: a file gone, a line torn, one doubled, and half a file left behind.
  rmSync(join(out, second?.files['overlay'] as string))
  const text = readFileSync(join(out, 'manifest.jsonl'), 'utf8')
  const torn = text.split('\n').filter((line) => line !== '' && !line.includes(`"id":"${third?.id}"`))
  writeFileSync(join(out, 'manifest.jsonl'), `${[...torn, kept].join('\n')}\n${JSON.stringify(third).slice(0, 99)}`)
  mkdirSync(join(out, '.gradcam-partial'))
  writeFileSync(join(out, '.gradcam-partial', '0'), 'half')

  const again = batch([join(folder, 'in')], out, ['--resume'])
  t.is(again.code, 3, again.stderr)
  t.deepEqual(ids(manifest(out)), ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg'])
  t.true(readFileSync(join(out, 'manifest.jsonl'), 'utf8').includes(kept))
  t.deepEqual(readFileSync(join(out, first?.files['overlay'] as string)), before)
  t.deepEqual(filesOf(out).length, 4 + 2)
  t.regex(again.stdout, /4 images explained, 1 failed, 3 of these before; 2 files/)

  await writeJpegs(join(folder, 'in'), ['e.jpg'])
  t.is(batch([join(folder, 'in')], out, ['--resume']).code, 3)
  t.is(batch([join(folder, 'in')], out, ['--resume', '--retry-failed']).code, 0)
  t.is(results(out).length, 5)
})

test('a job whose options changed is refused, with the difference', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg'])
  const out = join(folder, 'out')
  t.is(batch([join(folder, 'in')], out).code, 0)
  const text = readFileSync(join(out, 'manifest.jsonl'), 'utf8')
  const fresh = batch([join(folder, 'in')], out)
  t.is(fresh.code, 2)
  t.regex(fresh.stderr, /already holds a job\. Continue it with --resume/)
  const other = batch([join(folder, 'in')], out, ['--resume', '--target', '3', '--write', 'grey'])
  t.is(other.code, 2)
  t.regex(other.stderr, /target: "argmax" before, 3 now; write: \["overlay"\] before, \["grey"\] now/)
  t.is(readFileSync(join(out, 'manifest.jsonl'), 'utf8'), text)
  // Where it runs and how fast is not a change, nor how the folder is spelt.
  t.is(batch([join(folder, 'in/')], out, ['--resume', '--device', 'cpu:2', '--batch', '3']).code, 0)
  appendFileSync(join(out, 'job.json'), '{')
  t.regex(batch([join(folder, 'in')], out, ['--resume']).stderr, /job\.json' is damaged/)
})

test('two replicas write what one writes', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(
    join(folder, 'in'),
    Array.from({ length: 12 }, (_, i) => `${i}.jpg`),
  )
  for (const device of ['cpu', 'cpu:2', 'cpu,cpu'])
    t.is(
      batch([join(folder, 'in')], join(folder, device), ['--device', device, '--batch', '4', '--write', 'npy']).code,
      0,
    )
  for (const { files } of results(join(folder, 'cpu')))
    for (const device of ['cpu:2', 'cpu,cpu'])
      t.deepEqual(
        readFileSync(join(folder, device, files['npy'] as string)),
        readFileSync(join(folder, 'cpu', files['npy'] as string)),
      )
})

test('wrong calls and jobs that cannot go on', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg'])
  const input = join(folder, 'in')
  const out = join(folder, 'out')
  const wrong: [string[], number, RegExp][] = [
    [['batch', input, '--out', out], 2, /requires --model FILE/],
    [['batch', '--model', sampleModel, '--out', out], 2, /at least one file, folder, glob or list/],
    [['batch', input, '--model', sampleModel], 2, /requires --out DIR/],
    [['batch', input, '--model', sampleModel, '--out', out, '--write', 'gif'], 2, /"gif" is none of them/],
    [['batch', input, '--model', sampleModel, '--out', out, '--device', 'gpu'], 2, /--device requires/],
    [['batch', input, '--model', sampleModel, '--out', out, '--device', 'cpu:0'], 2, /--device requires/],
    [['batch', input, '--model', sampleModel, '--out', out, '--batch', '0'], 2, /--batch requires/],
    [['batch', input, '--model', sampleModel, '--out', out, '--alpha', '2'], 2, /--alpha requires/],
    [['batch', input, '--model', sampleModel, '--out', out, '--retry-failed'], 2, /requires --resume/],
    [
      ['batch', input, '--model', sampleModel, '--out', out, '--preprocess', 'imagnet'],
      1,
      /`preprocess` must be .*, but is 'imagnet'/,
    ],
    [['batch', input, '--model', sampleModel, '--out', out, '--preprocess', './no.json'], 1, /does not exist/],
    [['batch', input, '--model', sampleModel, '--out', out, '--layer', 'featuers'], 1, /featuers/],
    [['batch', input, '--model', join(folder, 'no.pt'), '--out', out], 1, /no\.pt' does not exist/],
    [['batch', join(folder, 'no*.jpg'), '--model', sampleModel, '--out', out], 1, /Nothing matches/],
    [['batch', join(folder, 'no.txt'), '--model', sampleModel, '--out', out], 1, /list .* does not exist/],
    [['batch', input, '--model', sampleModel, '--out', '/proc/x'], 1, /cannot be made/],
    [['report', out], 1, /holds no results/],
    [['report'], 2, /requires one folder/],
  ]
  for (const [args, code, message] of wrong) {
    const ended = gradcam(args)
    t.is(ended.code, code, `${args.join(' ')}: ${ended.stderr}`)
    t.regex(ended.stderr, message)
    t.regex(ended.stderr, /^gradcam: [^\n]+\n$/)
    rmSync(out, { recursive: true, force: true })
  }
  t.is(batch([join(folder, 'missing.jpg')], out).code, 3)
  t.is(manifest(out)[0]?.id, 'missing.jpg')
})

/** A disk of a few kilobytes; only a machine's owner may make one. */
function tinyDisk(folder: string): boolean {
  mkdirSync(folder)
  const made = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48k', 'none', folder])
  return made.status === 0
}

const probe = temporaryFolder(null)
const canMount = tinyDisk(join(probe, 'disk'))
if (canMount) execFileSync('umount', [join(probe, 'disk')])

needing('mount', canMount)('a full disk ends the job, and nothing is lost', async (t) => {
  const folder = temporaryFolder(t)
  const disk = join(folder, 'disk')
  t.true(tinyDisk(disk))
  t.teardown(() => execFileSync('umount', [disk]))
  const names = Array.from({ length: 24 }, (_, i) => `${i}.jpg`)
  await writeJpegs(join(folder, 'in'), names)
  const out = join(disk, 'out')
  const full = batch([join(folder, 'in')], out)
  t.is(full.code, 1, full.stdout)
  t.regex(full.stderr, /the disk is full\. Free some space/)
  t.regex(full.stderr, /^gradcam: to continue later: gradcam batch .* --resume$/m)
  const sofar = results(out)
  t.true(sofar.length > 0 && sofar.length < 24)
  for (const { files } of sofar)
    await t.notThrowsAsync(sharp(readFileSync(join(out, files['overlay'] as string))).stats())
  // Not a byte is left: not for a lock, nor for the manifest that is pruned.
  const fill = openSync(join(disk, 'filler'), 'w')
  t.throws(() => writeFileSync(fill, Buffer.alloc(1 << 20)), { code: 'ENOSPC' })
  closeSync(fill)
  const files = filesOf(disk)
  const still = batch([join(folder, 'in')], out, ['--resume'])
  t.is(still.code, 1)
  t.regex(still.stderr, /^gradcam: '[^']+' cannot be written to '[^']+': the disk is full\. Free some space\.$/m)
  t.deepEqual(filesOf(disk), files)
  t.deepEqual(results(out), sofar)
  rmSync(join(disk, 'filler'))
  execFileSync('mount', ['-o', 'remount,size=10m', disk])
  t.is(batch([join(folder, 'in')], out, ['--resume']).code, 0)
  t.deepEqual(ids(results(out)), names.sort())
})
