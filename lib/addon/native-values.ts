// What the addon takes and gives: see binding.ts.

/** A tensor held by JavaScript. Every use after `dispose` is refused by the addon. */
export interface TensorHandle {
  readonly shape: number[]
  readonly dtype: string
  readonly device: string
  readonly grad: TensorHandle | null
  requiresGrad: boolean
  /** The elements in row-major order, copied. */
  bytes(): ArrayBuffer
  dispose(): void
}

/** The arguments and results of models and operators: handles inside arrays and objects. */
export type NativeValue =
  | TensorHandle
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly NativeValue[]
  | { readonly [name: string]: NativeValue }
