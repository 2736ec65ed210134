import test, { type ExecutionContext } from 'ava'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFoldersBelow, openToAppend, openToRead, writeWhole } from '../../lib/base/write-file.js'

function emptyFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'gradcam-write-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('a file is written whole: bytes, text, or piece by piece', async (t) => {
  const folder = emptyFolder(t)
  const file = join(folder, 'a')
  await writeWhole(file, new Uint8Array([1, 2, 3]))
  t.deepEqual([...readFileSync(file)], [1, 2, 3])
  await writeWhole(file, 'text', { mode: 0o600 })
  t.is(readFileSync(file, 'utf8'), 'text')
  t.is(statSync(file).mode & 0o777, 0o600)
  await writeWhole(file, async (handle) => {
    await handle.appendFile('one ')
    t.is(readFileSync(file, 'utf8'), 'text', 'the old one is there until the new one is whole')
    await handle.appendFile('two')
  })
  t.is(readFileSync(file, 'utf8'), 'one two')
  t.deepEqual(readdirSync(folder), ['a'])
})

test('what fails leaves the old file and nothing else', async (t) => {
  const folder = emptyFolder(t)
  const file = join(folder, 'a')
  writeFileSync(file, 'old')
  const failure = new Error('half')
  const write = writeWhole(file, async (handle) => {
    await handle.appendFile('half')
    throw failure
  })
  t.is(await t.throwsAsync(write), failure)
  mkdirSync(join(folder, 'taken'))
  await t.throwsAsync(writeWhole(join(folder, 'taken'), 'x'), { code: 'EISDIR' })
  await t.throwsAsync(writeWhole(join(folder, 'no', 'a'), 'x'), { code: 'ENOENT' })
  t.is(readFileSync(file, 'utf8'), 'old')
  t.deepEqual(readdirSync(folder).sort(), ['a', 'taken'])
})

test('no link is followed, whatever it lies at', async (t) => {
  const folder = emptyFolder(t)
  const precious = join(folder, 'precious')
  writeFileSync(precious, 'precious')
  symlinkSync('precious', join(folder, 'file'))
  symlinkSync('precious', join(folder, 'partial'))
  await writeWhole(join(folder, 'file'), 'new', { partial: join(folder, 'partial') })
  t.is(readFileSync(precious, 'utf8'), 'precious')
  t.is(readFileSync(join(folder, 'file'), 'utf8'), 'new')
  t.false(lstatSync(join(folder, 'file')).isSymbolicLink())
  t.deepEqual(readdirSync(folder).sort(), ['file', 'precious'])

  symlinkSync('precious', join(folder, 'linked'))
  for (const opening of [openToRead, openToAppend]) {
    await t.throwsAsync(opening(join(folder, 'linked')), { code: 'ELOOP' })
    await t.throwsAsync(opening('/dev/null'), { code: 'EINVAL' })
    const handle = await opening(precious)
    await handle.close()
  }

  mkdirSync(join(folder, 'elsewhere'))
  symlinkSync('elsewhere', join(folder, 'sub'))
  mkdirSync(join(folder, 'real'))
  symlinkSync('../elsewhere', join(folder, 'real', 'sub'))
  for (const below of ['sub', 'sub/deep', 'real/sub/deep'])
    await t.throwsAsync(makeFoldersBelow(folder, below), { code: 'ELOOP' }, below)
  await t.throwsAsync(makeFoldersBelow(folder, 'precious/deep'), { code: 'ENOTDIR' })
  t.deepEqual(readdirSync(join(folder, 'elsewhere')), [])
  await makeFoldersBelow(folder, 'real/new/deep')
  await makeFoldersBelow(folder, 'real/new/deep')
  await makeFoldersBelow(folder, '.')
  t.true(statSync(join(folder, 'real', 'new', 'deep')).isDirectory())
})

test('many writers of one path end with one of them whole', async (t) => {
  const folder = emptyFolder(t)
  const file = join(folder, 'a')
  const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(100_000))
  await Promise.all(texts.map((text) => writeWhole(file, text)))
  t.true(texts.includes(readFileSync(file, 'utf8')))
  t.deepEqual(readdirSync(folder), ['a'])
})
