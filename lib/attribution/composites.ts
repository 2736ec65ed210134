import type { NativeComposite, NativeRule } from '../addon/native-pass.js'
import { expect, invalid, toList } from '../base/check.js'
import { Tensor } from '../tensor/tensor.js'

/**
 * How relevance goes from the output of a layer to its input x; w is the layer's weight, b its bias. `epsilon`, 1e-6 by default,
 * keeps denominators from zero, with the sign that they have.
 *
 * - `epsilon`: each product x w gets its share of the sum of all of them and b. Bach et al. 2015,
 *   doi:10.1371/journal.pone.0130140
 * - `gamma`: the same with products of the sum's own sign counted 1 + `gamma` times, 0.25 by default. Montavon et al. 2019,
 *   doi:10.1007/978-3-030-28954-6_10
 * - `alpha-beta`: `alpha` times the shares among the positive products and b, minus `beta` times those among the negative ones;
 *   2 and 1 by default, and alpha - beta is 1. Bach et al. 2015
 * - `z-plus`: alpha-beta with 1 and 0. Montavon et al. 2017, doi:10.1016/j.patcog.2016.11.008
 * - `flat`: the same for every input. Lapuschkin et al. 2019, doi:10.1038/s41467-019-08987-4
 * - `w-square`: shares of the squared weights, whatever x is. Montavon et al. 2017
 * - `z-box`: for the layer that sees the image, whose elements lie between `low` and `high`. Montavon et al. 2017
 */
export type RelevanceRule = { readonly epsilon?: number } & (
  | { readonly rule: 'epsilon' | 'z-plus' | 'flat' | 'w-square' | 'z-box' }
  | { readonly rule: 'gamma'; readonly gamma?: number }
  | { readonly rule: 'alpha-beta'; readonly alpha?: number; readonly beta?: number }
)

/** Which rule each layer follows. */
export interface RelevanceRules {
  /** Of each layer with a weight that no other such layer precedes, whatever its kind; as the others where it is left out. */
  readonly first?: RelevanceRule
  /** Of convolutions. */
  readonly convolution: RelevanceRule
  /** Of linear layers: products with a weight matrix. */
  readonly linear: RelevanceRule
  /** Of sums without a weight, which follow the epsilon rule: residual additions, average pooling. 1e-6 by default. */
  readonly epsilon?: number
}

const epsilon = { rule: 'epsilon' } as const
const plus = { convolution: { rule: 'z-plus' }, linear: epsilon } as const
const alpha2Beta1 = { convolution: { rule: 'alpha-beta', alpha: 2, beta: 1 }, linear: epsilon } as const

/** The usual combinations of rules, as zennit names them. */
export const composites = {
  epsilon: { convolution: epsilon, linear: epsilon },
  'epsilon-plus': plus,
  'epsilon-plus-flat': { first: { rule: 'flat' }, ...plus },
  'epsilon-alpha2-beta1': alpha2Beta1,
  'epsilon-alpha2-beta1-flat': { first: { rule: 'flat' }, ...alpha2Beta1 },
  'epsilon-gamma-box': {
    first: { rule: 'z-box' },
    convolution: { rule: 'gamma', gamma: 0.25 },
    linear: epsilon,
  },
} as const satisfies Record<string, RelevanceRules>

/** The name of a usual combination of rules: see {@link composites}. */
export type CompositeName = keyof typeof composites

/** The names of all {@link composites}. */
export const compositeNames = Object.keys(composites) as readonly CompositeName[]

/** A bound of the input: a number, one for each channel of images [N, C, H, W], or a tensor that can be expanded to an image. */
export type Bound = number | readonly number[] | Tensor

const numbersOf: Readonly<Record<RelevanceRule['rule'], readonly string[]>> = {
  epsilon: ['epsilon'],
  gamma: ['epsilon', 'gamma'],
  'alpha-beta': ['epsilon', 'alpha', 'beta'],
  'z-plus': ['epsilon'],
  flat: ['epsilon'],
  'w-square': ['epsilon'],
  'z-box': ['epsilon'],
}
const ruleNames = Object.keys(numbersOf) as readonly RelevanceRule['rule'][]

