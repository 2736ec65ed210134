/** An animal's place in its scene, in pixels; `class` is its index in `labels` and among the model's logits. */
export interface SceneBox {
  readonly class: number
  readonly label: string
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

export interface ComposedScene {
  readonly seed: number
  readonly svg: string
  /** Two boxes of different classes that do not overlap. */
  readonly boxes: readonly [SceneBox, SceneBox]
}

export interface RenderedScene extends ComposedScene {
  readonly width: number
  readonly height: number
  /** `height` rows of `width` RGB triples. */
  readonly rgb: Uint8Array
}

/** The classes in the order of the model's logits. */
export const labels: readonly string[]
/** Width and height of a scene. */
export const sceneSide: number
/** The first seed of the scenes to train on. */
export const trainingSeeds: number
/** The first seed of the scenes to look at while a model is being designed. */
export const validationSeeds: number
/** The first seed of the scenes that only test. */
export const heldOutSeeds: number

export function composeScene(seed: number): ComposedScene
export function renderScene(seed: number): Promise<RenderedScene>
/** Wraps markup into an SVG document of that many pixels. */
export function svgDocument(width: number, height: number, markup: string): string
