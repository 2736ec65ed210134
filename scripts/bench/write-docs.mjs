import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { packageRoot } from '../../dist/lib/paths.js'
import { overheadLine } from './overhead.mjs'
import { markdownTable } from './report.mjs'

const markers = /(<!-- bench:begin[^>]*-->)[\s\S]*?(<!-- bench:end -->)/

/** The text between the two markers of docs/performance.md. */
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

export async function writeDocs(report, file = join(packageRoot, 'docs', 'performance.md')) {
  const text = readFileSync(file, 'utf8')
  if (!markers.test(text))
    throw new Error(`${file} has no <!-- bench:begin --> and <!-- bench:end --> to write between`)
  const next = text.replace(markers, (_, begin, end) => `${begin}\n\n${docsSection(report)}\n\n${end}`)
  const config = await resolveConfig(file)
  writeFileSync(file, await format(next, { ...config, parser: 'markdown' }))
}
