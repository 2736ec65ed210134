import { markdownTable, writeSection } from '../docs/sections.mjs'
import { overheadLine } from './overhead.mjs'

/**
 * @typedef {object} Report
 * @property {ReturnType<typeof import('./machine.mjs').machine>} machine
 * @property {readonly import('./types.d.mts').Group[]} groups
 * @property {import('./types.d.mts').Overhead | null} overhead
 * @property {number} seconds
 */

/**
 * What the report says, as Markdown.
 *
 * @param {Report} report
 */
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

/** @type {(report: Report, file?: string) => Promise<void>} */
export const writeDocs = (report, file) => writeSection('bench', docsSection(report), file)
