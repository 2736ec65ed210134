import { either, invalid, toList } from '../base/check.js'

/** The Python libraries that this package is compared with, and what has a method's name there. */
export type Peers = { readonly [Library in 'pytorch-grad-cam' | 'Captum']?: string }

/** A method that makes maps of target layers. Its formula is implemented in native/core/methods, a file per method. */
export interface CamMethodFacts {
  readonly title: string
  /** Whether the map depends on the target. Where no method of a pass does, nothing is differentiated. */
  readonly target: boolean
  readonly formula: string
  /** Whether the model runs again for each channel of the layer: the whole of it, or what follows the layer. */
  readonly reruns?: 'model' | 'tail'
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
    peers: {},
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
    paper: null,
    peers: { 'pytorch-grad-cam': 'RandomCAM' },
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
