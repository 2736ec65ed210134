import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { packageRoot } from '../../dist/lib/base/paths.js'
import { overheadLine } from './overhead.mjs'
import { markdownTable } from './report.mjs'

/** Puts a text between the two markers of that name in docs/performance.md. */
export async function writeSection(name, section, file = join(packageRoot, 'docs', 'performance.md')) {
  const markers = new RegExp(`(<!-- ${name}:begin[^>]*-->)[\\s\\S]*?(<!-- ${name}:end -->)`)
  const text = readFileSync(file, 'utf8')
  if (!markers.test(text))
    throw new Error(`${file} has no <!-- ${name}:begin --> and <!-- ${name}:end --> to write between`)
  const next = text.replace(markers, (_, begin, end) => `${begin}\n\n${section}\n\n${end}`)
  writeFileSync(file, await format(next, { ...(await resolveConfig(file)), parser: 'markdown' }))
}

/** What the report says, as Markdown. */
export function docsSection({ machine, groups, overhead, seconds }) {
  const { cpu, cores, memoryGiB, system, node, libtorch, threads, device } = machine
  const parts = [
    `Measured on ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; Node ${node}, LibTorch ${libtorch}, ${threads} threads, ${device}; ${seconds} s in all.`,
  ]
  for (const { model, title, batch, table, warnings } of groups) {
    parts.push(`### ${model}, batch ${batch}: ${title}`, markdownTable(table), ...warnings.map((text) => `(${text})`))
  }
  if (overhead) parts.push('### Overhead', overheadLine(overhead))
  return parts.join('\n\n')
}

export const writeDocs = (report, file) => writeSection('bench', docsSection(report), file)
