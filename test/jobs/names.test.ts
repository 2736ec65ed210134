import test from 'ava'
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join, sep } from 'node:path'
import { entryId } from '../../lib/jobs/entry-id.js'
import { fileOf } from '../../lib/jobs/file-names.js'
import { writeJpegs } from '../support/batch.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { common, lines } from '../support/workplace.js'
import { needing } from '../support/needs.js'

const posix = sep === '/'

/** All files of a job but its lock, which stays there empty. */
function filesOf(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = found.filter((one) => one.isFile() && one.name !== '.gradcam-lock')
  return files.map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
}

needing('posix', posix)('no name leads out of the folder, meets another, or a file of the job', async (t) => {
  const parent = temporaryFolder(t)
  const folder = join(parent, 'in', 'deep')
  const names = [
    'a.jpg',
    'a.png',
    'A.jpg',
    'a/b.jpg',
    'a\\b.jpg',
    '..\\..\\up.jpg',
    'x.jpg',
    'x.jpg.overlay.jpg/y.jpg',
    'x.jpg.overlay.jpg^/y.jpg',
    'x.jpg.map.npy/y.jpg',
    'manifest.jsonl/z.jpg',
    '^manifest.jsonl/z.jpg',
    'job.json/z.jpg',
    'report.html/z.jpg',
    '.gradcam-lock/z.jpg',
    '.gradcam-partial/z.jpg',
    '^/c.jpg',
    'a.jpg@3',
  ]
  const images = names.filter((name) => name.endsWith('g'))
  await writeJpegs(folder, images)
  const out = join(parent, 'out')
  const args = ['batch', folder, ...common, '--out', out, '--write', 'overlay,npy']
  const ended = gradcam(args)
  t.is(ended.code, 0, ended.stderr)
  const all = lines(out)
  t.is(new Set(all.map(({ id }) => id)).size, images.length)
  t.deepEqual(all.map(({ input }) => input).sort(), images.map((name) => join(folder, name)).sort())
  const files = all.flatMap((line) => ('files' in line ? Object.values(line.files) : []))
  t.is(new Set(files).size, 2 * images.length)
  for (const file of files) t.true(existsSync(join(out, file)), file)
  t.is(filesOf(out).length, files.length + 2)
  t.deepEqual(readdirSync(parent).sort(), ['in', 'out'])
  t.is(gradcam([...args, '--resume']).code, 0)
  t.is(filesOf(out).length, files.length + 2)
})

test('ids and files of inputs are apart from each other', (t) => {
  const base = join(sep, 'base')
  const paths = [
    ...['a.jpg', 'a.jpg@1', 'a.jpg@1@', '^a.jpg', '^^a.jpg', '^/a.jpg', '../a.jpg', 'f.map.npy/a', 'f.map.npy^/a'],
    ...(posix ? ['..\\a.jpg', '..a.jpg', '../b:c.jpg', '../bc.jpg', 'b:c.jpg', '^\\a.jpg'] : []),
  ]
  const ids = paths.flatMap((path) => {
    const entry = { path: join(base, path) }
    return [entryId(entry, base), entryId({ ...entry, target: 1 }, base), entryId({ ...entry, target: 'argmax' }, base)]
  })
  t.is(new Set(ids).size, ids.length)
  for (const id of ids) t.false(id.split('/').includes('..') || id.startsWith('/'), id)
  // Two long names, and one that looks like what the first is shortened to.
  const long = `${'l'.repeat(240)}.jpg`
  const shortened = fileOf(long, 'npy').slice(0, -'.map.npy'.length)
  const files = [long, `${'l'.repeat(241)}.jpg`, shortened, 'short.jpg'].map((id) => fileOf(id, 'npy'))
  t.is(new Set(files).size, 4)
  for (const file of files) t.true(Buffer.byteLength(file) <= 255)
})

needing('linux', process.platform === 'linux')(
  'names that are not UTF-8 fail by themselves, each with a line',
  async (t) => {
    const folder = temporaryFolder(t)
    await writeJpegs(join(folder, 'in'), ['good.jpg', 'notes.jpg'])
    const named = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(join(folder, 'in/')), bytes])
    for (const byte of [0xfc, 0xe4])
      copyFileSync(join(folder, 'in', 'good.jpg'), named(Buffer.concat([Buffer.from([byte]), Buffer.from('.jpg')])))
    mkdirSync(named(Buffer.from([0xff])))
    renameSync(join(folder, 'in', 'notes.jpg'), named(Buffer.from([0xfe]))) // not an image by its name
    const out = join(folder, 'out')
    const ended = gradcam(['batch', join(folder, 'in'), ...common, '--out', out])
    t.is(ended.code, 3, ended.stderr)
    const found = lines(out)
    const codes = Object.fromEntries(found.map((line) => [line.id, 'error' in line ? line.error.code : null]))
    const code = 'ERR_FILE_UNREADABLE'
    t.deepEqual(codes, { '\\xe4.jpg': code, '\\xfc.jpg': code, '\\xff': code, 'good.jpg': null })
    t.is(found.length, 4)
    t.regex(ended.stderr, /is not in UTF-8, so it cannot be opened\. Rename it\./)
  },
)
