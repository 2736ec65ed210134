import { asFlag, methodOptions } from '#internal'
import { isDrawn } from './draw.mjs'
import { cell, families, link, list, peerRows, slopes, slugOf, table } from './text.mjs'

/** @typedef {import('libtorch-gradcam').MethodInfo} MethodInfo */

/**
 * What is said of a method besides its facts.
 *
 * @typedef {{ idea: string, use: string[], avoid: string[], others: string[] }} Prose
 */

/**
 * What goes with methods.
 *
 * @typedef {object} WrapperFacts
 * @property {string} title
 * @property {string} formula
 * @property {string} paper
 * @property {string} what
 * @property {import('libtorch-gradcam').Peers} peers
 * @property {string} typescript how it is called
 * @property {string} [shell] its options on the command line
 * @property {string} [note] in their place
 *
 * @typedef {Prose & WrapperFacts} Wrapper
 */

const needs = {
  gradient: 'a forward and a backward pass',
  runs: 'many forward passes, and no gradient',
  nothing: 'a forward pass, and no gradient',
}

/**
 * Where a method takes something else than the others of its kind.
 *
 * @type {Record<string, string>}
 */
const takes = {
  shapleycam: 'a forward pass, a backward pass, and one through that for the curvature',
  'smoothgradcam++': 'a forward pass, and a forward and a backward pass for each noisy copy',
  'internal-influence': 'a forward pass, and a forward and a backward pass for each of its steps',
  'layer-conductance': 'a forward pass, and a forward and a backward pass for each of its steps',
  'layer-integrated-gradients':
    'two forward passes, and a forward and a backward pass of what follows the layer for each of its steps',
  'layer-deeplift': 'a forward pass, two more at the image and at the baseline, and a backward pass',
  'integrated-gradients': 'a forward and a backward pass for each of its steps',
  'gradient-shap': 'a forward and a backward pass for each of its steps',
  'blur-ig': 'a forward and a backward pass for each of its steps',
  'guided-ig': 'a forward and a backward pass for each of its steps',
  xrai: 'a forward and a backward pass for each of its steps, from black and from white',
  'deeplift-shap': 'a forward and a backward pass for each baseline',
  legrad: 'a forward pass, and a forward and a backward pass for each block',
  'guided-gradcam': 'two forward and two backward passes',
}

/** Options of the classes that are one inside the option `smooth`. */
const smoothing = ['smooth', 'samples', 'sigma', 'seed']

const looksAt = {
  Cam: 'a layer',
  FullGrad: 'the input, and every layer with a bias',
  InputAttribution: 'the input',
  GuidedGradCam: 'the input and a layer',
  InputPerturbation: 'the input',
  AttentionMap: 'all attention between tokens',
}

const found = {
  Cam: 'found.cam // [N, 1, h, w], as large as the layer',
  FullGrad: 'found.cam // [N, 1, H, W], in [0, 1]',
  InputAttribution: 'found.attribution // [N, 3, H, W]',
  GuidedGradCam: 'found.attribution // [N, 3, H, W]',
  InputPerturbation: 'found.attribution // [N, 3, H, W]',
  AttentionMap: 'found.cam // [N, 1, h, w], as large as the grid of patches',
}

function negative(/** @type {string} */ name, /** @type {MethodInfo} */ { by, signed }) {
  if (slopes.includes(name)) return 'the score falls when the element grows'
  if (signed) return 'evidence against the target'
  return by === 'Cam' ? "cut off, unless `compat` is `'captum'`" : 'none'
}

/**
 * What a class is made with for a method.
 *
 * @type {Record<MethodInfo['by'], (name: string) => string | null>}
 */
const optionsOf = {
  Cam: (name) => `{ layers: ['features'], methods: ['${name}'] }`,
  FullGrad: () => null,
  InputAttribution: (name) => `{ method: '${name}' }`,
  GuidedGradCam: () => `{ layer: 'features' }`,
  AttentionMap: (name) => `{ method: '${name}' }`,
  InputPerturbation: (name) =>
    name === 'feature-ablation' ? `{ method: '${name}', features }` : `{ method: '${name}' }`,
}

function typescript(/** @type {string} */ name, /** @type {MethodInfo} */ { by }) {
  const given = optionsOf[by](name)
  const before = name === 'feature-ablation' ? 'using features = gridFeatures([224, 224], [28, 28])\n' : ''
  return `${before}using explainer = new ${by}(model${given === null ? '' : `, ${given}`})
using found = await explainer.explain(input, { target: 0 })
${found[by]}`
}

