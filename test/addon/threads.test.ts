import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { sampleModel } from '../support/batch.js'
import { needing } from '../support/needs.js'

const onLinux = needing('linux', existsSync('/proc/self/task'))

onLinux('models alone open teams of threads, and as large as they were told', async (t) => {
  const child = await run(process.execPath, [join(packageRoot, 'dist/test/support/count-threads.js'), sampleModel], {
    timeout: 60_000,
  })
  t.is(child.code, 0, child.stderr)
  t.deepEqual(JSON.parse(child.stdout), {
    'a model of one thread': 0,
    'an operator': 0,
    'an operator off the event loop': 0,
    'a product of matrices': 0,
    'the numbers of a tensor': 0,
    'a model of the usual number': 2,
  })
})
