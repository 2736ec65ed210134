import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { packageRoot } from '../lib/paths.js'

test('docs/methods/README.md says what the table of methods says', async (t) => {
  const script = pathToFileURL(join(packageRoot, 'scripts', 'write-method-docs.mjs')).href
  const { file, page } = (await import(script)) as { file: string; page: () => Promise<string> }
  t.is(readFileSync(file, 'utf8'), await page(), 'run: node scripts/write-method-docs.mjs')
})
