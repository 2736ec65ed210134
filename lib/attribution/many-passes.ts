import { inParts } from '../base/in-parts.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/** A pass over a batch, or over copies of it; owns its gradient. */
export interface Pass extends Disposable {
  readonly gradient: Tensor
  /** How many activations followed a rule. */
  readonly intercepted: number
}

/** How passes over copies of the batch run, one after the other in one tensor. */
export interface Passes {
  readonly run: (inputs: Tensor, copies: number) => Promise<Pass>
  /** How many copies one takes at most. */
  readonly most: number
  readonly signal: AbortSignal | undefined
}

/** Attributions, for who asked for them to dispose. */
export interface Attributed extends Pick<Pass, 'intercepted'> {
  readonly attribution: Tensor
}

/** What methods of many passes are told. */
export interface ManyPassSettings {
  readonly baseline: number | Tensor
  /** How many passes over the batch. */
  readonly steps: number
  readonly seed: number
  readonly maxSigma: number
  readonly fraction: number
  readonly maxDistance: number
  readonly regions: readonly Tensor[] | undefined
}

/** What is explained: copies of a batch, one after the other. */
export interface Copied {
  /** [copies N, ...] */
  readonly x: Tensor
  readonly copies: number
  /** The number of the first copy, where there are others before it. */
  readonly first: number
}

/** A method that needs gradients at other inputs than the image. Each has a file with its formula and its source. */
export interface ManyPassMethod {
  /** How many passes it takes by default. */
  readonly steps: number
  /** How many paths it goes, of as many passes each; 1 by default. */
  readonly paths?: number
  /** Whether its attributions add up to the score less that of the baseline. */
  readonly complete: boolean
  /** The attributions of x, of its shape, for the caller to dispose. */
  attribute(copied: Copied, passes: Passes, settings: ManyPassSettings): Promise<Tensor>
}

/** Where a gradient is taken, and what it is multiplied by. */
export interface Point extends Disposable {
  /** Of the shape of x. */
  readonly at: Tensor
  /** A number, or of the shape of x. */
  readonly factor: number | Tensor
}

/** The same, which owns its tensors. */
export function pointOf(at: Tensor, factor: number | Tensor): Point {
  const dispose = () => {
    at.dispose()
    if (factor instanceof Tensor) factor.dispose()
  }
  return { at, factor, [Symbol.dispose]: dispose }
}

/** The sum of factor times gradient over `count` points, as many in a pass as there may be; for the caller to dispose. */
export async function sumOverPoints(
  { x, copies }: Copied,
  passes: Passes,
  count: number,
  point: (i: number) => Point | Promise<Point>,
): Promise<Tensor> {
  let sum: Tensor | undefined
  try {
    await inParts(count, Math.max(1, Math.floor(passes.most / copies)), async (from, to) => {
      const points: Point[] = []
      try {
        for (let i = from; i < to; i++) points.push(await point(i))
        using inputs = tidy(() => Tensor.cat(points.map(({ at }) => at)).to({ dtype: x.dtype }))
        using pass = await passes.run(inputs, copies * points.length)
        const before = sum
        sum = tidy(() => {
          const gradients = pass.gradient.split(x.shape[0] ?? 1)
          const parts = gradients.map((gradient, i) => gradient.mul((points[i] as Point).factor))
          return (before ? [before, ...parts] : parts).reduce((total, term) => total.add(term)).clone()
        })
        before?.dispose()
      } finally {
        for (const one of points) one[Symbol.dispose]()
      }
    })
    return (sum as Tensor).detach()
  } finally {
    sum?.dispose()
  }
}
