import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'

const script = pathToFileURL(join(packageRoot, 'scripts', 'docs', 'write-cli.mjs')).href
const { file, page } = (await import(script)) as { file: string; page: () => Promise<string> }

test('docs/cli.md has what the commands print with --help', async (t) => {
  t.is(readFileSync(file, 'utf8'), await page(), 'run node scripts/docs/write-cli.mjs')
})

const sources = ['lib', 'native']

test('every message that docs/troubleshooting.md quotes is in the sources', async (t) => {
  const { readdirSync } = await import('node:fs')
  const texts = sources
    .flatMap((folder) =>
      readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(ts|cc|h)$/.test(name))
        .map((name) => readFileSync(join(packageRoot, folder, name), 'utf8')),
    )
    // Strings go on in the next line: joined, as they are said.
    .map((text) => text.replaceAll(/['"`]\s*\+?\s*\n\s*['"`]/g, ''))
  const rows = readFileSync(join(packageRoot, 'docs', 'troubleshooting.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (message|missing|-+|C\+\+|Python|CMake)/.test(line))
    .map((line) => line.split('|')[1]?.trim() ?? '')
  t.true(rows.length > 15)
  for (const row of rows)
    for (const part of row.split(/…| \/ |\(a state_dict|Nearest:/).map((one) => one.replace(/[),.]*$/, '').trim()))
      if (part.length > 6)
        t.true(
          texts.some((text) => text.includes(part)),
          `"${part}" of "${row}"`,
        )
})
