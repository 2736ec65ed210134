// Writes docs/cli.md from what the commands print with --help, so that the page cannot differ from them:
//
//   node scripts/docs/write-cli.mjs
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as prettier from 'prettier'

const main = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url))
export const file = fileURLToPath(new URL('../../docs/cli.md', import.meta.url))

/** @param {string[]} args */
function helpOf(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args, '--help'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`gradcam ${args.join(' ')} --help failed:\n${stderr}`)
  return stdout.trimEnd()
}

const block = (/** @type {string} */ text) => `\`\`\`text\n${text}\n\`\`\``

/** The page, as Prettier leaves it. */
export async function page() {
  const overview = helpOf()
  const names = Array.from(overview.matchAll(/^ {2}([a-z-]+) {2,}/gm), ([, name = '']) => name)
  if (names.length === 0) throw new Error('gradcam --help lists no commands')
  const sections = names.map((name) => `## gradcam ${name}\n\n${block(helpOf(name))}`)
  const intro =
    'Written by `node scripts/docs/write-cli.mjs`. In a project of yours run `npx gradcam`; the [guide](guide.md) shows the commands in use.'
  const text = `# Command line\n\n${intro}\n\n${block(overview)}\n\n${sections.join('\n\n')}\n`
  return prettier.format(text, { ...(await prettier.resolveConfig(file)), parser: 'markdown' })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, await page())
