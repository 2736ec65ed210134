// What is said of the methods that look at layers, besides the facts in lib/cam/cam-methods.ts. Each entry: `idea`, how it
// works; `use` and `avoid`, when to take it and when not; `others`, what pytorch-grad-cam and Captum do differently.
const sameAsPeer = "With `compat: 'pytorch-grad-cam'` the maps equal pytorch-grad-cam's within 1e-5."

export const layers = {
  gradcam: {
    idea: `A channel matters as much as the score rises with it: its weight is the mean of the gradient over all spatial positions. The map is
the weighted sum of the channels. Where the layer is only averaged and multiplied by weights afterwards, this is CAM.`,
    use: [
      'The first look at a convolutional network, at its last convolutional layer: one pass, and the method most readers know.',
    ],
    avoid: [
      'Where the gradient differs between spatial positions, the mean also gives a channel weight where it had no part in the score. HiResCAM does not.',
      'Early layers: the mean over many spatial positions says little. LayerCAM keeps a weight for each of them.',
    ],
    others: [
      sameAsPeer,
      "Captum's `LayerGradCam` keeps negative values and the layer's size: `compat: 'captum'`. Its `interpolate` enlarges to the nearest cell, this package bilinearly.",
      'A layer that an in-place ReLU follows, such as `features` of DenseNet, is explained with the value that it returned. Hooks in Python see the overwritten one on the CPU.',
    ],
  },
  hirescam: {
    idea: `Gradient and activation are multiplied element by element before anything is summed. Where what follows the layer is linear or
a ReLU network, the cells of the map (before the cut at zero) add up to the score less the share of the biases.`,
    use: [
      'Instead of Grad-CAM wherever the head is more than an average and a linear layer: what it shows was used by the model.',
      'At a layer before a ReLU that is not a layer, as in DenseNet: the gradient is zero where the ReLU is, so that the map is CAM of what follows the ReLU, but for the factor h w.',
    ],
    avoid: ['Early layers with noisy gradients: the map is as noisy. Grad-CAM or eigen smoothing is calmer.'],
    others: [
      sameAsPeer,
      'Captum has no HiResCAM; `LayerGradientXActivation` summed over channels is the same before the cut at zero.',
    ],
  },
  'gradcam-elementwise': {
    idea: `HiResCAM, but what speaks against the target in one channel is cut off before channels are summed, so that it cannot
outweigh what another channel says for it.`,
    use: ['To see all that spoke for the target, even where more spoke against it.'],
    avoid: [
      'To tell two classes apart at one spatial position: without the negative part the maps of different classes grow alike. In the table of metrics it covers more of the other animal.',
      'After a ReLU it is LayerCAM, number by number.',
    ],
    others: [`It comes from pytorch-grad-cam, not from a paper. ${sameAsPeer}`],
  },
  'gradcam++': {
    idea: `The mean of Grad-CAM dilutes a small object: it covers few spatial positions. Here a spatial position counts by the second and third derivatives
of the exponential of the score, which are powers of the gradient, and only where the gradient is positive.`,
    use: ['Several objects of one class, or small ones, in one image.'],
    avoid: [
      'To see evidence against a class: only positive gradients take part.',
      'With targets whose gradient is tiny, such as a probability near 1: the constant 1e-6 in the denominator then decides.',
    ],
    others: [
      `${sameAsPeer} Its constant 1e-6 is part of the formula here; the paper has none.`,
      'The paper takes the derivatives of exp(score). Powers of the gradient of the score itself are the same up to a factor that the weights lose when maps are min-max normalised.',
    ],
  },
  xgradcam: {
    idea: `Grad-CAM with weights that obey two axioms: the gradient at a spatial position counts by the share of the channel's activation that
lies there.`,
    use: [
      'After a ReLU, where activations are not negative: there the weights are means of the gradient, weighted by activation.',
    ],
    avoid: [
      'Before a ReLU, and at layers with signs in general, such as `features` of the model in the image: the sum of a channel may lie near zero, and the weight that is divided by it explodes. That is why the map here has holes.',
    ],
    others: [`${sameAsPeer} Where a channel sums to nearly zero, rounding decides in both.`],
  },
  layercam: {
    idea: `Each spatial position of each channel has a weight of its own, its gradient where that is positive. Nothing is averaged, so that
the map keeps the resolution of the layer.`,
    use: [
      'Early and middle layers, for finer maps than the last layer can give; several layers together with `aggregate`.',
    ],
    avoid: ['To see what speaks against the target: negative gradients are left out.'],
    others: [
      sameAsPeer,
      "The paper scales maps of early layers by tanh before it fuses them with others. Neither pytorch-grad-cam nor this package does; `aggregate: 'max'` takes the larger of the min-max normalised maps.",
    ],
  },
  eigencam: {
    idea: `What all channels agree on: the activation is taken as a table of spatial positions by channels, centred, and projected on its first
principal component. Neither gradient nor class take part.`,
    use: [
      'To see what a layer responds to at all, in models without gradients or without classes, such as encoders and detectors.',
    ],
    avoid: ['To ask why it was this class: the map is the same for every target. In the image both halves are equal.'],
    others: [
      `Up to its sign, the map is pytorch-grad-cam's within 1e-5. The sign there is what LAPACK returns, and changes with its version and the shape of
the layer; here it is defined: on the side of how active a spatial position is.`,
      'pytorch-grad-cam decomposes the whole table; here the smaller of the two Gram matrices is enough, in float64.',
    ],
  },
  eigengradcam: {
    idea: `Eigen-CAM of gradient times activation: the component that most of the evidence for the target has in common. Less noisy
than the plain sum of HiResCAM, and it knows the class.`,
    use: ['When HiResCAM is noisy. `eigenSmooth` does the same to the other methods.'],
    avoid: [
      'Two objects of one class that different channels respond to: the first component may show only one of them.',
    ],
    others: [
      `It comes from pytorch-grad-cam, not from a paper; up to its sign the map is the same within 1e-5. Here the sign is that of the sum over
channels.`,
    ],
  },
  kpcacam: {
    idea: `Eigen-CAM with a kernel: spatial positions are compared by tanh(x y / C + 1), so that structures which are not linear in the channels may
form the first component.`,
    use: ['Where Eigen-CAM mixes object and background.'],
    avoid: [
      'To ask why it was this class: it knows none.',
      'Large layers: every spatial position is compared with every other. More than 4096 spatial positions are refused.',
    ],
    others: [
      `${sameAsPeer} Kernel and sign are those that it has from scikit-learn: the element of largest magnitude is positive.`,
    ],
  },
  fem: {
    idea: `A channel weighs as much as the share of spatial positions where it is more than two standard deviations above its mean. No gradient and no class take part.`,
    use: ['To see the strongest responses of a layer at the price of a forward pass.'],
    avoid: ['To ask why it was this class: it knows none, and shows every object that the layer responds to.'],
    others: [sameAsPeer],
  },
  shapleycam: {
    idea: `Grad-CAM to the second order: the weights estimate Shapley values of the channels by the gradient less half of the Hessian
times the activation, for which one more backward pass is enough.`,
    use: [
      "Where what follows the layer is curved: with GELU, SiLU, attention, or for the target `{ kind: 'probability' }`, whose softmax is.",
    ],
    avoid: [
      'For the logit of a network of ReLUs: what follows is piecewise linear, its Hessian is zero, and the map is that of Grad-CAM, as in the image.',
    ],
    others: [sameAsPeer],
  },
  cam: {
    idea: `The first of its kind: in a network that averages its last layer over spatial positions and multiplies by weights, the weights of a
class say what each channel is worth. A ReLU between the layer and the average is not always a layer of its own, as in DenseNet: then
A is what leaves it.`,
    use: [
      'Where it exists: it is exact. The mean of the map before the cut at zero, and the bias of the class, are the logit.',
      "Models with several heads: the target says which, `{ kind: 'class', class: 2, of: 'colour' }`, and the map is by the weights of that one.",
    ],
    avoid: [
      'Any other head: the method is then not defined, and refused with an error. Take Grad-CAM or HiResCAM, which are CAM where the head is an average and weights.',
    ],
    others: [
      'As torch-cam has it, which is told the name of the linear layer (`fc_layer`). Here the weights are not looked for by name: that the gradient is the same at all spatial positions (where a ReLU lets it through) shows that the head allows it, and gives them.',
    ],
  },
  scorecam: {
    idea: `Each channel is upsampled, min-max normalised to [0, 1] and laid over the image as a mask; how high the class scores then is the channel's
weight, by a softmax over the channels. No gradient is needed.`,
    use: ['Models without gradients, or with gradients that say little (saturated, quantised in training).'],
    avoid: [
      'Where time matters: the whole model runs once for each channel.',
      'Layers with thousands of channels: by the softmax over them a few decide alone, or all weigh the same.',
    ],
    others: [
      `${sameAsPeer} It keeps the upsampled channels of a whole batch in memory; here \`chunkSize\` copies at a time.`,
      'Masks are upsampled with corners on corners, as there. A constant channel makes a mask of zeros; there it may make one of rounding errors. With several inputs, the first is masked.',
    ],
  },
  ablationcam: {
    idea: `A channel matters as much as the score falls without it. Only what follows the layer runs again, once for each channel that is
not zero already.`,
    use: ['Models without gradients, and as a check of Grad-CAM: both weights agree where the head is linear.'],
    avoid: [
      "Scores near zero, by which the fall is divided. `{ kind: 'probability' }` is never negative.",
      'Channels that stand in for each other: taking one of them away changes nothing.',
    ],
    others: [
      `With zeros as the smallest activation, as after a ReLU, the maps are pytorch-grad-cam's. Elsewhere it replaces a channel by the minimum less 1e7, and takes that again after each channel of a
batch, so that its maps depend on its batch size; here it is zero at any layer, as in the paper (with a transformer's tokens also in the class token).`,
      'pytorch-grad-cam runs the whole model for each channel. [Performance](../performance.md) has figures.',
    ],
  },
  randomcam: {
    idea: 'Random weights: what a map looks like that knows nothing of the class, and little of the model.',
    use: ['As a baseline in tables and metrics. A method that does not beat it has shown the layer, not the reason.'],
    avoid: ['As an explanation. It often looks like one, which is its lesson.'],
    others: [
      "pytorch-grad-cam draws from NumPy's global generator; here the same `seed` gives the same map, on any device, for every image of a batch.",
    ],
  },
  segeigencam: {
    idea: `Eigen-CAM of what the layer returned, weighted element by element by the magnitude of the gradient: what the target depends on in either
direction takes part, and what has most in common there is shown.`,
    use: ['Segmentation, with a target over the pixels of an object: the paper made it for that.'],
    avoid: [
      'To tell evidence for the target from evidence against it: the magnitude of the gradient has no sign. [EigenGrad-CAM](eigengradcam.md) keeps it.',
    ],
    others: [
      `As pytorch-grad-cam has it, which implements the paper: the side of the component is that of its element of largest
magnitude. Where the largest and the least are nearly as far from zero, rounding decides in both.`,
    ],
  },
  'smoothgradcam++': {
    idea: `Grad-CAM++ with gradients that are averaged over noisy copies of the image, as in SmoothGrad: what changes from copy to
copy by chance averages out. The activation is that of the image as it is.`,
    use: ['Where the weights of Grad-CAM++ change with small changes of the image.'],
    avoid: [
      'Where a pass is expensive: each copy is a forward and a backward pass.',
      'Noise that hides the object: `sigma` is in the units of the input.',
    ],
    others: [
      'torch-cam multiplies by the gradient of the last copy alone, and the weights by its activation, so that the map depends on one draw; here, as in the paper, by the mean over all copies, and by the activation of the image.',
      'The noise is of `seed`; there it comes from the global generator.',
    ],
  },
  sscam: {
    idea: `Score-CAM, but a channel's mask is laid over the image several times, each time with other noise, and its weight is by the mean
of the scores. All channels get the same noise in a sample, so that noise takes no part in which of them scores higher.`,
    use: ['Where maps of Score-CAM are sharp only by chance.'],
    avoid: ['Where time matters: it takes as many times the runs of Score-CAM as there are samples, 10 by default.'],
    others: [
      'torch-cam draws noise of its own for each channel, and 35 samples, which that takes to average out; the expectation is the same. It upsamples masks without corners on corners; here they are those of Score-CAM.',
    ],
  },
  iscam: {
    idea: `Score-CAM, but a channel's mask is laid over the image at several strengths, and its weight is by the mean of the scores: an integral over
the strength in place of one point.`,
    use: ['Where scores are saturated at full strength, so that Score-CAM weighs all channels alike.'],
    avoid: ['Where time matters: it takes as many times the runs of Score-CAM as there are strengths, 10 by default.'],
    others: [
      'As torch-cam has it: strength i is (1 + ... + i) / n, which is above 1 for the later ones. It upsamples masks without corners on corners; here they are those of Score-CAM.',
    ],
  },
  'layer-activation': {
    idea: 'What the layer returned, summed over channels. It is what all maps of layers begin with.',
    use: ['To see whether a layer responds at all, and where, before any method is asked why.'],
    avoid: ['To ask why it was this class: it knows none.'],
    others: [
      "Captum's `LayerActivation` gives all channels: `cam.activation(layer)`. Its sum over them, before the cut at zero, is the map here. `LayerGradientXActivation` is [layer gradient x activation](layer-gradient-x-activation.md).",
    ],
  },
  'internal-influence': {
    idea: `How much the score changes with each channel at each spatial position, averaged on the straight line from a baseline to the image
rather than taken at the image alone, where a saturated unit has no gradient.`,
    use: ['To see which positions of a layer the score would move with, over the whole range of the input.'],
    avoid: [
      'To say how much of the score a position is: it is a slope. [Conductance](layer-conductance.md) is a share.',
      'Where a pass is expensive: each step is a forward and a backward pass.',
    ],
    others: [
      "As Captum's `InternalInfluence`, summed over channels, with its points; Captum rounds the weights of the points to float32, here they are float64.",
    ],
  },
  'layer-conductance': {
    idea: `The share of the score that flows through each channel at each spatial position while the image grows out of a baseline. Over a layer
that all paths go through, and before the cut at zero, the map adds up to the score less that of the baseline.`,
    use: [
      'To say how much of the score goes through a position of a layer; for layers what integrated gradients are for pixels.',
    ],
    avoid: ['Where a pass is expensive: each step is a forward and a backward pass.'],
    others: ["As Captum's `LayerConductance`, summed over channels, at its points."],
  },
  'layer-gradient-x-activation': {
    idea: `What each channel at each spatial position adds to the score, to first order: its activation times the gradient there. Summed over
channels it is the map of [HiResCAM](hirescam.md); with \`contributions: true\` there are the numbers of all channels.`,
    use: [
      'To rank channels or positions of a layer by what they add; where all that follows is linear they add up to the score less a constant.',
    ],
    avoid: [
      'Where the score is saturated: a unit that is fully on has no gradient. [Layer DeepLIFT](layer-deeplift.md) compares with a baseline.',
    ],
    others: [
      "Captum's `LayerGradientXActivation` gives all channels: `found.contribution()` of an explainer with `contributions: true`.",
    ],
  },
  'layer-integrated-gradients': {
    idea: `Integrated gradients of what follows the layer: the layer returns A0 for the baseline and A for the image, and what lies on the straight
line between them takes the place of its output. Where everything that reaches the score goes through the layer, the map adds up to the score
less that of the baseline before the cut at zero.`,
    use: [
      'To say how much of the score goes through a position of a layer, by the layer alone: what comes before it runs twice, and not at each step.',
    ],
    avoid: [
      'Where values go around the layer (skip connections): those stay as the image makes them, so that their part is missing. [Conductance](layer-conductance.md) moves the image itself.',
    ],
    others: [
      "As Captum's `LayerIntegratedGradients`, summed over channels, with its points; Captum rounds the weights of the points to float32, here they are float64.",
    ],
  },
  'layer-deeplift': {
    idea: `DeepLIFT of what follows the layer: how much of the change of the score from the baseline to the image goes through each channel at each
spatial position, by the rescale rule. One pass at each of the two is enough.`,
    use: ['In place of [layer integrated gradients](layer-integrated-gradients.md) where fifty passes are too many.'],
    avoid: [
      'Models with softmax, layer norms or products of activations after the layer: these have no rule, and the method is refused with ERR_ACTIVATION.',
    ],
    others: [
      "As Captum's `LayerDeepLift`, summed over channels. Captum sees modules alone: an activation that is called as a function keeps its plain gradient there, and has its rule here.",
    ],
  },
  fullgrad: {
    idea: `The score of a ReLU network is exactly the input times its gradient plus every bias times its gradient. FullGrad shows all of
these: at the input, and at every convolution and batch normalisation, upsampled and added up. n min-max normalises to [0, 1], U upsamples.`,
    use: ['A map of the whole model, without a layer to pick.'],
    avoid: [
      'To tell two classes apart: each part is min-max normalised before they are added, so that weak parts count like strong ones, and the maps of different classes grow alike.',
      'Large models with little memory: the outputs of all these layers are kept for the backward pass.',
    ],
    others: [
      'As pytorch-grad-cam has it, whose order of min-max normalising and adding is followed. Linear layers have no spatial positions and take no part in either.',
    ],
  },
  'guided-gradcam': {
    idea: `Guided backprop is fine but blind to the class, Grad-CAM knows the class but is coarse: their product is both.`,
    use: ['Fine detail of what the class was seen by. Other maps than Grad-CAM by `method`.'],
    avoid: [
      'Models without ReLUs, which have no rule to follow.',
      'As a proof: guided backprop is close to an edge detector, and crisp edges inside the map need not be what the model used.',
    ],
    others: [
      "Captum enlarges the map to the nearest cell: `mode: 'nearest'`. It guides `nn.ReLU` modules alone, and none at all in TorchScript, without a word; here every ReLU of the pass follows the rule, functional ones included, and `intercepted` says how many.",
      'pytorch-grad-cam has both parts, to be multiplied by hand.',
    ],
  },
}
