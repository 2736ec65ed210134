// What bench and evaluation write into docs: a table, and a section between two markers.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { packageRoot } from '#internal'

const performancePage = join(packageRoot, 'docs', 'performance.md')

/**
 * The text of a file in three: up to the end of the marker, between the two, and the rest.
 *
 * @param {string} name
 * @param {string} file
 */
function around(name, file) {
  const markers = new RegExp(`^([\\s\\S]*<!-- ${name}:begin[^>]*-->)([\\s\\S]*?)(<!-- ${name}:end -->[\\s\\S]*)$`)
  const found = markers.exec(readFileSync(file, 'utf8'))
  if (!found) throw new Error(`${file} has no <!-- ${name}:begin --> and <!-- ${name}:end --> to write between`)
  const [, before = '', section = '', after = ''] = found
  return { before, section, after }
}

/**
 * The text between the two markers of that name in docs/performance.md, or in another file.
 *
 * @param {string} name
 */
export const readSection = (name, file = performancePage) => around(name, file).section

/**
 * Puts a text there.
 *
 * @param {string} name
 * @param {string} section
 */
export async function writeSection(name, section, file = performancePage) {
  const { before, after } = around(name, file)
  const next = `${before}\n\n${section}\n\n${after}`
  writeFileSync(file, await format(next, { ...(await resolveConfig(file)), parser: 'markdown' }))
}

/** @param {readonly (readonly string[])[]} rows the first holds the titles */
export function markdownTable([titles = [], ...lines]) {
  const row = (/** @type {readonly string[]} */ texts) => `| ${texts.join(' | ')} |`
  return [row(titles), row(titles.map((_, at) => (at === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n')
}

/** The texts of a line of a table. */
export const tableCells = (/** @type {string} */ line) =>
  line
    .split('|')
    .slice(1, -1)
    .map((text) => text.trim())
