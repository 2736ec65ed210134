// What is said of attributions at the input and of what changes it: see layers.mjs for the form of an entry.
const smooth = 'Noisy: neighbouring pixels differ by chance. [SmoothGrad](smoothgrad.md) calms it.'

export const input = {
  gradient: {
    idea: 'How much the score changes with each element of the input, to the first order, with its sign.',
    use: ['As the raw material of all other gradients at the input.'],
    avoid: [smooth, 'To say how much of the score a pixel is: a gradient is a slope, not a share.'],
    others: ['Captum has it as `Saliency` with `abs=False`. pytorch-grad-cam has no plain gradient.'],
  },
  saliency: {
    idea: 'The magnitude of the gradient: which pixels the score would move with, in either direction.',
    use: ['A cheap look at which pixels matter at all, for any differentiable model.'],
    avoid: [smooth, 'To tell evidence for a class from evidence against it.'],
    others: [
      "As Captum's `Saliency`, per channel. The paper takes the largest channel; `attribution.amax(1, true)` is that. Images of the command line show the mean of the channels.",
    ],
  },
  'input-x-gradient': {
    idea: `The gradient times the input. For a linear model this is each element's share of the score.`,
    use: ['A cheap approximation of a share; for networks of ReLUs without biases it adds up to the score.'],
    avoid: [
      smooth,
      "What is zero gets zero: a pixel of the mean colour, which normalisation makes zero, can't matter. Integrated gradients let you choose what stands for nothing.",
    ],
    others: ["As Captum's `InputXGradient`."],
  },
  'guided-backprop': {
    idea: `The gradient, but each ReLU lets through only what is positive on the way back, and only where it was active on the way forth.
What remains are paths that excite the score all the way.`,
    use: [
      'Crisp images of the features that the model responded to; with a map of a layer, [guided Grad-CAM](guided-gradcam.md).',
    ],
    avoid: [
      'To ask why it was this class: it depends on that less the deeper the network is. In the sanity check of the [metrics](../metrics.md) it stays much the same when the parameters are random.',
      'Models with GELU, SiLU and the like: the rule is defined for ReLU alone, and what has none is refused rather than passed off as the plain gradient.',
    ],
    others: [
      "pytorch-grad-cam and Captum guide `nn.ReLU` modules alone: of a densenet121 they miss the last, functional one, of googlenet or mobilenet_v2 every one, and return the plain gradient without a word. Here every ReLU of the pass follows, `intercepted` says how many, and with none the call fails. `scope: 'modules'` gives their reach.",
      'pytorch-grad-cam takes one image at a time and changes the model for good; here the rule lives in the graph of the pass.',
    ],
  },
  deconvnet: {
    idea: `The gradient, but each ReLU is applied to what comes back and forgets what it was given on the way forth.`,
    use: ['To compare with guided backprop and with the literature.'],
    avoid: [
      'To see what this image made the model say: without the forward pattern the result depends on the image through max-pooling alone. Strided convolutions leave a grid, as here.',
      'Models with GELU, SiLU and the like, as with guided backprop.',
    ],
    others: ["As Captum's `Deconvolution`, which rules `nn.ReLU` modules alone. pytorch-grad-cam has none."],
  },
  'integrated-gradients': {
    idea: `The change of the score from a baseline to the image, shared out over the elements: the mean gradient on the straight way
between them times the way. The shares add up to the change; \`delta\` says how far the quadrature is from that.`,
    use: [
      'When shares should add up, and a baseline makes sense: 0 after normalisation is the mean colour; a blurred image is another.',
    ],
    avoid: [
      'Where no baseline means "nothing": the result answers "compared with what?", and a black object on black gets no share.',
      'When `delta` is large against the change of the score: take more `steps`.',
    ],
    others: [
      "As Captum's `IntegratedGradients` with its default, a Gauss-Legendre quadrature of 50 points. pytorch-grad-cam has none.",
      'Captum returns the delta when it is asked to; here it is always there. Steps of a batch run together, up to `batchSize`.',
    ],
  },
  deeplift: {
    idea: `The change of the score from a baseline to the image, shared out over the elements, as integrated gradients do, but by one
backward pass: each activation passes on its own change, (y - y0) / (z - z0), instead of its slope. The shares add up to the
change; \`delta\` says how far rounding is from that.`,
    use: [
      'When shares should add up and integrated gradients cost too much: two forward passes and one backward.',
      'Networks whose activations saturate: a slope of zero no longer hides what moved an activation there.',
    ],
    avoid: [
      'Where no baseline means "nothing", as with integrated gradients.',
      'Models that multiply two activations, or have a softmax or a layer norm on the way, such as transformers: no rule shares these out exactly, so that they are refused with `ERR_ACTIVATION`.',
    ],
    others: [
      "As Captum's `DeepLift` where that is exact: the rescale rule, and its rule for max-pooling. Captum hooks modules, so that it takes the plain gradient of functional activations, which no longer adds up, and loses a rule where two ruled modules follow each other.",
      'pytorch-grad-cam has none.',
    ],
  },
  lrp: {
    idea: `Layer-wise relevance propagation. Relevance begins at the output as the score. Each layer shares the relevance of each of its
outputs among the inputs that the output is computed from, by a rule, until it arrives at the pixels. What goes in comes out: the
relevance of the pixels adds up to the score, but for what biases and epsilon take up; \`delta\` says how much that is.

With \`p_ij = x_i w_ij\` the product that input i adds to output j, and \`z_j\` the sum of them and the bias, the rules are

| rule | \`share_ij\` |
| --- | --- |
| \`epsilon\` | \`p_ij / z_j\` |
| \`gamma\` | the same, where products of the sign of \`z_j\`, in it as well, count 1 + gamma times |
| \`alpha-beta\` | alpha times \`p_ij\` among the positive products and bias, minus beta times \`p_ij\` among the negative ones |
| \`z-plus\` | alpha-beta with alpha 1 and beta 0 |
| \`flat\` | the same for all inputs of j |
| \`w-square\` | \`w_ij^2\` among all squares |
| \`z-box\` | \`(x_i w_ij - low_i max(w_ij, 0) - high_i min(w_ij, 0))\` among all of these, for pixels between low and high |

To each denominator epsilon is added with the sign that it has. A composite says which layer follows which rule:

| \`composite\` | first layer | convolutions | linear layers |
| --- | --- | --- | --- |
| \`epsilon\` | epsilon | epsilon | epsilon |
| \`epsilon-plus\`, the default | z-plus | z-plus | epsilon |
| \`epsilon-plus-flat\` | flat | z-plus | epsilon |
| \`epsilon-alpha2-beta1\` | alpha-beta | alpha-beta, 2 and 1 | epsilon |
| \`epsilon-alpha2-beta1-flat\` | flat | alpha-beta, 2 and 1 | epsilon |
| \`epsilon-gamma-box\` | z-box | gamma, 0.25 | epsilon |

In TypeScript a composite may also be \`{ first, convolution, linear }\`, each a rule with its numbers, such as
\`{ rule: 'gamma', gamma: 0.1 }\`; \`first\` is each layer with a weight that no other such layer precedes. Activations pass relevance on,
and max-pooling gives it to the winner. Residual additions, average pooling and other sums with fixed coefficients follow the epsilon rule. Batch norms
are merged into the convolution or linear layer that they follow, or else lead to; one between a concatenation and a ReLU passes relevance
on. The model itself is not changed. \`new Lrp(model, { composite })\` is the same with the options of this method alone. Bach et al. 2015
have the epsilon and the alpha-beta rule; gamma and an overview are in Montavon et al. 2019,
[doi:10.1007/978-3-030-28954-6_10](https://doi.org/10.1007/978-3-030-28954-6_10), z-plus, w-square and z-box in Montavon et al. 2017,
[doi:10.1016/j.patcog.2016.11.008](https://doi.org/10.1016/j.patcog.2016.11.008), and flat in Lapuschkin et al. 2019,
[doi:10.1038/s41467-019-08987-4](https://doi.org/10.1038/s41467-019-08987-4).`,
    use: [
      'Convolutional networks: maps are sharper than those of gradients, and less noisy, for one forward and one backward pass.',
      'When shares should add up without a baseline. `epsilon-gamma-box` is made for images whose range is known: `low` and `high` are that range after preprocessing, `(0 - mean) / std` and `(1 - mean) / std` by channel.',
    ],
    avoid: [
      'Transformers and gates: softmax inside, layer norms and products of two activations have no rule here, and are refused with `ERR_ACTIVATION`, with the operator and its layer. So is a score that is not linear in the output, such as a probability: explain the logit.',
      'Plain `epsilon` on deep networks: sums near zero pass on large shares of both signs.',
    ],
    others: [
      "As zennit's composites of the same names, with its epsilon, `Norm` at average pooling and sums, and `Pass` at batch norms that cannot be merged. zennit sees modules: functional ReLUs and `+` get their plain gradient there, unless a canonizer for the architecture replaces them. Here rules follow the operators of the pass. zennit's relevance begins as what it is given, often 1; here as the score.",
      "zennit's w-square rule also counts the squared bias unless `zero_params='bias'`; here, as in the paper, it does not. Its first layer is the first module that is registered, and z-box is for convolutions alone; here it is what sees the input first, of either kind.",
      "Captum's `LRP` has epsilon, gamma and alpha1-beta0 by module, epsilon (1e-9) by default for all, no rule for additions, and refuses modules that it has no rule for. Its batch norms are layers of their own.",
      'pytorch-grad-cam has none.',
    ],
  },
  'gradient-shap': {
    idea: `Integrated gradients from many baselines at once: each sample picks one of the baselines and one point on the line from it to the
image, both at random, and takes a single gradient there. The mean estimates the Shapley values of a model that is linear between them. It is
also called expected gradients.`,
    use: [
      'Where one baseline would be arbitrary: give some typical images as `baseline`, [B, 3, H, W].',
      'As a cheaper estimate of integrated gradients: it is as good as its number of samples.',
    ],
    avoid: [
      'With few samples as an exact share: it adds up only on average. The default, 5, is that of Captum and coarse.',
    ],
    others: [
      "As Captum's `GradientShap`, which is given as many samples and draws; there they come from NumPy's global generator, here from `seed`, the same for all images, so that the result depends neither on the other images of a batch, nor on `batchSize`, nor on how noisy copies are cut into passes.",
      "Captum's `stdevs` is noise on the image: here that is SmoothGrad with one step per copy, `{ steps: 1, smooth: { samples, sigma } }`.",
    ],
  },
  'deeplift-shap': {
    idea: `The mean of [DeepLIFT](deeplift.md) over several baselines, which estimates Shapley values over that distribution of references.`,
    use: ['As DeepLIFT, where one baseline would be arbitrary: give some typical images as `baseline`, [B, 3, H, W].'],
    avoid: ['Models that DeepLIFT refuses: it is refused as well, with the operator that has no rule.'],
    others: [
      "As Captum's `DeepLiftShap`, with the same convergence delta, averaged over the baselines. Captum makes one batch of every image with every baseline; here a pass takes one baseline, so that memory does not grow with their number.",
    ],
  },
  'blur-ig': {
    idea: `Integrated gradients on another path: instead of growing out of a baseline, the image comes into focus. No baseline has to be
chosen, and all that is added on the way are finer scales of the image itself.`,
    use: ['Where a black or grey baseline hides what is as dark or grey itself.'],
    avoid: [
      'Where a pass is expensive: 100 steps by default, each with a gradient.',
      'To add up to the score: the blurred end has a score of its own, and borders are blurred into zeros.',
    ],
    others: [
      "As PAIR's saliency, with its points, its difference quotient for the derivative, and its blur. Captum and pytorch-grad-cam have none.",
    ],
  },
  'guided-ig': {
    idea: `Integrated gradients on a path that avoids noise: at each step the elements with the least gradients go on, and those with large gradients,
where noise would collect, wait until the others are there. None may be further from the straight line than \`maxDistance\`.`,
    use: ['Where integrated gradients are noisy, and smoothing would blur what is fine.'],
    avoid: [
      'Where time matters: the path depends on the gradients, so that its steps, 200 by default, come one after the other.',
    ],
    others: ["As PAIR's saliency has it, for batches. Captum and pytorch-grad-cam have none."],
  },
  xrai: {
    idea: `Which parts of the image matter, rather than which pixels. The attribution is that of integrated gradients from a black and from a
white image, so that what is dark counts as much as what is bright; of the channels the largest is taken. The image is divided along its
borders, at six scales, and regions are chosen one after another: each time the one that adds the most attribution by area. A pixel has the
gain of the region that brought it.`,
    use: [
      'Objects with clear borders: the map follows them, and the regions are in an order.',
      'With segments of your own, e.g. of organs or of lanes: `regions` takes any number of segmentations, as they are.',
    ],
    avoid: [
      'What is finer than a region, and textures without borders. Integrated gradients have a value for each pixel.',
      'To add up to the score: a pixel has its share of the region that came first.',
    ],
    others: [
      "As PAIR's saliency has it (`full`), on the same integrated gradients, which are here by Gauss and Legendre with 50 steps for each of black and white, there by 100 equal steps. Black and white are the least and the greatest value of the image as the model gets it.",
      "PAIR's saliency enlarges the regions by 5 pixels, and leaves out those that add fewer than 50, whatever the size of the image. Here these numbers are for 224 x 224, the size at which it segments, and go with the size of others, which are resized to it for the segmentation: bilinearly, there by cubic splines. Captum and pytorch-grad-cam have none.",
    ],
  },
  occlusion: {
    idea: `Windows of the image are covered, one after another; what the score loses is laid on the window, and where windows overlap
the mean is taken.`,
    use: [
      'Any model, also without gradients. The answer is plain: this is what happens to the score when that is not to be seen.',
      'To check a map of another method by something that needs no trust in gradients.',
    ],
    avoid: [
      'Where time matters: by default 225 runs of the model for an image.',
      'Evidence that is there twice: covering one of two eyes changes nothing. The cover is also an object that the model may respond to; try another `baseline`.',
    ],
    others: [
      "As Captum's `Occlusion`, also in that windows that reach over the border are cropped. Captum requires a window for every dimension and moves it by one; here the window is of the last dimensions, an eighth of each by default, and moves by half of that.",
    ],
  },
  'feature-ablation': {
    idea: `Groups of elements are taken away, one after another; what the score loses is laid on each element of the group. The groups
are yours: superpixels, columns of a table, frames. \`gridFeatures\` makes rectangles, and so do the command line and batches.`,
    use: ['Where the parts of the input are known: segments of an image, words, sensors. One run for each part.'],
    avoid: [
      'Without groups, for images: every pixel of every channel is then a feature and a run.',
      'Evidence that is there twice, as with occlusion.',
    ],
    others: ["As Captum's `FeatureAblation`. pytorch-grad-cam has none."],
  },
  rise: {
    idea: `The image is seen through many random masks; a pixel matters as much as the score is high when it is seen. A mask is a small
grid of ones and zeros, upsampled bilinearly and moved at random.`,
    use: ['Any model, also without gradients, where occlusion depends too much on one size of window.'],
    avoid: [
      'Where time matters: a thousand runs, and the noise falls only with the root of their number.',
      'Small objects: cells are a seventh of the image.',
    ],
    others: [
      "Neither library has it. As its authors' code it divides by the expected coverage N p, not by the sum of the masks, and takes the probability of a class. The map has an offset, by which unimportant pixels are not zero, and which is as uneven as the masks happened to cover them.",
    ],
  },
  lime: {
    idea: `Random superpixels are removed from the image, a thousand times, and a linear model is fitted to the scores: a coefficient for
each superpixel. Versions that are near the image weigh more. \`superpixels\` makes them; \`features\` takes your own.`,
    use: [
      'Any model, also without gradients, where the parts of an image matter and not its pixels.',
      'Where a few hundred runs have to do: ridge regression keeps the noise down.',
    ],
    avoid: [
      'Where numbers have to add up: the coefficients are shrunk, and depend on the width of the kernel. KernelSHAP has neither.',
      'Objects smaller than a superpixel. More `segments` need more `samples`.',
    ],
    others: [
      "The kernel and the ridge are those of the authors' code for images; there a superpixel is replaced by its mean colour, here by `baseline`. Captum's `Lime` has a lasso and a kernel over pixels by default; given this kernel, a ridge and the same versions it gives the same.",
    ],
  },
  'kernel-shap': {
    idea: `The Shapley values of the superpixels: how much each adds to the score, on average over all orders in which they could be added to
the baseline. They are the coefficients of a regression whose weights are the Shapley kernel, so that random versions of the image give an
estimate. Where \`samples\` allow it, which is up to nine superpixels, every version is scored and the values are exact.`,
    use: [
      "Where every part's share of the score is asked for: the values add up to what the score gained over the baseline, exactly.",
      'With few features of your own, e.g. columns of a table: exact at a few hundred runs.',
    ],
    avoid: ['Where time matters: a thousand runs by default, and the noise falls with the root of their number.'],
    others: [
      "Captum's `KernelShap` draws versions one by one; here each is drawn with its complement, which has less noise. It stands for the constraint by a weight of a million, in float32; here the values add up by construction.",
    ],
  },
  'shapley-sampling': {
    idea: `Superpixels are added to the baseline one after another, in random orders; the mean of what each adds to the score is an estimate of its
Shapley value.`,
    use: [
      'As KernelSHAP, where the noise of each value should be plain: it is a mean of independent numbers, one for each order.',
    ],
    avoid: [
      'Where time matters: 25 orders of 50 superpixels are 1226 runs. KernelSHAP needs fewer for the same noise.',
    ],
    others: ["As Captum's `ShapleyValueSampling`; the baseline is scored once, and not for each order."],
  },
  'attention-rollout': {
    idea: `What a token knows of another after all layers: the product of the attention matrices, where each layer also passes half of a token on
as it is. The map is the row of the class token, or the mean of all rows where there is none.`,
    use: ['To see what a transformer looks at whatever it answers, beside Eigen-CAM for convolutional networks.'],
    avoid: [
      'To ask for a class: the map is the same for every target.',
      'Deep models, whose product tends to the mean of all tokens; attention within windows, as Swin has it, which is refused.',
    ],
    others: [
      'Neither library has it. As in the paper. Here attention is found in the graph of the pass, so that files of timm, torchvision and Hugging Face work without a name of a layer; where a model runs a fused kernel, it is computed from the queries and keys.',
    ],
  },
  'gradient-attention-rollout': {
    idea: `Attention rollout of what speaks for the target: each matrix is multiplied by the gradient there, what is negative on average over
the heads is left out, and rows are divided by their sums.`,
    use: ['To ask a transformer for a class, where rollout shows the same for all.'],
    avoid: ['Several objects of a class: what is dropped early on is lost for all layers after it.'],
    others: [
      'Neither library has it. vit-explain also leaves out the least nine tenths of each matrix by default, and divides by the sums of rows in a way that is right for one image alone; here nothing is left out.',
    ],
  },
  legrad: {
    idea: `Each block of the transformer is asked for itself: what would the model answer, were this block the last one before its head? How
much that score grows with the attention to a token, over all blocks, heads and attending tokens, is the map. Nothing is multiplied from layer
to layer.`,
    use: ['Deep transformers, where products over layers lose the object; models whose class token gathers late.'],
    avoid: [
      'Models whose last blocks have another width than the first, which cannot take the place of the last.',
      'Where time matters: the model runs once more for each block.',
    ],
    others: [
      "Neither library has it. As the paper; the authors' code for CLIP takes the mean of all tokens of a block, and the last two blocks alone; here the model's own head decides, and `blocks` names others than all. The paper's min-max normalisation is left to the drawing.",
    ],
  },
  'transformer-attribution': {
    idea: `Relevance is passed from layer to layer: a head counts where its attention and the gradient of the score agree, and what a token had
before is kept.`,
    use: ['The first thing to try for a class of a vision transformer: it asks for the target, and needs no layer.'],
    avoid: ['Attention within windows, as Swin has it, which is refused. Take Grad-CAM with a `reshape` there.'],
    others: [
      "Neither library has it. As the authors' later method, for self-attention; their first one (arXiv:2012.09838) has its own relevances instead of the attention.",
    ],
  },
}
