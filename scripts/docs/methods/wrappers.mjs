// What is not a method of its own but goes with others: a page each, in the form of the methods' pages.

/** @satisfies {Record<string, import('./page.mjs').Wrapper>} */
export const wrappers = {
  'feature-factorization': {
    title: 'Deep feature factorization',
    formula:
      'A - min A = W H with W and H at least zero: W + min A are the concepts, [channels, K], H their maps, [K, positions]',
    paper: 'arXiv:1806.10206',
    what: 'what the activations of a layer are made of, by a class of its own',
    peers: { 'pytorch-grad-cam': 'DeepFeatureFactorization' },
    idea: `A layer has hundreds of channels, but what they show of a few images is made of a few patterns of channels. Non-negative matrix
factorization finds K of them over all images of a batch, and says at each position how much of each there is. The rest of the model, run
on one concept alone, says which classes it stands for.`,
    use: [
      'To see what a layer tells apart at all, without asking for a class; and which class each part of the image speaks for.',
      'Several images of one class in a batch: a concept has the same colour in all of them.',
    ],
    avoid: [
      'To compare runs on different images: concepts are those of one batch.',
      'As scores of the image: a concept alone is an image that the model never saw. Where values go around the layer it has no scores, and `conceptScores()` says so by ERR_NOT_SPLITTABLE.',
    ],
    others: [
      "pytorch-grad-cam begins at random numbers; here nothing is random: factors begin at the singular vectors (NNDSVDa) and are then those of scikit-learn's NMF, with its solver, tolerance and rounds.",
      'pytorch-grad-cam asks for a classifier of your own for the scores. Here what follows the layer is run on an activation that is the concept at every position, which is the same for a mean and a linear head.',
    ],
    typescript: `using factorization = new FeatureFactorization(model, { layer: 'features', concepts: 4 })
using found = await factorization.explain(input)
found.maps // [N, 4, h, w]
found.conceptScores() // [4, classes]
await drawConcepts(denormalize(input, imagenet), found.maps, { legend: ['fur', 'grass', 'sky', 'rest'] }) // PNG`,
    note: `\`\`\`sh
npx gradcam concepts a.jpg b.jpg --model model.pt --layer features --concepts 4 --labels labels.txt --out concepts
\`\`\``,
  },
  'feature-permutation': {
    title: 'Feature permutation',
    formula:
      'f(x_n) - f(x_n with the feature of x_p(n)), for each element of it; p is a random cycle through the images of the batch',
    paper: 'doi:10.1023/A:1010933404324',
    what: 'a method of `InputPerturbation` that explains a batch, and no image by itself',
    peers: { Captum: 'FeaturePermutation' },
    idea: `What does the score lose when a feature is that of another image? Feature ablation puts a constant in its place, which the
model may never have seen; here it is a value that does occur, taken from another image of the batch.

The result for an image depends on the others: given another batch, the same image has other numbers. All other methods explain each
image by itself, and batch jobs, the server and the command line, which put together images that have nothing to do with each other,
rely on that. So they do not have this one: it is there in TypeScript alone, and refuses one image with \`ERR_SHAPE\`.`,
    use: [
      'Columns of a table, or images that are aligned: faces, scans, parts on a belt. The same pixels then are the same feature.',
      'How much a feature matters on the whole: the mean of the attribution over a large batch.',
    ],
    avoid: [
      'Photos, in which the same pixels show something else in each image.',
      'To explain one image: take feature ablation, or Shapley values.',
      'Features that go together: one of them alone, from another image, makes an image that does not occur.',
    ],
    others: [
      "As Captum's `FeaturePermutation` for the same permutations. Captum draws any but the identity, from PyTorch's global generator, so that an image may keep its feature and is then given 0; here no image keeps its own, permutations come from `seed`, and `samples` of them are averaged.",
    ],
    typescript: `using features = gridFeatures([224, 224], [28, 28])
using batch = Tensor.cat([input, input.flip([3])]) // two images or more; here one and its mirror image
using explainer = new InputPerturbation(model, { method: 'feature-permutation', features, samples: 2 })
using found = await explainer.explain(batch, { target: 0 })
found.attribution // [N, 3, H, W]`,
    note: 'Not on the command line, in batches or in the server: see above.',
  },
  'neuron-attribution': {
    title: 'Attribution of one unit',
    formula:
      'any of the gradients at the input, with f = A_k(i, j), one element of what a layer returns, in place of the score',
    paper: 'arXiv:1805.12233',
    what: 'an option of every gradient at the input',
    peers: {
      Captum: 'NeuronGradient, NeuronIntegratedGradients, NeuronDeepLift, NeuronGuidedBackprop, NeuronDeconvolution',
    },
    idea: `What in the image does one unit of a layer respond to? The score is not the model's output but an element of what the layer returned:
\`scoreLayer\` names the layer, and the target \`{ kind: 'element', at: [channel, row, column] }\` the unit. A target with fewer numbers adds up
what is left: \`at: [channel]\` is the whole channel.`,
    use: [
      'To follow a channel that a map of the layer shows: `found.contribution()` of `Cam` says which one adds most.',
    ],
    avoid: ['To explain an answer of the model: a unit may respond to much that the answer does not depend on.'],
    others: [
      'Captum has a class for each method; here it is an option of all of them. Captum takes the unit as the index of a tuple.',
    ],
    typescript: `using explainer = new InputAttribution(model, { method: 'integrated-gradients', scoreLayer: 'features' })
using found = await explainer.explain(input, { target: { kind: 'element', at: [5, 1, 2] } })
found.attribution // [N, 3, H, W]`,
    shell: `--method integrated-gradients --score-layer features --target '{"kind":"element","at":[5,1,2]}'`,
  },
  'finer-cam': {
    title: 'Finer-CAM',
    formula: 'f = sum_c p_c (y_t - alpha y_c) / sum_c p_c, over the classes c nearest to the target t',
    paper: 'arXiv:2501.11309',
    what: 'a target, for any method',
    peers: { 'pytorch-grad-cam': 'FinerCAM' },
    idea: `Not what makes it this class, but what sets it apart from the classes that it is most easily taken for: the score is the logit
less those of the nearest ones, weighted by their probabilities p. As a target it goes with every method.`,
    use: ['Fine-grained classes: kinds of birds, makes of cars.'],
    avoid: ['Classes that have nothing in common: what is subtracted is then noise.'],
    others: [
      "pytorch-grad-cam has a class of its own, with Grad-CAM inside by default; this is `{ kind: 'finer', class: t }` for any method. The constants are the same: three classes, alpha 1.",
    ],
    typescript: `using cam = new Cam(model, { layers: ['features'], methods: ['gradcam'] })
using found = await cam.explain(input, { target: { kind: 'finer', class: 0 } })
found.cam // [N, 1, h, w]`,
    note: 'Not on the command line: its targets are classes.',
  },
  refinecam: {
    title: 'RefineCAM',
    formula: 'n(prod_l n(U(M_l))), M_l the map of layer l, U upsamples, n min-max normalises to [0, 1]',
    paper: 'arXiv:2605.14641',
    what: 'how maps of several layers become one, for any method of layers',
    peers: { 'pytorch-grad-cam': 'RefineCAM' },
    idea: `What all layers agree on: early layers are fine but respond to much that the class does not depend on, late layers know the class but are
coarse. Their product is fine where the late layer allows it.`,
    use: ['Finer maps than the last layer can give, without the noise of an early layer by itself.'],
    avoid: ['Where a layer misses the object: one map that is zero there makes the product zero.'],
    others: [
      "pytorch-grad-cam has a class of its own, with Grad-CAM++ inside by default, that runs a pass for each layer; this is `aggregate: 'product'` for any method, from one pass.",
    ],
    typescript: `using cam = new Cam(model, { layers: ['features.denseblock2', 'features'], methods: ['gradcam++'], aggregate: 'product' })
using found = await cam.explain(input, { target: 0 })
found.cam // [N, 1, H, W], in [0, 1]`,
    note: 'Not on the command line, where each layer has a map of its own.',
  },
  smoothgrad: {
    title: 'SmoothGrad',
    formula: 'mean_i a(x + sigma e_i), e_i standard normal; or mean_i a^2, or mean_i a^2 - (mean_i a)^2',
    paper: 'arXiv:1706.03825',
    what: 'an option of every gradient at the input',
    peers: { Captum: 'NoiseTunnel' },
    idea: `The attribution a of noisy copies of the image instead of its own: what differs from copy to copy by chance averages out.
\`mean\` is SmoothGrad, \`squared\` SmoothGrad-squared (arXiv:1806.10758), \`variance\` VarGrad (arXiv:1810.03292). What is explained in
the copies is the class of the image itself.`,
    use: ['Whenever a gradient at the input is too noisy to be read.'],
    avoid: [
      'A sigma that hides the object: the copies then are other images. The paper takes a tenth to a fifth of the range of the values; the model here, which was trained without noise, is seen best with less.',
    ],
    others: [
      "As Captum's `NoiseTunnel`, with its defaults: 5 copies, sigma 1 in the units of the input. There the noise comes from the global generator and depends on the batch; here from `seed`, so that the result depends on neither batch nor chunks.",
      'pytorch-grad-cam has none; its `aug_smooth` mirrors and scales the image: `augment` of `Cam`.',
    ],
    typescript: `using saliency = new InputAttribution(model, { method: 'saliency', smooth: { samples: 20, sigma: 0.2 } })
using found = await saliency.explain(input, { target: 0 })
found.attribution // [N, 3, H, W]`,
    shell: '--method saliency --smooth mean --samples 20 --sigma 0.2',
  },
}
