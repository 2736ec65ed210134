/**
 * What is computed from the gradient g of the score at the input x, per pixel and channel:
 *
 * - `gradient`: g
 * - `saliency`: |g|. Simonyan et al. 2014, arXiv:1312.6034
 * - `input-x-gradient`: x g. Shrikumar et al. 2016, arXiv:1605.01713
 * - `guided-backprop`: g with the rule of {@link GuidedBackprop} at each ReLU. Springenberg et al. 2015, arXiv:1412.6806
 * - `deconvnet`: g with max(g, 0) instead of each ReLU's derivative. Zeiler and Fergus 2014, arXiv:1311.2901
 * - `integrated-gradients`: (x - x0) times the mean of g on the straight line from the baseline x0 to x. Sundararajan et al.
 *   2017, arXiv:1703.01365. The mean is a Gauss-Legendre quadrature, as Captum's.
 * - `deeplift`: (x - x0) times g with (y - y0) / (x - x0) instead of the derivative of each nonlinearity y: the rescale rule
 *   of Shrikumar et al. 2017, arXiv:1704.02685, with Captum's rule for max-pooling. Exact, or refused with ERR_ACTIVATION:
 *   it reaches every activation, module or functional, and never takes the plain gradient of an operator that it has no rule
 *   for (softmax, layer norms, products of two activations, values computed from the input without a gradient).
 * - `lrp`: relevance, which begins as the score and is handed down from layer to layer by the rules of a composite; see
 *   {@link Lrp}. Bach et al. 2015, doi:10.1371/journal.pone.0130140
 * - `gradient-shap`: the mean of (x - x0) g at random points on lines from baselines x0: expected gradients. Lundberg and Lee
 *   2017, arXiv:1705.07874; Erion et al. 2021, arXiv:1906.10670
 * - `deeplift-shap`: the mean of deeplift over baselines. Lundberg and Lee 2017, arXiv:1705.07874
 * - `blur-ig`: the integral of g on the path from the image to a blurred one. Xu et al. 2020, arXiv:2004.03383
 * - `guided-ig`: the integral of g on a path from the baseline on which elements with small gradients go first. Kapishnikov et
 *   al. 2021, arXiv:2106.09788
 * - `xrai`: integrated gradients from black and from white, by regions of the image: each pixel has the mean of what its region
 *   added. Kapishnikov et al. 2019, arXiv:1906.02825
 */
export type InputMethod =
  | 'gradient'
  | 'saliency'
  | 'input-x-gradient'
  | 'guided-backprop'
  | 'deconvnet'
  | 'integrated-gradients'
  | 'deeplift'
  | 'lrp'
  | 'gradient-shap'
  | 'deeplift-shap'
  | 'blur-ig'
  | 'guided-ig'
  | 'xrai'

/** Every {@link InputMethod}. */
export const inputMethods: readonly InputMethod[] = [
  'gradient',
  'saliency',
  'input-x-gradient',
  'guided-backprop',
  'deconvnet',
  'integrated-gradients',
  'deeplift',
  'lrp',
  'gradient-shap',
  'deeplift-shap',
  'blur-ig',
  'guided-ig',
  'xrai',
]
