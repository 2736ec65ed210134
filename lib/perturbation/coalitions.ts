import type { CallOptions } from '../addon/abort.js'

/** Versions of an image in which some of its features are present, and the others have the baseline's values. */
export interface Coalitions {
  /** How many versions are scored. */
  readonly count: number
  /** For each feature, 1 where it is present in the version, else 0. */
  readonly present: (version: number) => Uint8Array
  /** The value of each feature, from the score of the image as it is and those of its versions. */
  solve(score: number, changed: readonly number[], options: CallOptions): Promise<Float64Array> | Float64Array
}

/** A method whose result is a value for each feature: what it scores of an image with so many of them. */
export type CoalitionMethod = (features: number) => Coalitions

/** What the methods with a value for each feature share. */
export const allOf = (features: number, value: number): Uint8Array => new Uint8Array(features).fill(value)

/** The order of the features that random numbers give: by size. */
export const orderOf = (drawn: Float64Array): number[] =>
  Array.from(drawn, (_, i) => i).sort((a, b) => (drawn[a] as number) - (drawn[b] as number))
