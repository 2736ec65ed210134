import test from 'ava'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { GradCamError } from '../../lib/index.js'
import { BucketFolder } from '../../lib/storage/bucket-folder.js'
import { openStorage } from '../../lib/storage/client.js'
import { takeLease } from '../../lib/storage/lease.js'
import { ObjectJournal } from '../../lib/storage/object-journal.js'
import { commonObjectFolder, folderUrl, isInFolder, isObjectUrl, readObjectUrl } from '../../lib/storage/object-url.js'
import { namesIn, secretKey, startStorage, withStorage } from '../support/storage-server.js'

test('addresses of objects', (t) => {
  t.deepEqual(readObjectUrl('s3://photos/a b/c%20.jpg'), { bucket: 'photos', key: 'a b/c%20.jpg' })
  t.deepEqual(readObjectUrl('S3://photos'), { bucket: 'photos', key: '' })
  for (const wrong of ['s3://', 's3:///a', 's3://a', 's3://-bucket/x', 's3://user:secret@bucket/x', 's3://bucket/\0'])
    t.throws(() => readObjectUrl(wrong), { code: 'ERR_INVALID_ARGUMENT' }, wrong)
  t.true(isObjectUrl('s3://x'))
  for (const other of ['s3:/x', '/s3://x', 7, null]) t.false(isObjectUrl(other))
  t.is(folderUrl('s3://photos/a//'), 's3://photos/a/')
  t.is(folderUrl('s3://photos'), 's3://photos/')
  t.true(isInFolder('s3://b/out/x', 's3://b/out/'))
  t.true(isInFolder('s3://b/out', 's3://b/out/'))
  t.false(isInFolder('s3://b/output/x', 's3://b/out/'))
  t.is(commonObjectFolder(['s3://b/x/y/', 's3://b/x/z/']), 's3://b/x/')
  t.is(commonObjectFolder(['s3://b/xa/', 's3://b/xb/']), 's3://b/')
  t.is(commonObjectFolder(['s3://b/x/']), 's3://b/x/')
  t.is(commonObjectFolder(['s3://a/', 's3://b/']), 's3://')
})

withStorage('objects are written, read, listed in pages and removed', async (t) => {
  const bucket = await startStorage(t)
  const folder = new BucketFolder(`${bucket.url}some where`)
  t.is(await folder.look('a'), null)
  t.is(await folder.read('a'), null)
  t.is((await folder.put('a', 'one', { ifNone: true })) === null, false)
  t.is(await folder.put('a', 'two', { ifNone: true }), null, 'it is there')
  const found = await folder.read('a')
  t.is(Buffer.from(found?.content ?? []).toString(), 'one')
  t.is(await folder.put('a', 'two', { ifTag: '"0123"' }), null, 'it is another one')
  t.truthy(await folder.put('a', 'two', { ifTag: found?.tag ?? '' }))
  t.is(await folder.readText('a'), 'two')
  t.like(await folder.look('a'), { bytes: 3 })

  const names = Array.from({ length: 1100 }, (_, i) => `list/${String(i).padStart(4, '0')}`)
  for (let i = 0; i < names.length; i += 50)
    await Promise.all(names.slice(i, i + 50).map((name) => folder.put(name, '')))
  const listed: string[] = []
  for await (const { name } of folder.list('list/')) listed.push(name)
  t.deepEqual(listed, names, 'more than a page has')
  const rest: string[] = []
  for await (const { name } of folder.list('list/', 'list/1089')) rest.push(name)
  t.deepEqual(rest, names.slice(1090))
  await folder.remove(names)
  await folder.remove([])
  t.deepEqual(await namesIn(bucket), ['some where/a'])
})

