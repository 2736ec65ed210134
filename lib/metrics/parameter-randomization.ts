import { expect } from '../base/check.js'
import { inParts } from '../base/in-parts.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkExplain, explainLike, type ExplainMaps } from './explain-maps.js'
import { checkFinite } from './maps.js'
import { mean, Metric, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import { on } from './executor.js'
import { rankCorrelation } from './similarity.js'

/** Which modules are randomised: from the output back, each in addition to those before ('cascading'), or one at a time. */
export type RandomizationOrder = 'all' | 'cascading' | 'independent'

export interface ParameterRandomizationOptions extends MetricOptions {
  readonly explain: ExplainMaps
  /**
   * 'all' (the default): one copy of the model with all of `modules` random. 'cascading': a copy for each of `modules`, in
   * which it and all before it are random. 'independent': a copy for each, in which it alone is.
   */
  readonly order?: RandomizationOrder
  /**
   * Paths of modules, the one nearest to the output first. By default the whole model for 'all', and every module that has
   * parameters of its own, the last first, for the others.
   */
  readonly modules?: readonly string[]
  /** See {@link Model.randomized}; an integer from 0 on, 0 by default. */
  readonly seed?: number
}

/**
 * The sanity check by parameter randomisation: how much maps of the model resemble maps of copies whose parameters are
 * random, by Spearman's rank correlation, the mean over copies. A map that does not depend on what the model learned stays at
 * 1: near 0 is better. The class is the one that the model itself was explained for. Adebayo et al. 2018, "Sanity Checks for
 * Saliency Maps", arXiv:1810.03292. The copies are made at the first `add`, and live until the metric is disposed; each
 * shares the parameters that are not random.
 */
export class ParameterRandomization extends Metric {
  readonly order: RandomizationOrder
  readonly modules: readonly string[]
  readonly #explain: ExplainMaps
  readonly #seed: number
  #copies: Promise<readonly Model[]> | undefined

  /** @throws GradCamError ERR_INVALID_ARGUMENT; at the first `add` ERR_LAYER_NOT_FOUND, ERR_MODEL_FROZEN */
  constructor(model: Model, options: ParameterRandomizationOptions) {
    super(model, options)
    const { explain, order = 'all', seed = 0, modules } = expect.options(options)
    this.order = expect.oneOf('order', order, ['all', 'cascading', 'independent'])
    this.#explain = checkExplain(explain)
    this.#seed = expect.seed('seed', seed)
    const usual = () => (order === 'all' ? [''] : withParameters(model))
    this.modules = modules === undefined ? usual() : expect.strings('modules', modules, "['classifier']")
  }

  /** The module that each copy has random, or the last of them. */
  override get points(): readonly string[] {
    return this.order === 'all' ? [this.modules.join(', ') || 'all'] : this.modules
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const { batchSize } = this.options
    await checkFinite(maps, signal)
    const imageCount = input.shape[0] as number
    const scorer = await this.scorer(input, batch)
    const curves: number[][] = Array.from({ length: imageCount }, () => [])
    for (const copy of await (this.#copies ??= this.#make())) {
      await inParts(imageCount, batchSize, async (from, to) => {
        const of = Array.from({ length: to - from }, (_, i) => from + i)
        using images = await on(signal).narrow(input, 0, from, of.length)
        using original = await on(signal).narrow(maps, 0, from, of.length)
        const target = scorer.targetOf(of)
        using found = await explainLike(this.#explain, copy, images, maps.shape, { target, signal })
        using placed = await on(signal).to(found, original.device, found.dtype)
        const alike = await rankCorrelation(original, placed, signal)
        for (const [i, image] of of.entries()) (curves[image] as number[]).push(alike[i] as number)
      })
    }
    return curves.map((curve) => ({ value: mean(curve), curve }))
  }

  /** Without a signal: several calls of `add` may wait for it. */
  async #make(): Promise<readonly Model[]> {
    const { modules, order } = this
    const seed = this.#seed
    if (order === 'all') return [await this.model.randomized({ modules, seed })]
    const copies: Model[] = []
    try {
      for (const module of modules) {
        const from = order === 'cascading' ? (copies.at(-1) ?? this.model) : this.model
        copies.push(await from.randomized({ modules: [module], seed }))
      }
      return copies
    } catch (error) {
      for (const copy of copies) copy.dispose()
      this.#copies = undefined
      throw error
    }
  }

  override dispose(): void {
    super.dispose()
    const free = (copies: readonly Model[]) => copies.forEach((copy) => copy.dispose())
    this.#copies?.then(free, () => {}) // a call that waits for the copies gets their failure
    this.#copies = undefined
  }
}

/** Every module with parameters that are not those of a module inside it, the last first. */
function withParameters(model: Model): string[] {
  const modules = model.namedModules()
  const inside = (path: string, outer: string) =>
    outer === '' ? !path.includes('.') : path.startsWith(`${outer}.`) && !path.slice(outer.length + 1).includes('.')
  return modules
    .filter(({ path, parameters }) => {
      const children = modules.filter((other) => other.path !== '' && other.path !== path && inside(other.path, path))
      return parameters > children.reduce((sum, child) => sum + child.parameters, 0)
    })
    .map(({ path }) => path)
    .reverse()
}
