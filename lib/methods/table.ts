import { either, expect } from '../base/check.js'
import { camMethods, type CamMethod, type Peers } from '../cam/cam-methods.js'
import type { InputMethod } from '../attribution/input-attribution.js'
import type { AttentionMethod } from '../attention/attention-map.js'
import type { SingleImageMethod } from '../perturbation/perturbation-method.js'

/** Every method of this package that explains each image by itself. */
export type MethodName = CamMethod | InputMethod | SingleImageMethod | AttentionMethod | 'fullgrad' | 'guided-gradcam'

/** What a method is: a row of the table {@link methods}. */
export interface MethodInfo {
  /** Its name in a heading. */
  readonly title: string
  /** The exported class that computes it. */
  readonly by: 'Cam' | 'FullGrad' | 'GuidedGradCam' | 'InputAttribution' | 'InputPerturbation' | 'AttentionMap'
  /** Whether it requires a layer. */
  readonly layered: boolean
  /** Whether its map depends on the target. */
  readonly target: boolean
  /** What it requires besides one forward pass: the gradient of the score, more runs of the model, or nothing. */
  readonly needs: 'gradient' | 'runs' | 'nothing'
  /** Whether its map may have negative values: evidence against the target. */
  readonly signed: boolean
  /** The formula, in plain text. */
  readonly formula: string
  /** arXiv number, DOI or the like; null where the method comes from a library. */
  readonly paper: string | null
  /** The class that computes it in each of the libraries that this package is compared with. */
  readonly peers: Peers
}

/** What differs between the methods of one class. */
type MethodRow = Pick<MethodInfo, 'title' | 'formula' | 'paper' | 'peers' | 'signed'>

/** x is the input, f the score, g = df/dx. */
const inputs: Readonly<Record<InputMethod, MethodRow>> = {
  gradient: { title: 'Gradient', formula: 'g', signed: true, paper: 'arXiv:1312.6034', peers: { Captum: 'Saliency' } },
  saliency: {
    title: 'Saliency',
    formula: '|g|',
    signed: false,
    paper: 'arXiv:1312.6034',
    peers: { Captum: 'Saliency' },
  },
  'input-x-gradient': {
    title: 'Input x gradient',
    formula: 'x g',
    signed: true,
    paper: 'arXiv:1605.01713',
    peers: { Captum: 'InputXGradient' },
  },
  'guided-backprop': {
    title: 'Guided backprop',
    formula: 'g, but each ReLU of z sends back 1[z > 0] max(gradient, 0)',
    signed: true,
    paper: 'arXiv:1412.6806',
    peers: { 'pytorch-grad-cam': 'GuidedBackpropReLUModel', Captum: 'GuidedBackprop' },
  },
  deconvnet: {
    title: 'Deconvnet',
    formula: 'g, but each ReLU sends back max(gradient, 0), whatever it was given',
    signed: true,
    paper: 'arXiv:1311.2901',
    peers: { Captum: 'Deconvolution' },
  },
  'integrated-gradients': {
    title: 'Integrated gradients',
    formula: '(x - x0) times the mean of g on the straight way from the baseline x0 to x',
    signed: true,
    paper: 'arXiv:1703.01365',
    peers: { Captum: 'IntegratedGradients' },
  },
  deeplift: {
    title: 'DeepLIFT',
    formula:
      '(x - x0) m; m is the gradient, but each activation y(z) sends back (y(z) - y(z0)) / (z - z0), z0 that of the baseline x0',
    signed: true,
    paper: 'arXiv:1704.02685',
    peers: { Captum: 'DeepLift' },
  },
  lrp: {
    title: 'LRP',
    formula:
      'R = f at the output; each layer hands its R_j down to its inputs as R_i = sum_j share_ij R_j, by the rule of its kind',
    signed: true,
    paper: 'doi:10.1371/journal.pone.0130140',
    peers: { Captum: 'LRP' },
  },
  'gradient-shap': {
    title: 'GradientSHAP',
    formula: 'the mean of (x - x0) g at x0 + u (x - x0), x0 one of the baselines and u uniform in [0, 1)',
    signed: true,
    paper: 'arXiv:1705.07874',
    peers: { Captum: 'GradientShap' },
  },
  'deeplift-shap': {
    title: 'DeepLIFT-SHAP',
    formula: 'the mean of DeepLIFT over the baselines x0',
    signed: true,
    paper: 'arXiv:1705.07874',
    peers: { Captum: 'DeepLiftShap' },
  },
  'blur-ig': {
    title: 'Blur IG',
    formula: 'minus the integral of g dx over the deviation s of the Gaussian that blurs x, from 0 to the largest',
    signed: true,
    paper: 'arXiv:2004.03383',
    peers: {},
  },
  'guided-ig': {
    title: 'Guided IG',
    formula:
      'the integral of g dx on a path from x0 to x on which elements with small |g| go first, near the straight line',
    signed: true,
    paper: 'arXiv:2106.09788',
    peers: {},
  },
  xrai: {
    title: 'XRAI',
    formula:
      'sum over region minus M of max_c a_c / |region minus M|, M the regions before it; a the mean of integrated gradients from black and from white',
    signed: true,
    paper: 'arXiv:1906.02825',
    peers: {},
  },
}

