import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { temporaryFolder } from '../support/package-copy.js'

const script = pathToFileURL(join(packageRoot, 'scripts', 'check', 'arrows.mjs')).href
const { arrowErrors } = (await import(script)) as { arrowErrors: (root: string) => string[] }

/** What is wrong with a tree of these files. */
function errorsOf(t: ExecutionContext, files: Readonly<Record<string, string>>): string[] {
  const root = temporaryFolder(t)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return arrowErrors(root)
}

test('arrows that run down are fine', (t) => {
  const files = {
    'lib/cli/main.ts': "import { a } from '../batch/a.js'\nexport * from '../base/errors.js'\n",
    'lib/batch/a.ts': "import type { B } from '../base/errors.js'\nimport './b.js'\n",
    'native/core/hooks/hooks.cc': '#include "hooks.h"\n#include "core/base/error.h"\n#include <string>\n',
    'native/core/hooks/hooks.h': '#pragma once\n',
    'native/core/base/error.h': '#pragma once\n',
    'native/node/addon.cc': '#include <napi.h>\n#include "core/hooks/hooks.h"\n',
  }
  t.deepEqual(errorsOf(t, files), [])
})

for (const [how, line] of Object.entries({
  import: "import { main } from '../cli/main.js'",
  'an import of a type': "import type { Main } from '../cli/main.js'",
  'an import over several lines': "import {\n  main,\n} from '../cli/main.js'",
  'an export': "export { main } from '../cli/main.js'",
  'an import for its effect': "import '../cli/main.js'",
  'an import when it is needed': "const main = await import('../cli/main.js')",
  'the type of an import': "type Main = import('../cli/main.js').Main",
}))
  test(`an arrow that runs up is found: ${how}`, (t) => {
    const [error, ...others] = errorsOf(t, { 'lib/batch/a.ts': `${line}\n` })
    t.is(error, 'lib/batch/a.ts uses lib/cli/main.ts, but batch lies below cli')
    t.deepEqual(others, [])
  })

test('rooms of one floor do not know each other', (t) => {
  t.deepEqual(errorsOf(t, { 'lib/cam/a.ts': "import '../metrics/b.js'\n" }), [
    'lib/cam/a.ts uses lib/metrics/b.ts, but cam lies beside metrics',
  ])
})

test('an #include that runs up is found, and one of the binding or of Node', (t) => {
  const files = {
    'native/core/base/error.cc': '#include "core/pass/pass.h"\n',
    'native/core/pass/pass.h': '#include "node/convert.h"\n  # include <napi.h>\n',
    'native/node/convert.h': '#pragma once\n',
  }
  t.deepEqual(errorsOf(t, files), [
    'native/core/base/error.cc uses native/core/pass/pass.h, but base lies below pass',
    'native/core/pass/pass.h includes node/convert.h, but native/core knows nothing of Node',
    'native/core/pass/pass.h includes napi.h, but native/core knows nothing of Node',
  ])
})

test('circles of files are found, also inside a room', (t) => {
  const files = {
    'lib/cam/a.ts': "import './b.js'\n",
    'lib/cam/b.ts': "import './c.js'\n",
    'lib/cam/c.ts': "import './a.js'\n",
    'lib/cam/d.ts': "import './a.js'\n",
    'native/core/base/a.h': '#include "b.h"\n',
    'native/core/base/b.h': '#include "core/base/a.h"\n',
  }
  t.deepEqual(errorsOf(t, files), [
    'a circle: lib/cam/a.ts, lib/cam/b.ts, lib/cam/c.ts',
    'a circle: native/core/base/a.h, native/core/base/b.h',
  ])
})

test('a room that nobody put on a floor is named, and what is imported from outside', (t) => {
  const files = {
    'lib/attic/a.ts': "import '../base/b.js'\n",
    'lib/base/b.ts': "import '../../test/support/c.js'\n",
    'scripts/bench/d.mjs': "import { run } from '../../dist/lib/base/processes.js'\n",
  }
  t.deepEqual(errorsOf(t, files), [
    'lib/attic is on no floor: add it to `floors` in scripts/check/arrows.mjs',
    'lib/base/b.ts imports test/support/c.ts, which is not in lib',
    "scripts/bench/d.mjs imports ../../dist/lib/base/processes.js: take it from 'libtorch-gradcam', '#internal' or '#test-support/'",
  ])
})

test('the rooms of this package: every arrow runs down', (t) => {
  t.deepEqual(arrowErrors(packageRoot), [])
})
