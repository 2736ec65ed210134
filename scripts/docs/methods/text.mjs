// Small pieces of Markdown that the index and the pages share.
export const libraries = /** @type {const} */ (['pytorch-grad-cam', 'Captum', 'torch-cam'])

/** The file of a method's page, and of its image without the ending: a plus sign means something else in an address. */
export const slugOf = (/** @type {string} */ name) => name.replaceAll('++', '-plus-plus')

/** What these give is a slope, not a share of the score: how it changes when an element grows. */
export const slopes = ['gradient', 'guided-backprop', 'deconvnet', 'guided-gradcam']

/** A paper's number with its address. */
export function link(/** @type {string | null} */ paper) {
  if (paper === null) return 'a library, not a paper'
  const [kind, id] = paper.split(/:(.*)/)
  if (kind === 'arXiv') return `[${paper}](https://arxiv.org/abs/${id})`
  if (kind === 'doi') return `[doi:${id}](https://doi.org/${id})`
  return `[${paper}](https://hal.science/${paper})`
}

export const cell = (/** @type {string} */ text) =>
  text.replaceAll('|', '\\|').replaceAll('_', '\\_').replaceAll('*', '\\*')

export const list = (/** @type {readonly string[]} */ items) => items.map((item) => `- ${item}`).join('\n')

export const table = (/** @type {string[]} */ head, /** @type {string[][]} */ rows) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

/** A row for each library: the class there. torch-cam has few that the others lack. */
export const peerRows = (/** @type {import('libtorch-gradcam').Peers} */ peers) =>
  libraries
    .filter((library) => library !== 'torch-cam' || peers[library])
    .map((library) => [`in ${library}`, peers[library] ? `\`${peers[library]}\`` : '–'])

/**
 * The classes of lib, in the order in which the docs show them.
 *
 * @typedef {import('libtorch-gradcam').MethodInfo['by']} ClassName
 * @satisfies {Record<ClassName, { heading: string, notation: string }>}
 */
export const families = {
  Cam: {
    heading: 'Maps of layers',
    notation:
      'A is what the layer returned and G the gradient of the score there, both [N, C, h, w]; k is a channel, sums and means ' +
      "without a subscript are over spatial positions. The map is then cut at zero, unless `compat` is `'captum'`.",
  },
  FullGrad: {
    heading: 'A map of the whole model',
    notation:
      'x is the input with channels c, g the gradient of the score there; b_k is what a convolution or batch normalisation ' +
      'adds to its channel k, G_k the gradient there.',
  },
  InputAttribution: {
    heading: 'Gradients at the input',
    notation: 'x is the input, f the score, g the gradient of f at x, all per element of the input.',
  },
  AttentionMap: {
    heading: 'Attention of transformers',
    notation:
      'A are the attention matrices of a layer, [N, heads, T, T] for T tokens, and dA the gradient of the score there; R is multiplied from the ' +
      'left, layer by layer.',
  },
  GuidedGradCam: { heading: 'Both together', notation: 'Per element of the input.' },
  InputPerturbation: {
    heading: 'What changes the input',
    notation: 'x is the input and f the score. No gradient is taken: the model runs on changed inputs.',
  },
}
