// Writes docs/methods/README.md from the table of methods, so that the two cannot differ: node scripts/write-method-docs.mjs
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as prettier from 'prettier'
import { camMethods } from '../dist/lib/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
export const file = join(root, 'docs', 'methods', 'README.md')

/** Of InputPerturbation: what it computes, how often it runs the model, and the paper. */
const perturbations = [
  ['occlusion', 'sum_w (f(x) - f(x_w)) 1_w / sum_w 1_w, x_w is x with window w covered', 'windows', 'arXiv:1311.2901'],
  ['feature-ablation', 'f(x) - f(x without the feature), for each element of it', 'features', 'Captum'],
  ['rise', 'sum_i f(x m_i) m_i / (N p) over N random masks that keep a share p', 'masks', 'arXiv:1806.07421'],
]

const link = (paper) => {
  if (paper === null) return 'pytorch-grad-cam'
  if (paper === 'Captum') return paper
  const [kind, id] = paper.split(/:(.*)/)
  if (kind === 'arXiv') return `[${paper}](https://arxiv.org/abs/${id})`
  if (kind === 'doi') return `[${id}](https://doi.org/${id})`
  return `[${paper}](https://hal.science/${paper})`
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('_', '\\_').replaceAll('*', '\\*')

/** The titles of the methods that run that much of the model again. */
const rerun = (what) =>
  Object.values(camMethods)
    .filter(({ reruns }) => reruns === what)
    .map(({ title }) => title)
    .join(' and ')

/** The page, as Prettier leaves it. */
export async function page() {
  const rows = Object.entries(camMethods).map(
    ([name, { title, formula, target, paper }]) =>
      `| \`${name}\` | ${title} | ${cell(formula)} | ${target ? 'yes' : 'no'} | ${link(paper)} |`,
  )
  const perturbed = perturbations.map(
    ([name, formula, runs, paper]) => `| \`${name}\` | ${cell(formula)} | ${runs} | ${link(paper)} |`,
  )
  const text = `# Class activation maps

Written by \`node scripts/write-method-docs.mjs\`.

A is what the target layer returned and G the gradient of the score there, both [N, C, h, w]; k is a channel, sums and means
without a subscript are over places. Every map is followed by max(., 0), unless \`compat\` is \`'captum'\`. All methods that
are asked for together share one forward and one backward; where none needs a gradient, nothing is differentiated.

| method | name | map | depends on the target | source |
| --- | --- | --- | --- | --- |
${rows.join('\n')}

\`FullGrad\` takes no layer and is a class of its own. Finer-CAM is a target, \`{ kind: 'finer' }\`, for any of the methods.

## Methods that run the model again

${rerun('tail')} runs what follows the layer once more for each channel, ${rerun('model')} the whole model. Both do so without
a graph, \`chunkSize\` copies at a time, so that memory does not grow with the channels; the result depends neither on that nor
on the other images of the batch. No gradient is needed: they work where the model has none. A target is evaluated for each
copy; its top class, and the classes that Finer-CAM compares with, are those of the unchanged image. It cannot be a function.

- Ablation-CAM puts zeros in the place of a channel at any layer, as the paper does (with a transformer's tokens also in the
  class token). pytorch-grad-cam does so where the smallest activation is zero, as behind a ReLU, and gives the same maps there;
  elsewhere it fills in the minimum less 1e7, which it takes anew after each channel of a batch, so that its maps depend on its
  batch size. Channels that are zero already need no run. Where the model cannot be cut at the layer, the whole of it runs.
- Score-CAM's masks are enlarged with corners on corners. A constant channel makes a mask of zeros; pytorch-grad-cam may make one
  of rounding errors. With several inputs, the first is masked.

## Attributions to the input

x is the input [N, ...] and f the score. \`InputPerturbation\` changes x and runs the model without a graph, so it takes any
model; its cost is the number of runs.

| method | attribution | runs | source |
| --- | --- | --- | --- |
${perturbed.join('\n')}

Occlusion covers a window at a time, by default an eighth of each dimension behind the channels, moving by half of it; windows
that reach over the border are cropped, as in Captum. Feature ablation takes away together what has the same integer in
\`features\`. RISE divides by the expected coverage N p, as its authors' code does, not by the sum of the masks; the score of a
class is its probability there.

## Where maps follow which convention

| \`compat\` | negative values | size | scale |
| --- | --- | --- | --- |
| \`'paper'\` (the default) | cut off | the layer's | as the formula gives it |
| \`'pytorch-grad-cam'\` | cut off | the input's | [0, 1] per image, combined over layers |
| \`'captum'\` | kept | the layer's | as the formula gives it |

The default keeps what the formula says, so that maps of one layer can be compared between images and classes.

## The sign of a principal component

A principal component is known up to its sign. Eigen-CAM's is the one that agrees with how active a place is: the sum over
places of map times sum\\_k |A\\_k| is not negative. EigenGrad-CAM and \`eigenSmooth\` agree with the sum over channels that they
stand for. LAPACK's sign, which pytorch-grad-cam takes, changes with its version and the shape; up to that sign the maps are
the same.
`
  return await prettier.format(text, { ...(await prettier.resolveConfig(file)), parser: 'markdown' })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, await page())
