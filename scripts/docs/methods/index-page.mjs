import { camMethods, methods } from 'libtorch-gradcam'
import { keysOf } from '../../support/access.mjs'
import { isDrawn } from './draw.mjs'
import { cell, families, libraries, link, slugOf, table } from './text.mjs'
import { wrappers } from './wrappers.mjs'

const thumbnail = (/** @type {string} */ name, /** @type {string} */ title) =>
  isDrawn(name) ? `[<img src="images/${slugOf(name)}.webp" width="180" alt="${title}">](${slugOf(name)}.md)` : ''

const needs = { gradient: 'a backward pass', runs: 'more runs', nothing: 'one forward' }

const peersOf = (/** @type {import('libtorch-gradcam').Peers} */ peers) =>
  libraries.filter((library) => peers[library]).join(', ') || '–'

function family(/** @type {import('./text.mjs').ClassName} */ by) {
  const { heading, notation } = families[by]
  const rows = Object.entries(methods)
    .filter(([, facts]) => facts.by === by)
    .map(([name, { title, formula, target, needs: takes, paper, peers }]) => [
      thumbnail(name, title),
      `[${title}](${slugOf(name)}.md)<br>\`${name}\`<br>${link(paper)}`,
      cell(formula),
      needs[takes],
      target ? 'yes' : 'no',
      peersOf(peers),
    ])
  const head = ['for the cat, for the dog', 'method', 'formula', 'takes', 'knows the class', 'also in']
  return `### ${heading}: \`${by}\`\n\n${cell(notation)}\n\n${table(head, rows)}`
}

/** The titles of the methods of layers that run the model again in one of these ways. */
function titles(/** @type {readonly string[]} */ ways) {
  /** @type {readonly import('libtorch-gradcam').CamMethodFacts[]} */
  const facts = Object.values(camMethods)
  const found = facts.filter(({ reruns }) => reruns && ways.includes(reruns)).map(({ title }) => title)
  return `${found.slice(0, -1).join(', ')} and ${found.at(-1)}`
}

