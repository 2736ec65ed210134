import { metrics } from 'libtorch-gradcam'
import { markdownTable } from '../docs/sections.mjs'

const arrows = { higher: '↑', lower: '↓', 'near 0': '→ 0' }

const paper = (name) => {
  const [kind, id] = name.split(/:(.*)/)
  return kind === 'arXiv' ? `[${name}](https://arxiv.org/abs/${id})` : name
}

const fixed = (value, places) => (Math.abs(value) < 0.5 * 10 ** -places ? (0).toFixed(places) : value.toFixed(places))

/** The best of a column by its direction, in bold; several where they are equal as printed. The baseline cannot win. */
function best(name, rows) {
  const wish = { higher: (v) => -v, lower: (v) => v, 'near 0': Math.abs }[metrics[name].better]
  const least = Math.min(...rows.filter(({ baseline }) => !baseline).map(({ means }) => wish(means[name])))
  const largest = Math.max(...rows.map(({ means }) => Math.abs(means[name])))
  const places = largest < 0.01 ? 5 : 3
  return rows.map(({ means, baseline }) => {
    const text = fixed(means[name], places)
    return !baseline && fixed(wish(means[name]), places) === fixed(least, places) ? `**${text}**` : text
  })
}

/** The methods by the metrics, and what each column means, as Markdown. */
export function evaluationSection({ rows, seed, scenes, layer, steps, masks, options, refused }) {
  const names = Object.keys(metrics)
  const columns = names.map((name) => best(name, rows))
  const head = ['method', ...names.map((name) => `${metrics[name].title} ${arrows[metrics[name].better]}`)]
  const body = rows.map(({ title }, i) => [title, ...columns.map((column) => column[i])])
  const chosen = (name) => {
    const given = Object.entries(options[name] ?? {})
    return given.length === 0 ? 'as by default' : given.map(([key, value]) => `\`${key}: ${value}\``).join(', ')
  }
  const meanings = names.map((name) => {
    const { title, better, meaning, paper: source, peer } = metrics[name]
    return [title, better, meaning, chosen(name), paper(source) + (peer ? `, as ${peer} has it` : '')]
  })
  return [
    `${scenes} scenes of \`scripts/samples/scenes.mjs\` from seed ${seed} on, ${2 * scenes} maps: one for each of the two animals of a scene. ` +
      `The model is \`samples/animals-densenet.pt\`, which has seen none of them; maps of layers are of \`${layer}\`; integrated gradients take ${steps} steps, RISE ${masks} masks. ` +
      'A score is the softmax probability of the animal. The best method of each column is bold; random pixels are there to compare with.',
    markdownTable([head, ...body]),
    ...refused.map(({ title, message }) => `${title} is left out: ${message}`),
    '### The columns',
    markdownTable([['metric', 'better', 'what it is', 'options', 'source'], ...meanings]).replaceAll('---:', '---'),
  ].join('\n\n')
}
