// What bench and evaluation write into docs: a table, and a section between two markers.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { packageRoot } from '#internal'

/**
 * Puts a text between the two markers of that name in docs/performance.md, or in another file.
 *
 * @param {string} name
 * @param {string} section
 */
export async function writeSection(name, section, file = join(packageRoot, 'docs', 'performance.md')) {
  const markers = new RegExp(`(<!-- ${name}:begin[^>]*-->)[\\s\\S]*?(<!-- ${name}:end -->)`)
  const text = readFileSync(file, 'utf8')
  if (!markers.test(text))
    throw new Error(`${file} has no <!-- ${name}:begin --> and <!-- ${name}:end --> to write between`)
  const next = text.replace(markers, (_, begin, end) => `${begin}\n\n${section}\n\n${end}`)
  writeFileSync(file, await format(next, { ...(await resolveConfig(file)), parser: 'markdown' }))
}

/** @param {readonly (readonly string[])[]} rows the first holds the titles */
export function markdownTable([titles = [], ...lines]) {
  const row = (/** @type {readonly string[]} */ texts) => `| ${texts.join(' | ')} |`
  return [row(titles), row(titles.map((_, at) => (at === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n')
}