/** docs/methods/README.md */
export function indexPage() {
  const others = Object.entries(wrappers).map(([name, { title, formula, what, paper, peers }]) => [
    thumbnail(name, title),
    `[${title}](${slugOf(name)}.md)<br>${link(paper)}`,
    cell(formula),
    what,
    peersOf(peers),
  ])
  return `# Methods

Written by \`node scripts/docs/write-method-docs.mjs\` from the tables of the package; \`--images\` draws all images again.

Every method, with what it makes of the sample image for "cat" and for "dog": click for its page. The model is
\`samples/animals-densenet.pt\`, the layer \`features\`; for the maps of attention it is \`samples/animals-vit.pt\`. Which are any good?
[Metrics](../metrics.md) measures them.

<img src="images/image.webp" width="90" alt="The sample image">

${keysOf(families).map(family).join('\n\n')}

### What goes with others

${table(['for the cat, for the dog', 'name', 'formula', 'what it is', 'also in'], others)}

## Which one?

| the question | take |
| --- | --- |
| Where did a convolutional network see the class? | [Grad-CAM](gradcam.md); where its head is more than an average and weights, [HiResCAM](hirescam.md) |
| The same, finer, or at an early layer? | [LayerCAM](layercam.md) |
| Which pixels, in detail? | [guided Grad-CAM](guided-gradcam.md), or [SmoothGrad](smoothgrad.md) of a gradient |
| How much of the score is each pixel's share? | [integrated gradients](integrated-gradients.md) |
| How much of the score is each part's share, without gradients? | [KernelSHAP](kernel-shap.md), [Shapley value sampling](shapley-sampling.md); for few runs [LIME](lime.md) |
| What if it were not there? | [occlusion](occlusion.md), or [feature ablation](feature-ablation.md) where the parts are known |
| The score is saturated, or one baseline is arbitrary? | [internal influence](internal-influence.md) of a layer, [GradientSHAP](gradient-shap.md) of pixels |
| Where did a vision transformer see the class? | [transformer attribution](transformer-attribution.md); whatever the class, [attention rollout](attention-rollout.md); a deep one, [LeGrad](legrad.md) |
| The model has no gradients? | [Score-CAM](scorecam.md), [Ablation-CAM](ablationcam.md), [occlusion](occlusion.md), [RISE](rise.md) |
| What does a layer respond to at all? | [Eigen-CAM](eigencam.md); which few patterns, and where, [deep feature factorization](feature-factorization.md) |
| What does one unit of a layer respond to? | [attribution of one unit](neuron-attribution.md) |
| What sets two similar classes apart? | [Finer-CAM](finer-cam.md), or the target \`{ kind: 'difference' }\` |
| Is it any better than chance? | [Random CAM](randomcam.md) beside it |

Extremal perturbation (Fong et al. 2019, [arXiv:1910.08485](https://arxiv.org/abs/1910.08485)) is not among them, since its map
depends on what should not matter. With the code of its authors and a region of a tenth of the sample image, noise of 0.00001 in the
normalised input leaves an intersection over union of 0.86, noise of 0.02 one of 0.48 and 0.54, and 400 steps in place of 800 one of 0.66.

## What they share

All methods of one layer, and of several layers, that are asked for together share one forward and one backward pass; where none
needs a gradient, nothing is differentiated:

\`\`\`ts
using cam = new Cam(model, { layers: ['features'], methods: ['gradcam', 'layercam', 'eigencam'] })
using found = await cam.explain(input, { target: 0 })
found.get('features', 'layercam') // [N, 1, h, w]
\`\`\`

\`\`\`sh
npx gradcam explain photo.jpg --model model.pt --layer features --method gradcam,layercam,eigencam --out explained
\`\`\`

The command writes each map in grey, from its least value to its most, and maps that are coarser than the image also over it.
Attributions of elements are drawn as their mean over the channels. \`gradcam batch\` takes the same methods, one at a time.

### Maps of layers: in whose form

| \`compat\` | negative values | size | scale |
| --- | --- | --- | --- |
| \`'paper'\` (the default) | cut off | the layer's | as the formula gives it |
| \`'pytorch-grad-cam'\` | cut off | the input's | [0, 1] per image, combined over layers |
| \`'captum'\` | kept | the layer's | as the formula gives it |

The default keeps what the formula says, so that maps of one layer can be compared between images and classes.

### Methods that run the model again

${titles(['model', 'tail'])} run the model, or what follows the layer, again for each channel; occlusion, feature ablation, RISE, LIME and Shapley values run the whole
of it on changed inputs. All do so without a graph, \`chunkSize\` or \`batchSize\` images at a time, so that memory does not grow with
the channels; the result depends neither on that nor on the other images of the batch. No gradient is needed: they work where
the model has none. A target is evaluated for each copy; its top class, and the classes that Finer-CAM compares with, are those of
the unchanged image. ${titles(['gradient'])} run it with its gradient, at noisy copies or at
steps from a baseline. For maps of layers that run the model again a target cannot be a function.

### The sign of a principal component

A principal component is known up to its sign. Eigen-CAM's is the one that agrees with how active a spatial position is: the sum over
positions of map times sum\\_k |A\\_k| is not negative. EigenGrad-CAM and \`eigenSmooth\` agree with the sum over channels that they
stand for. LAPACK's sign, which pytorch-grad-cam takes, changes with its version and the shape; up to that sign the maps are
the same.

### What pytorch-grad-cam and Captum do differently in all methods

- pytorch-grad-cam gives maps in [0, 1] at the size of the input, min-max normalised per image: \`compat: 'pytorch-grad-cam'\`. Where it is given
  fewer targets than images, the rest get maps of zeros; here that is an error.
- Captum's maps of layers keep negative values: \`compat: 'captum'\`.
- A layer that an in-place ReLU follows is explained with the value that it returned. Hooks in Python see the overwritten value,
  on the CPU, beside the gradient of the one before.
- Both need the model's Python code. Captum's rules for ReLUs do nothing in a TorchScript file, and say nothing.
`
}
