import { either, invalid, toList } from '../base/check.js'

/** The Python libraries that this package is compared with, and what has a method's name there. */
export type Peers = { readonly [Library in 'pytorch-grad-cam' | 'Captum' | 'torch-cam']?: string }

/** A method that makes maps of target layers. Its formula is implemented in native/core/methods, a file per method. */
export interface CamMethodFacts {
  readonly title: string
  /** Whether the map depends on the target. Where no method of a pass does, nothing is differentiated. */
  readonly target: boolean
  readonly formula: string
  /**
   * Whether the model runs again: the whole of it or what follows the layer, for each channel; or with its gradient, at other
   * inputs.
   */
  readonly reruns?: 'model' | 'tail' | 'gradient'
  /** Which of the options it takes that only some methods take. */
  readonly takes?: readonly ('samples' | 'sigma' | 'steps' | 'baseline' | 'seed')[]
  /** Whether channels are weighed by the mean of their gradient over space. */
  readonly averages?: true
  /** Whether the map is a principal component over channels, and not their sum, which eigen smoothing replaces. */
  readonly principal?: true
  /** arXiv number, DOI or the like; null where the method comes from a library. */
  readonly paper: string | null
  /** The class that computes it in each of the libraries that maps are compared with. */
  readonly peers: Peers
}

const facts = <Name extends string>(table: Record<Name, CamMethodFacts>): Readonly<Record<Name, CamMethodFacts>> =>
  table

/**
 * Every method, in the order of the native table. A is the activation of the layer, G its gradient, both [N, C, h, w]; k is
 * a channel; all maps are followed by max(., 0).
 */
