import { metrics } from 'libtorch-gradcam'
import { markdownTable, tableCells } from '../docs/sections.mjs'
import { keysOf } from '../support/access.mjs'

const arrows = { higher: '↑', lower: '↓', 'near 0': '→ 0' }

const paper = (/** @type {string} */ name) => {
  const [kind, id] = name.split(/:(.*)/)
  return kind === 'arXiv' ? `[${name}](https://arxiv.org/abs/${id})` : name
}

const fixed = (/** @type {number} */ value, /** @type {number} */ places) =>
  Math.abs(value) < 0.5 * 10 ** -places ? (0).toFixed(places) : value.toFixed(places)

/** How far a value is from the best that it could be: less is better. */
const wishes = { higher: (/** @type {number} */ v) => -v, lower: (/** @type {number} */ v) => v, 'near 0': Math.abs }

/**
 * @typedef {import('libtorch-gradcam').MetricName} MetricName
 * @typedef {{ title: string, baseline: boolean, means: Readonly<Record<string, number>> }} Row of a method, its means by the name of the metric
 * @typedef {Partial<Record<MetricName, object>>} Options of metrics
 */

const meanOf = (/** @type {Row} */ { means }, /** @type {MetricName} */ name) => means[name] ?? NaN
const headOf = (/** @type {MetricName} */ name) => `${metrics[name].title} ${arrows[metrics[name].better]}`
const unmeasured = '–'

/**
 * The best of a column by its direction, in bold; several where they are equal as printed. The baseline cannot win, and nothing
 * does while a method was not measured.
 *
 * @param {MetricName} name
 * @param {Row[]} rows
 */
function best(name, rows) {
  const wish = wishes[metrics[name].better]
  const least = Math.min(...rows.filter(({ baseline }) => !baseline).map((row) => wish(meanOf(row, name))))
  const known = rows.map((row) => Math.abs(meanOf(row, name))).filter(Number.isFinite)
  const largest = Math.max(...known)
  const places = largest < 0.01 ? 5 : 3
  return rows.map((row) => {
    const mean = meanOf(row, name)
    if (!Number.isFinite(mean)) return unmeasured
    const text = fixed(mean, places)
    return known.length === rows.length && !row.baseline && fixed(wish(mean), places) === fixed(least, places)
      ? `**${text}**`
      : text
  })
}

/**
 * The rows of a section's table with some of them measured again, by some of the metrics or all, or added, in the order of the
 * methods.
 *
 * @param {string} section
 * @param {Row[]} rows
 * @param {readonly { name: string, title: string }[]} methods
 * @returns {Row[]}
 */
export function mergeRows(section, rows, methods) {
  const names = keysOf(metrics)
  const cells = (/** @type {string} */ line) => tableCells(line).map((text) => text.replaceAll('*', ''))
  const lines = section.split('\n')
  const head = lines.findIndex((line) => /^\| method +\| /.test(line))
  const columns = cells(lines[head] ?? '')
    .slice(1)
    .map((title) => names.find((name) => headOf(name) === title))
  if (columns.includes(undefined))
    throw new Error('The page has metrics that the package has not: evaluate every method.')
  const end = lines.findIndex((line, i) => i > head && !line.startsWith('|'))
  const known = new Map(
    lines.slice(head + 2, end).map((line) => {
      const [title = '', ...values] = cells(line)
      const figures = values.flatMap((text, i) => (text === unmeasured ? [] : [[columns[i], Number(text)]]))
      return [title, Object.fromEntries(figures)]
    }),
  )
  return methods.flatMap(({ name, title }) => {
    const means = { ...known.get(title), ...rows.find((row) => row.title === title)?.means }
    return Object.keys(means).length > 0 ? [{ title, baseline: name === 'noise', means }] : []
  })
}

/** Says which methods and metrics were never measured, so that they are not taken for ones that were left out for a reason. */
const noFigures = (/** @type {string} */ what, /** @type {readonly { title: string }[]} */ some) =>
  some.length === 0 ? [] : [`${what}: ${some.map(({ title }) => title).join(', ')}.`]

/**
 * What each column means, as Markdown.
 *
 * @param {Options} options
 */
export function meaningsSection(options) {
  const chosen = (/** @type {MetricName} */ name) => {
    const given = Object.entries(options[name] ?? {})
    return given.length === 0 ? 'as by default' : given.map(([key, value]) => `\`${key}: ${value}\``).join(', ')
  }
  const meanings = keysOf(metrics).map((name) => {
    const { title, better, meaning, paper: source, peer } = metrics[name]
    return [title, better, meaning, chosen(name), paper(source) + (peer ? `, as ${peer} has it` : '')]
  })
  const table = markdownTable([['metric', 'better', 'what it is', 'options', 'source'], ...meanings])
  return `### The columns\n\n${table.replaceAll('---:', '---')}`
}

/**
 * The methods by the metrics, as Markdown.
 *
 * @param {object} measured
 * @param {Row[]} measured.rows
 * @param {{ title: string, message: string }[]} measured.refused methods without a row, and why
 * @param {number} measured.seed
 * @param {number} measured.scenes
 * @param {string} measured.file of the model
 * @param {string} measured.settings what the methods were given, as a part of a sentence
 * @param {readonly { title: string }[]} measured.methods all that there are: those without a row are named
 */
export function evaluationSection({ rows, methods, seed, scenes, file, settings, refused }) {
  const names = keysOf(metrics)
  const measured = names.filter((name) => rows.some((row) => Number.isFinite(meanOf(row, name))))
  const columns = measured.map((name) => best(name, rows))
  const head = ['method', ...measured.map(headOf)]
  const body = rows.map(({ title }, i) => [title, ...columns.map((column) => column[i] ?? '')])
  return [
    `${scenes} scenes of \`scripts/samples/scenes.mjs\` from seed ${seed} on, ${2 * scenes} maps: one for each of the two animals of a scene. ` +
      `The model is \`${file}\`, which has seen none of them; ${settings}. ` +
      'A score is the softmax probability of the animal. The best method of each column is bold; random pixels are there to compare with.',
    markdownTable([head, ...body]),
    ...refused.map(({ title, message }) => `${title} is left out: ${message}`),
    ...noFigures(
      'No figures yet',
      methods.filter(({ title }) => [...rows, ...refused].every((row) => row.title !== title)),
    ),
    ...noFigures(
      'No method was measured yet by these metrics',
      names.filter((name) => !measured.includes(name)).map((name) => metrics[name]),
    ),
  ].join('\n\n')
}
