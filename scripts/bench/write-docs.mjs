import { markdownTable, writeSection } from '../docs/sections.mjs'
import { contestants } from './contestants.mjs'
import { overheadLine } from './overhead.mjs'
import { differenceText } from './report.mjs'

/**
 * @typedef {import('./types.d.mts').Figures} Figures
 * @typedef {import('./types.d.mts').Group & { rows: readonly Figures[] }} Group
 * @typedef {object} Report
 * @property {ReturnType<typeof import('./machine.mjs').machine>} machine
 * @property {readonly Group[]} groups
 * @property {Readonly<Record<string, Readonly<Record<string, number | null>>>>} coldStartMs by model and contestant
 * @property {import('./types.d.mts').Overhead | null} overhead
 * @property {number} seconds
 */

const infoOf = (/** @type {string} */ name) => contestants.find((one) => one.name === name)
const labelOf = (/** @type {string} */ name) => (infoOf(name)?.label ?? name).replace('libtorch-gradcam', 'ours')

/** @type {<Value>(values: readonly Value[]) => Value[]} */
const unique = (values) => [...new Set(values)]
const namesOf = (/** @type {readonly Group[]} */ groups) =>
  unique(groups.flatMap(({ rows }) => rows.map(({ name }) => name)))

/** How many times as long as ours it took, and in brackets how far its result is from ours. */
function compared(/** @type {Figures | undefined} */ row) {
  if (!row || row.toOurs === null) return '–'
  return `${row.toOurs.toFixed(2)} (${differenceText(row, infoOf(row.name))})`
}

/** A line for each model and batch, with a cell for each contestant. */
function byContestant(
  /** @type {readonly Group[]} */ groups,
  /** @type {readonly string[]} */ names,
  /** @type {(row: Figures | undefined) => string} */ cell,
) {
  return groups.map(({ model, batch, rows }) => [
    `${model}, ${batch}`,
    ...names.map((name) => cell(rows.find((row) => row.name === name))),
  ])
}

/** The times of one workload. */
function timesOf(/** @type {readonly Group[]} */ groups) {
  const [ours = '', ...others] = namesOf(groups)
  const titles = ['network, batch', 'p50', 'p95', 'images/s', ...others.map(labelOf)]
  const lines = byContestant(groups, others, compared).map(([line = '', ...cells], at) => {
    const own = groups[at]?.rows.find(({ name }) => name === ours)
    const figures = own ? [own.p50, own.p95, own.imagesPerSecond] : []
    return [line, ...figures.map((value) => value.toFixed(1)), ...cells]
  })
  return markdownTable([titles, ...lines])
}

function memoryOf(/** @type {readonly Group[]} */ groups) {
  const names = namesOf(groups)
  const megabytes = (/** @type {Figures | undefined} */ row) => (row ? (row.peakRss / 1e6).toFixed(0) : '–')
  return markdownTable([['network, batch', ...names.map(labelOf)], ...byContestant(groups, names, megabytes)])
}

function coldStarts(/** @type {Report} */ { groups, coldStartMs }) {
  const models = unique(groups.map(({ model }) => model))
  const lines = namesOf(groups).map((name) => [
    labelOf(name),
    ...models.map((model) => {
      const ms = coldStartMs[model]?.[name]
      return typeof ms === 'number' ? (ms / 1000).toFixed(2) : '–'
    }),
  ])
  return markdownTable([['seconds', ...models], ...lines])
}

/**
 * What the report says, as Markdown.
 *
 * @param {Report} report
 */
export function docsSection(report) {
  const { machine, groups, overhead, seconds } = report
  const { cpu, cores, memoryGiB, system, node, libtorch, threads, device } = machine
  const titles = unique(groups.map(({ title }) => title))
  const of = (/** @type {string} */ title) => groups.filter((group) => group.title === title)
  const parts = [
    `Measured on ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; Node ${node}, LibTorch ${libtorch}, ${threads} threads, ${device}; ${seconds} s in all.`,
    'The first figures are ours: p50 and p95 of the time of a batch in ms. The other columns say how many times as long the others take, and in brackets how far their result is from ours.',
    ...titles.flatMap((title) => [`### ${title}`, timesOf(of(title))]),
    ...groups.flatMap(({ model, batch, title, warnings }) =>
      warnings.map((text) => `(${model}, batch ${batch}, ${title}: ${text})`),
    ),
    '### Peak of resident memory, MB',
    ...titles.flatMap((title) => [`${title}:`, memoryOf(of(title))]),
    '### Cold start',
    'From the start of the process to its first explanation, at the smallest batch.',
    coldStarts(report),
  ]
  if (overhead) parts.push('### Overhead', overheadLine(overhead))
  return parts.join('\n\n')
}

/** @type {(report: Report, file?: string) => Promise<void>} */
export const writeDocs = (report, file) => writeSection('bench', docsSection(report), file)
