import test from 'ava'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { compileNative } from '../support/compile-native.js'
import { temporaryFolder } from '../support/package-copy.js'

// native/test/*.cc: what the other tests reach only through whole models.
const folder = join(packageRoot, 'native', 'test')
const files = readdirSync(folder).sort()
const pick = (end: string) => files.filter((file) => file.endsWith(end)).map((file) => join(folder, file))

test('the C++ test program: every check passes', async (t) => {
  t.timeout(600_000)
  const program = await compileNative({
    name: 'core-test',
    sources: pick('.cc'),
    headers: pick('.h'),
    core: true,
    flags: ['-O0'], // half the time to compile; the core that it links is as it is
  })
  const dump = temporaryFolder(t)
  const env = { ...process.env, OMP_NUM_THREADS: '1', GRADCAM_DUMP_SPLIT: dump }
  const { code, stdout, stderr } = await run(program, [], { env })
  const lines = stdout.split('\n').filter(Boolean)
  for (const line of lines) t.log(line)
  t.deepEqual(
    lines.filter((line) => !line.startsWith('ok ')),
    [],
  )
  t.is(code, 0, stderr)
  // One line per TEST_CASE in the sources: a program that ends early must not pass.
  const expected = pick('.cc').flatMap((file) => readFileSync(file, 'utf8').match(/^TEST_CASE\(/gm) ?? [])
  t.is(lines.length, expected.length)
  t.true(expected.length > 0)

  // The split models of the checks, where the environment asks for their text.
  const head = readFileSync(join(dump, 'inner.leaf-head.txt'), 'utf8')
  const tail = readFileSync(join(dump, 'inner.leaf-tail.txt'), 'utf8')
  t.regex(head, /^graph\([^]*aten::mul[^]*aten::relu/)
  t.regex(tail, /^graph\([^]*aten::sub[^]*aten::add/)
})