/** @type {Record<string, string[]>} */
const own = {
  'integrated-gradients': ['found.delta // how far the shares are from adding up, per image'],
  lrp: ['found.delta // the sum of the relevance minus the score, per image'],
  'guided-backprop': ['found.intercepted // how many ReLUs followed the rule'],
  deconvnet: ['found.intercepted // how many ReLUs followed the rule'],
  'guided-gradcam': ['found.intercepted // how many ReLUs followed the rule'],
}

function shell(/** @type {string} */ name, /** @type {boolean} */ layered) {
  const layer = layered ? ' --layer features' : ''
  return `npx gradcam explain photo.jpg --model model.pt${layer} --method ${name} --target 0 --out explained`
}

function optionName(/** @type {string} */ key, /** @type {string} */ name, /** @type {MethodInfo} */ { by }) {
  if (by === 'InputAttribution' && smoothing.includes(key)) return `\`smooth.${key === 'smooth' ? 'kind' : key}\``
  // A grid of such windows is laid over the image; the class takes `features` of any form.
  return name === 'feature-ablation' && key === 'window' ? '' : `\`${key}\``
}

/**
 * @param {string} key
 * @param {{ flag?: string }} option
 */
function flagOf(key, { flag }) {
  if (key === 'layer' || key === 'layers') return '`--layer PATH`'
  return flag === undefined ? '' : `\`--${asFlag(key)} ${flag}\``
}

function options(/** @type {string} */ name, /** @type {MethodInfo} */ facts) {
  /** @type {Record<string, { of: readonly string[], otherwise: string, help: string, flag?: string }>} */
  const known = methodOptions
  const rows = Object.entries(known)
    .filter(([, option]) => option.of.includes(name))
    .map(([key, option]) => [optionName(key, name, facts), option.otherwise, option.help, flagOf(key, option)])
  return rows.length === 0
    ? ''
    : `### Options\n\n${table(['option', 'by default', 'what it is', 'on the command line'], rows)}`
}

const body = (/** @type {Prose} */ { idea, use, avoid, others }) => ({
  idea,
  sections: `## When to use it

${list(use)}

## When not to

${list(avoid)}

## What the others do differently

${list(others)}`,
})

/** @type {(slug: string, title: string, caption: string) => string} */
const image = (
  slug,
  title,
  caption,
) => `![${title} of the sample image, for its cat and for its dog](images/${slug}.webp)

${caption}`

/** @type {(name: string, facts: { title: string, formula: string }, caption: string) => string} */
const opening = (name, { title, formula }, caption) => `# ${title}

[All methods](README.md)

${isDrawn(name) ? image(slugOf(name), title, caption) : caption}

\`\`\`text
${formula}
\`\`\``

/**
 * The page of a method.
 *
 * @param {string} name
 * @param {MethodInfo} facts
 * @param {Prose} prose
 * @param {string} caption
 */
export function methodPage(name, facts, prose, caption) {
  const { idea, sections } = body(prose)
  const rows = [
    ['source', link(facts.paper)],
    ['looks at', looksAt[facts.by]],
    ['takes', takes[name] ?? needs[facts.needs]],
    ['depends on the target', facts.target ? 'yes' : 'no: every class has the same map'],
    ['negative values', negative(name, facts)],
    ...peerRows(facts.peers),
  ]
  return `${opening(name, facts, caption)}

${cell(families[facts.by].notation)}

${idea}

${table(['name', `\`${name}\`, by \`${facts.by}\``], rows)}

${sections}

## How to call it

\`\`\`ts
${[typescript(name, facts), ...(own[name] ?? [])].join('\n')}
\`\`\`

\`\`\`sh
${shell(name, facts.layered)}
\`\`\`

${options(name, facts)}
`
}

/**
 * The page of what goes with methods.
 *
 * @param {string} name
 * @param {Wrapper} wrapper
 * @param {string} caption
 */
export function wrapperPage(name, wrapper, caption) {
  const { idea, sections } = body(wrapper)
  const rows = [['source', link(wrapper.paper)], ...peerRows(wrapper.peers)]
  const command = wrapper.shell
    ? `\`\`\`sh\nnpx gradcam explain photo.jpg --model model.pt ${wrapper.shell}${wrapper.shell.includes('--target') ? '' : ' --target 0'} --out explained\n\`\`\``
    : wrapper.note
  return `${opening(name, wrapper, caption)}

${idea}

${table(['what it is', wrapper.what], rows)}

${sections}

## How to call it

\`\`\`ts
${wrapper.typescript}
\`\`\`

${command}
`
}