/** x_w is x with window w covered, 1_w is 1 in the window; m_i is a mask, p the share of it that is kept. */
const perturbations: Readonly<Record<SingleImageMethod, MethodRow>> = {
  occlusion: {
    title: 'Occlusion',
    formula: 'sum_w (f(x) - f(x_w)) 1_w / sum_w 1_w, x_w is x with window w covered',
    signed: true,
    paper: 'arXiv:1311.2901',
    peers: { Captum: 'Occlusion' },
  },
  'feature-ablation': {
    title: 'Feature ablation',
    formula: 'f(x) - f(x without the feature), for each element of it',
    signed: true,
    paper: null,
    peers: { Captum: 'FeatureAblation' },
  },
  rise: {
    title: 'RISE',
    formula: 'sum_i f(x m_i) m_i / (N p) over N random masks that keep a share p',
    signed: false,
    paper: 'arXiv:1806.07421',
    peers: {},
  },
  lime: {
    title: 'LIME',
    formula:
      'c_j of the least sum_i w(z_i) (f(x_i) - c_0 - sum_j c_j z_ij)^2 + r sum_j c_j^2, z_ij = 0 where superpixel j is removed from x_i',
    signed: true,
    paper: 'arXiv:1602.04938',
    peers: { Captum: 'Lime' },
  },
  'kernel-shap': {
    title: 'KernelSHAP',
    formula:
      "v_j of the least sum_i w(z_i) (f(x_i) - f(x_0) - sum_j v_j z_ij)^2 with sum_j v_j = f(x) - f(x_0), w Shapley's kernel",
    signed: true,
    paper: 'arXiv:1705.07874',
    peers: { Captum: 'KernelShap' },
  },
  'shapley-sampling': {
    title: 'Shapley value sampling',
    formula: 'the mean over random orders of what superpixel j changes when it is added to those before it',
    signed: true,
    paper: 'doi:10.1016/j.cor.2008.04.004',
    peers: { Captum: 'ShapleyValueSampling' },
  },
}

/** A and dA are the attention matrices of a layer and the gradient there, R begins as the identity I. */
const attention: Readonly<Record<AttentionMethod, MethodRow>> = {
  'attention-rollout': {
    title: 'Attention rollout',
    formula: 'R <- (mean over heads of A + I) / 2 R; the row of the class token',
    signed: false,
    paper: 'arXiv:2005.00928',
    peers: {},
  },
  'gradient-attention-rollout': {
    title: 'Gradient attention rollout',
    formula: 'R <- rows that add up to 1 of (max(mean over heads of A dA, 0) + I) R; the row of the class token',
    signed: false,
    paper: null,
    peers: {},
  },
  legrad: {
    title: 'LeGrad',
    formula:
      'mean over blocks, heads and rows of max(dA, 0), dA of the score that the output of the block has by itself',
    signed: false,
    paper: 'arXiv:2404.03214',
    peers: {},
  },
  'transformer-attribution': {
    title: 'Transformer attribution',
    formula: 'R <- R + mean over heads of max(A dA, 0) R; the row of the class token',
    signed: false,
    paper: 'arXiv:2103.15679',
    peers: {},
  },
}

function table<Name extends string>(
  rows: Readonly<Record<Name, MethodRow>>,
  common: Omit<MethodInfo, keyof MethodRow>,
): Record<Name, MethodInfo> {
  const entries = Object.entries<MethodRow>(rows).map(([name, row]) => [name, { ...common, ...row }])
  return Object.fromEntries(entries) as Record<Name, MethodInfo>
}

const cams = Object.fromEntries(
  Object.entries(camMethods).map(([name, { title, target, formula, reruns, paper, peers }]): [string, MethodInfo] => {
    const needs = reruns ? 'runs' : target ? 'gradient' : 'nothing'
    return [name, { title, by: 'Cam', layered: true, target, needs, signed: false, formula, paper, peers }]
  }),
) as Record<CamMethod, MethodInfo>

/** Every method by its name, family by family. A method that is added to one of the tables above is included. */
export const methods: Readonly<Record<MethodName, MethodInfo>> = {
  ...cams,
  fullgrad: {
    title: 'FullGrad',
    by: 'FullGrad',
    layered: false,
    target: true,
    needs: 'gradient',
    signed: false,
    formula: 'n(sum_c n(|x_c g_c|) + sum over layers and channels of U(n(|b_k G_k|))), b_k their biases',
    paper: 'arXiv:1905.00780',
    peers: { 'pytorch-grad-cam': 'FullGrad' },
  },
  ...table(inputs, { by: 'InputAttribution', layered: false, target: true, needs: 'gradient' }),
  'guided-gradcam': {
    title: 'Guided Grad-CAM',
    by: 'GuidedGradCam',
    layered: true,
    target: true,
    needs: 'gradient',
    signed: true,
    formula: 'the gradient of guided backprop times the Grad-CAM of a layer, enlarged',
    paper: 'arXiv:1610.02391',
    peers: { Captum: 'GuidedGradCam' },
  },
  ...table(attention, { by: 'AttentionMap', layered: false, target: true, needs: 'gradient' }),
  'attention-rollout': {
    ...attention['attention-rollout'],
    by: 'AttentionMap',
    layered: false,
    target: false,
    needs: 'gradient',
  },
  ...table(perturbations, { by: 'InputPerturbation', layered: false, target: true, needs: 'runs' }),
}

/** The names of all methods. */
export const methodNames = Object.keys(methods) as readonly MethodName[]

/** Whether the map of a method differs from pixel to pixel, so that it would hide an image that it is laid over. */
export const isFine = (method: MethodName): boolean =>
  (methods[method].by === 'InputAttribution' && method !== 'xrai') || methods[method].by === 'GuidedGradCam'

/** Whether that is the name of a method. */
export function isMethodName(name: unknown): name is MethodName {
  return typeof name === 'string' && Object.hasOwn(methods, name)
}

/** @internal Refuses anything but a list of names of methods. */
export function checkMethodNames(names: unknown): MethodName[] {
  return expect.list('names', names, isMethodName, `names of methods: ${either(methodNames)}`)
}