/**
 * The rules of a composite.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function readComposite(given: unknown, name = 'composite'): RelevanceRules {
  if (typeof given === 'string') return composites[expect.oneOf(name, given, compositeNames)]
  const rules = expect.options(given as RelevanceRules, name)
  checkKeys(rules, ['first', 'convolution', 'linear', 'epsilon'], name)
  for (const kind of ['convolution', 'linear'] as const) checkRule(rules[kind], `${name}.${kind}`)
  if (rules.first !== undefined) checkRule(rules.first, `${name}.first`)
  if (rules.epsilon !== undefined) expect.number(`${name}.epsilon`, rules.epsilon, { min: 0 })
  return rules
}

function checkRule(rule: RelevanceRule, name: string): void {
  const given = expect.options(rule, name) as Record<string, unknown> & RelevanceRule
  expect.oneOf(`${name}.rule`, given.rule, ruleNames)
  const numbers = numbersOf[given.rule]
  checkKeys(given, ['rule', ...numbers], name)
  for (const key of numbers) if (given[key] !== undefined) expect.number(`${name}.${key}`, given[key], { min: 0 })
  if (given.rule !== 'alpha-beta') return
  const { alpha = 2, beta = 1 } = given
  if (Math.abs(alpha - beta - 1) > 1e-9)
    throw invalid(name, 'alpha - beta to be 1, which keeps the sum', { alpha, beta })
}

/** A misspelt name is refused: rules may come from a request or a file, which no compiler has checked. */
function checkKeys(given: object, known: readonly string[], name: string): void {
  for (const key of Object.keys(given)) if (!known.includes(key)) throw invalid(`${name}.${key}`, either(known), given)
}
const either = (names: readonly string[]): string => `one of the names ${names.join(', ')}`

/**
 * Checks a bound.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function checkBound(name: string, bound: unknown): void {
  const several = toList(bound)
  const list = several?.length ? several : [bound]
  if (!(bound instanceof Tensor) && !list.every((one) => Number.isFinite(one)))
    throw invalid(name, 'a finite number, an array of one for each channel, or a Tensor', bound)
}

/**
 * What the addon is told; the tensors are for the caller to dispose.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT where z-box has no bounds, or where bounds are given that no rule uses
 */
export function nativeComposite(
  rules: RelevanceRules,
  low: Bound | undefined,
  high: Bound | undefined,
): { readonly native: NativeComposite } & Disposable {
  const all = [rules.first, rules.convolution, rules.linear]
  const boxed = all.some((rule) => rule?.rule === 'z-box')
  for (const [name, bound] of Object.entries({ low, high })) {
    if (boxed && bound === undefined)
      throw invalid(name, 'a bound of the input as the model gets it, which the z-box rule needs', bound)
    if (!boxed && bound !== undefined) throw invalid(name, 'to be left out: no layer follows the z-box rule', bound)
    if (bound !== undefined) checkBound(name, bound)
  }
  const tensors = boxed ? { low: toTensor(low as Bound), high: toTensor(high as Bound) } : {}
  const bounds = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tensor.handle]))
  const toNative = (rule: RelevanceRule): NativeRule => (rule.rule === 'z-box' ? { ...rule, ...bounds } : rule)
  const native = {
    ...(rules.first && { first: toNative(rules.first) }),
    convolution: toNative(rules.convolution),
    linear: toNative(rules.linear),
    ...(rules.epsilon !== undefined && { epsilon: rules.epsilon }),
  }
  const dispose = () => {
    for (const tensor of Object.values(tensors)) tensor.dispose()
  }
  return { native, [Symbol.dispose]: dispose }
}

function toTensor(bound: Bound): Tensor {
  if (bound instanceof Tensor) return bound.detach()
  if (typeof bound === 'number') return Tensor.full([], bound, { dtype: 'float64' })
  return Tensor.from(Float64Array.from(bound), [bound.length, 1, 1])
}
