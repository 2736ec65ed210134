import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { globSync } from 'tinyglobby'
import { packageRoot } from '../../lib/base/paths.js'

const pages = globSync(['*.md', 'docs/**/*.md', 'examples/*.md'], { cwd: packageRoot }).sort()
const textOf = (page: string): string => readFileSync(join(packageRoot, page), 'utf8')

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')

test('what the pages link to, and their images, are there, and so are the headings that links name', (t) => {
  t.true(pages.includes('README.md') && pages.includes(join('docs', 'methods', 'README.md')))
  for (const page of pages) {
    const links = textOf(page).matchAll(/(?:\]\(|src=")([^)#"\s]*)(?:#([^)"]*))?[)"]/g)
    for (const [, address = '', anchor] of links) {
      if (/^https?:/.test(address)) continue
      const file = address === '' ? page : join(page, '..', address)
      t.true(existsSync(join(packageRoot, file)), `${page}: ${address}`)
      if (anchor === undefined || !file.endsWith('.md')) continue
      const headings = Array.from(textOf(file).matchAll(/^#+ (.*)$/gm), ([, heading = '']) => anchorOf(heading))
      t.true(headings.includes(anchor), `${page}: ${address}#${anchor}`)
    }
  }
})