withStorage('a large object is written in parts, whole or not at all', async (t) => {
  const folder = await startStorage(t)
  const line = `${'0123456789abcdef'.repeat(64)}\n`
  const count = 40_000 // 41 MB: three parts
  await folder.putPieces(
    'large',
    (async function* () {
      for (let i = 0; i < count; i++) yield line
    })(),
  )
  const hash = createHash('sha256')
  for (let i = 0; i < count; i++) hash.update(line)
  const found = await folder.read('large')
  t.is(
    createHash('sha256')
      .update(found?.content ?? '')
      .digest('hex'),
    hash.digest('hex'),
  )
  t.regex(found?.tag ?? '', /-3"$/, 'the tag of three parts')
  let lines = 0
  for await (const text of folder.lines('large')) if (text.length === line.length - 1) lines++
  t.is(lines, count)
  const failing = async function* (): AsyncGenerator<string> {
    for (let i = 0; i < count; i++) yield line
    throw new GradCamError('ERR_ABORTED', 'the writer died')
  }
  await t.throwsAsync(folder.putPieces('half', failing()), { code: 'ERR_ABORTED' })
  t.is(await folder.look('half'), null)
  const { client, sdk } = await openStorage()
  const left = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: readObjectUrl(folder.url).bucket }))
  t.deepEqual(left.Uploads ?? [], [], 'its parts are given up')
})

withStorage('a journal keeps every line, in few writes', async (t) => {
  const folder = await startStorage(t)
  const journal = new ObjectJournal(folder, (part) => `j.${part}`)
  const lines = Array.from({ length: 3000 }, (_, i) => `${i} ${'x'.repeat(100)}`)
  for (const line of lines) await journal.add(line)
  await journal.flush()
  const read: string[] = []
  const names = await namesIn(folder)
  for (const name of names) for await (const line of folder.lines(name)) read.push(line)
  t.deepEqual(read, lines)
  t.is(names.length, 3)
})

withStorage('a lease has one holder, and another is told who has it', async (t) => {
  const folder = await startStorage(t)
  const said: string[] = []
  const takes = [1, 2].map(() => takeLease(folder, 'lock', (message) => void said.push(message)))
  const [first] = await Promise.race(takes.map(async (take, i) => [await take, i] as const))
  t.false(first.lost.aborted)
  await t.throwsAsync(
    Promise.all(takes),
    { code: 'ERR_LOCKED', message: new RegExp(`Process ${process.pid} on .* is at work on '${folder.url}'`) },
    'its holder renewed it while the other looked at it',
  )
  t.regex(said.join(), /It is taken over if it is not renewed for 30 s/)
  // Somebody else writes it: then it is lost.
  await folder.put('lock', 'another')
  for (let tries = 0; !first.lost.aborted && tries < 200; tries++) await sleep(100)
  t.is((first.lost.reason as GradCamError).code, 'ERR_LOCKED')
  await first.release()
  t.is(await folder.readText('lock'), 'another', 'which is not removed then')
})

withStorage('errors say what is wrong and what to do, and never show a credential', async (t) => {
  await startStorage(t)
  const missing = await t.throwsAsync(new BucketFolder('s3://no-such-bucket-here').put('a', ''), {
    code: 'ERR_STORAGE',
  })
  t.regex(missing?.message ?? '', /'s3:\/\/no-such-bucket-here\/a' cannot be written: .*Make the bucket/)
  const script = `
    import { BucketFolder } from './dist/lib/storage/bucket-folder.js'
    import { inspect } from 'node:util'
    await new BucketFolder('s3://bucket/x').look('a').catch((error) => console.log(inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error)))`
  const run = (env: NodeJS.ProcessEnv): string =>
    spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent', ...env },
      encoding: 'utf8',
    }).stdout
  const away = run({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' })
  t.regex(away, /ERR_STORAGE/)
  t.regex(away, /ECONNREFUSED/)
  t.regex(away, /AWS_ENDPOINT_URL/)
  const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...bare } = process.env
  const anonymous = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    env: { ...bare, AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' },
    encoding: 'utf8',
  }).stdout
  t.regex(anonymous, /Check the credentials/)
  for (const text of [away, anonymous, inspect(missing, { depth: 9, showHidden: true })])
    t.false(text.includes(secretKey) || /Signature=|Authorization/i.test(text), text)
})
