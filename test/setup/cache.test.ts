import test from 'ava'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { linkableLibTorch } from '../support/fake-libtorch.js'
import { copyPackage, gradcam, smallAddon, temporaryFolder } from '../support/package-copy.js'

/** A cache folder with a LibTorch beside it. */
function setUp(t: Parameters<typeof temporaryFolder>[0]) {
  const cache = temporaryFolder(t)
  const libtorch = linkableLibTorch(join(temporaryFolder(t), 'torch'))
  return { cache, env: { LIBTORCH: libtorch, GRADCAM_CACHE: cache, GRADCAM_WERROR: undefined } }
}

const addonIn = (root: string): Buffer => readFileSync(join(root, 'build', 'gradcam.node'))

test('a second project compiles nothing; another source, --fresh or a damaged copy does', (t) => {
  const { cache, env } = setUp(t)
  const [first, second] = [copyPackage(t), copyPackage(t)]
  t.regex(gradcam(['build'], env, first).stdout, /^Built in \d+ s: /)
  const taken = gradcam(['build'], env, second)
  t.regex(taken.stdout, /^Taken from the cache: .*gradcam\.node \(/, taken.stderr)
  t.deepEqual(addonIn(second), addonIn(first))
  t.false(existsSync(join(second, 'build', 'cmake-js')), 'no compiler ran')
  t.regex(gradcam(['build'], env, second).stdout, /^Up to date/)
  t.regex(gradcam(['build', '--fresh'], env, copyPackage(t)).stdout, /^Built/)

  const changed = copyPackage(t)
  writeFileSync(join(changed, 'native', 'node', 'addon.cc'), smallAddon('changed'))
  t.regex(gradcam(['build'], env, changed).stdout, /^Built/)

  for (const key of readdirSync(join(cache, 'addons')))
    writeFileSync(join(cache, 'addons', key, 'gradcam.node'), 'not an addon')
  t.regex(gradcam(['build'], env, copyPackage(t)).stdout, /^Built/, 'what does not load is not taken')
})

test('a cache that cannot be written, and one that holds too much', (t) => {
  const { cache, env } = setUp(t)
  writeFileSync(join(cache, 'addons'), 'a file where the folder should be')
  t.regex(gradcam(['build'], env, copyPackage(t)).stdout, /^Built/)

  const full = temporaryFolder(t)
  for (let i = 0; i < 20; i++) {
    mkdirSync(join(full, 'addons', `old-${i}`), { recursive: true })
    writeFileSync(join(full, 'addons', `old-${i}`, 'gradcam.node'), '')
  }
  t.is(gradcam(['build'], { ...env, GRADCAM_CACHE: full }, copyPackage(t)).code, 0)
  t.is(readdirSync(join(full, 'addons')).length, 16, 'the last ones that were used')
})

test('gradcam cache: lists, cleans, and keeps PyTorch unless told', (t) => {
  const { cache, env } = setUp(t)
  const run = (...args: string[]) => gradcam(['cache', ...args], env)
  t.is(run().stdout, `${cache} is empty.\n`)
  t.regex(run('clean').stdout, /^Nothing to remove/)

  mkdirSync(join(cache, 'pytorch-2.13.0-cpu', 'site'), { recursive: true })
  writeFileSync(join(cache, 'pytorch-2.13.0-cpu', 'site', 'file'), Buffer.alloc(3_000_000))
  mkdirSync(join(cache, 'addons', 'key'), { recursive: true })
  writeFileSync(join(cache, 'addons', 'key', 'gradcam.node'), Buffer.alloc(2_000_000))
  mkdirSync(join(cache, '.partial-host-1-x'))
  const listed = run().stdout
  t.regex(listed, /^PyTorch +3\.0 MB +\d{4}-\d\d-\d\d +.*pytorch-2\.13\.0-cpu$/m)
  t.regex(listed, /^addon +2\.0 MB .*key$/m)
  t.regex(listed, /^5\.0 MB in all, in /m)
  const asData = JSON.parse(run('ls', '--json').stdout) as { folder: string; entries: { bytes: number }[] }
  t.is(asData.folder, cache)
  t.deepEqual(
    asData.entries.map(({ bytes }) => bytes),
    [3_000_000, 2_000_000],
  )

  t.regex(run('clean').stdout, /^Removed 1 of .*: 2\.0 MB\./)
  t.true(existsSync(join(cache, 'pytorch-2.13.0-cpu')))
  t.false(existsSync(join(cache, '.partial-host-1-x')))
  t.regex(run('clean', '--all').stdout, /^Removed 1 of .*: 3\.0 MB\./)
  t.false(existsSync(join(cache, 'pytorch-2.13.0-cpu')))

  t.is(run('wipe').code, 2)
  t.is(run('ls', '--all').code, 2)
})