export const camMethods = facts({
  gradcam: {
    title: 'Grad-CAM',
    target: true,
    formula: 'sum_k mean(G_k) A_k',
    averages: true,
    paper: 'arXiv:1610.02391',
    peers: { 'pytorch-grad-cam': 'GradCAM', Captum: 'LayerGradCam' },
  },
  hirescam: {
    title: 'HiResCAM',
    target: true,
    formula: 'sum_k G_k A_k',
    paper: 'arXiv:2011.08891',
    peers: { 'pytorch-grad-cam': 'HiResCAM' },
  },
  'gradcam-elementwise': {
    title: 'Grad-CAM elementwise',
    target: true,
    formula: 'sum_k max(G_k A_k, 0)',
    paper: null,
    peers: { 'pytorch-grad-cam': 'GradCAMElementWise' },
  },
  'gradcam++': {
    title: 'Grad-CAM++',
    target: true,
    formula: 'sum_k w_k A_k, w_k = sum max(G_k, 0) G_k^2 / (2 G_k^2 + sum(A_k) G_k^3 + 1e-6)',
    paper: 'arXiv:1710.11063',
    peers: { 'pytorch-grad-cam': 'GradCAMPlusPlus' },
  },
  xgradcam: {
    title: 'XGrad-CAM',
    target: true,
    formula: 'sum_k w_k A_k, w_k = sum(G_k A_k) / (sum(A_k) + 1e-7)',
    paper: 'arXiv:2008.02312',
    peers: { 'pytorch-grad-cam': 'XGradCAM' },
  },
  layercam: {
    title: 'LayerCAM',
    target: true,
    formula: 'sum_k max(G_k, 0) A_k',
    paper: 'doi:10.1109/TIP.2021.3089943',
    peers: { 'pytorch-grad-cam': 'LayerCAM' },
  },
  eigencam: {
    title: 'Eigen-CAM',
    target: false,
    formula: 'the first principal component of A over channels, on the side of sum_k |A_k|',
    principal: true,
    paper: 'arXiv:2008.00299',
    peers: { 'pytorch-grad-cam': 'EigenCAM' },
  },
  eigengradcam: {
    title: 'EigenGrad-CAM',
    target: true,
    formula: 'the first principal component of G A over channels, on the side of sum_k G_k A_k',
    principal: true,
    paper: null,
    peers: { 'pytorch-grad-cam': 'EigenGradCAM' },
  },
  kpcacam: {
    title: 'KPCA-CAM',
    target: false,
    formula: 'the first principal component of A under the kernel tanh(x y / C + 1)',
    principal: true,
    paper: 'arXiv:2410.00267',
    peers: { 'pytorch-grad-cam': 'KPCA_CAM' },
  },
  fem: {
    title: 'FEM',
    target: false,
    formula: 'sum_k w_k A_k, w_k = the share of positions with A_k > mean(A_k) + 2 std(A_k)',
    paper: 'hal-02963298',
    peers: { 'pytorch-grad-cam': 'FEM' },
  },
  shapleycam: {
    title: 'Shapley-CAM',
    target: true,
    formula: 'sum_k mean(G - H A / 2)_k A_k, H the Hessian of the score',
    paper: 'arXiv:2501.06261',
    peers: { 'pytorch-grad-cam': 'ShapleyCAM' },
  },
  cam: {
    title: 'CAM',
    target: true,
    formula: 'sum_k w_k A_k, w_k the weights of a linear head after global average pooling',
    paper: 'arXiv:1512.04150',
    peers: { 'torch-cam': 'CAM' },
  },
  scorecam: {
    title: 'Score-CAM',
    target: true,
    formula: 'sum_k w_k A_k, w = softmax over k of the score of the input times A_k, upsampled and min-max normalised',
    reruns: 'model',
    paper: 'arXiv:1910.01279',
    peers: { 'pytorch-grad-cam': 'ScoreCAM' },
  },
  ablationcam: {
    title: 'Ablation-CAM',
    target: true,
    formula: 'sum_k w_k A_k, w_k = (s - s_k) / s, s the score and s_k the score with zeros instead of A_k',
    reruns: 'tail',
    paper: 'doi:10.1109/WACV45572.2020.9093360',
    peers: { 'pytorch-grad-cam': 'AblationCAM' },
  },
  randomcam: {
    title: 'Random CAM',
    target: false,
    formula: 'sum_k w_k A_k, w_k uniform in [-1, 1)',
    takes: ['seed'],
    paper: null,
    peers: { 'pytorch-grad-cam': 'RandomCAM' },
  },
  segeigencam: {
    title: 'Seg-Eigen-CAM',
    target: true,
    formula: 'the first principal component of |G| A over channels, on the side of its largest element',
    principal: true,
    paper: 'doi:10.3390/app15137562',
    peers: { 'pytorch-grad-cam': 'SegEigenCAM' },
  },
  'smoothgradcam++': {
    title: 'Smooth Grad-CAM++',
    target: true,
    formula:
      'sum_k w_k A_k, w_k = sum max(E G_k, 0) E G_k^2 / (2 E G_k^2 + sum(A_k E G_k^3) + 1e-8), E the mean over noisy copies of the input',
    reruns: 'gradient',
    takes: ['samples', 'sigma', 'seed'],
    paper: 'arXiv:1908.01224',
    peers: { 'torch-cam': 'SmoothGradCAMpp' },
  },
  sscam: {
    title: 'SS-CAM',
    target: true,
    formula: 'Score-CAM, with the mean over samples of the score of the input times (mask + noise)',
    reruns: 'model',
    takes: ['samples', 'sigma', 'seed'],
    paper: 'arXiv:2006.14255',
    peers: { 'torch-cam': 'SSCAM' },
  },
  iscam: {
    title: 'IS-CAM',
    target: true,
    formula:
      'Score-CAM, with the mean over i = 1..n of the score of the input times c_i times the mask, c_i = (1 + ... + i) / n',
    reruns: 'model',
    takes: ['samples'],
    paper: 'arXiv:2010.03023',
    peers: { 'torch-cam': 'ISCAM' },
  },
  'layer-activation': {
    title: 'Layer activation',
    target: false,
    formula: 'sum_k A_k',
    paper: null,
    peers: { Captum: 'LayerActivation' },
  },
  'internal-influence': {
    title: 'Internal influence',
    target: true,
    formula: 'sum_k of the mean of G_k on the straight line from the baseline to the input',
    reruns: 'gradient',
    takes: ['steps', 'baseline'],
    paper: 'arXiv:1802.03788',
    peers: { Captum: 'InternalInfluence' },
  },
  'layer-conductance': {
    title: 'Layer conductance',
    target: true,
    formula: 'sum_k of the integral of G_k dA_k on the straight line from the baseline to the input',
    reruns: 'gradient',
    takes: ['steps', 'baseline'],
    paper: 'arXiv:1805.12233',
    peers: { Captum: 'LayerConductance' },
  },
  'layer-gradient-x-activation': {
    title: 'Layer gradient x activation',
    target: true,
    formula: 'sum_k G_k A_k',
    paper: 'arXiv:1605.01713',
    peers: { Captum: 'LayerGradientXActivation' },
  },
  'layer-integrated-gradients': {
    title: 'Layer integrated gradients',
    target: true,
    formula:
      'sum_k (A_k - A0_k) times the mean of G_k where the layer returns what lies between A0, that of the baseline, and A',
    reruns: 'gradient',
    takes: ['steps', 'baseline'],
    paper: 'arXiv:1703.01365',
    peers: { Captum: 'LayerIntegratedGradients' },
  },
  'layer-deeplift': {
    title: 'Layer DeepLIFT',
    target: true,
    formula:
      'sum_k (A_k - A0_k) m_k; m is G, but each activation y(z) after the layer sends back (y(z) - y(z0)) / (z - z0)',
    reruns: 'gradient',
    takes: ['baseline'],
    paper: 'arXiv:1704.02685',
    peers: { Captum: 'LayerDeepLift' },
  },
})

/** A method that makes maps of target layers. */
export type CamMethod = keyof typeof camMethods

const names: readonly unknown[] = Object.keys(camMethods)

/** Refuses anything but a list of known methods, each once. */
export function checkMethods(methods: unknown): readonly CamMethod[] {
  const list: readonly unknown[] = toList(methods) ?? []
  if (list.length === 0) throw invalid('methods', "an array of at least one method, e.g. ['gradcam']", methods)
  for (const [i, method] of list.entries())
    if (!names.includes(method)) throw invalid(`methods[${i}]`, either(names), method)
  if (new Set(list).size !== list.length) throw invalid('methods', 'an array that names each method once', methods)
  return list as readonly CamMethod[]
}
