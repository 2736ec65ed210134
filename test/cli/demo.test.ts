import test from 'ava'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gradcam, temporaryFolder } from '../support/package-copy.js'

test('gradcam demo explains the sample for both of its classes, and says where', (t) => {
  const out = join(temporaryFolder(t), 'demo')
  const { code, stdout, stderr } = gradcam(['demo', '--out', out])
  t.is(code, 0, stderr)
  for (const name of ['cat', 'dog']) t.true(stdout.includes(name), stdout)
  t.true(stdout.includes(`Open the overlays in ${out}`))
  const files = readdirSync(out)
  for (const name of ['cat', 'dog'])
    for (const what of ['gradcam-overlay', 'gradcam-gcam', 'guided-gradcam-mixed'])
      t.true(
        files.some((file) => file.includes(`-${name}-${what}`)),
        `${name} ${what}: ${files.join()}`,
      )
})
