// The models of the addon: see binding.ts.
import type { NativeValue } from './native-values.js'

export interface SubmoduleInfo {
  path: string
  typeName: string
  parameters: number
  hookable: boolean
}

export interface NativeArgument {
  name: string
  /** As TorchScript writes it, e.g. 'Optional[Tensor]'. */
  type: string
  takesObject: boolean
}

export type HookKind = 'forwardPre' | 'forward' | 'fullBackward'

/** See Finding in native/core/graphs/findings.h. */
export interface NativeFinding {
  kind: 'random' | 'batch-statistics'
  operator: string
  layer: string
}

export interface ModelHandle {
  facts(): {
    device: string
    dtype: string | null
    hookable: boolean
    splittable: boolean
    differentiable: boolean
    findings: NativeFinding[]
    ending: '' | 'softmax' | 'log_softmax' | 'sigmoid'
    /** The state that its runs change, for messages; '' where they change none. */
    changes: string
    /** By input: see FirstConvolution in native/core/graphs/first_convolution.h. */
    firstConvolutions: ({ channels: number; dimensions: number; layer: string } | null)[]
    /** By input: whether rows of a table are looked up by it. */
    indexInputs: boolean[]
    /** The names of the arguments of its forward. */
    inputs: string[]
  }
  modules(): SubmoduleInfo[]
  /** The operators that its code may call, by qualified name: 'aten::conv2d'. */
  operators(): string[]
  /** What tells it from other models: see native/core/model/fingerprint.h. Empty where it has no parameters. */
  fingerprint(ticket: number): Promise<string>
  /** What `forward` takes, in order. `takesObject`: a dict or a named tuple. */
  arguments(): NativeArgument[]
  forward(inputs: readonly NativeValue[], ticket: number): Promise<NativeValue>
  /** How many images the model takes at a time: `max` may be Infinity. */
  imagesAtOnce(): { min: number; max: number }
  /** Tells the model that it runs on that many images at a time, and on no other number: see Model in native/core/model/model.h. */
  takeAtOnce(images: number, ticket: number): Promise<boolean>
  addHook(kind: HookKind, path: string, hook: (...values: NativeValue[]) => NativeValue): number
  removeHook(id: number): void
  checkLayer(path: string): void
  /** Its split models: see SplitCache in native/core/split/split_cache.h. */
  splits(): { kept: number; bytes: number; limit: number; built: number }
  /** Whether such an input is [N, H, W, C]: see native/core/model/input_layout.h. */
  hasChannelsLast(input: number, shape: readonly number[]): boolean
  dispose(): void
}

/** Whether a row of a batch comes out as its image does alone: see RowsFound in native/core/model/model.h. */
export interface NativeRows {
  independent: boolean
  why: string
  layer: string
  random: boolean
  /** Whether the model runs on one image. */
  alone: boolean
}

/** How the addon builds a nested module: see ModelPlan in native/core/model/model_plan.h. Positions are those in the lists. */
export interface NativePlan {
  readonly files: readonly (string | Uint8Array)[]
  readonly storages: readonly {
    readonly file: number
    readonly position: number
    readonly bytes: number
    readonly crc32?: number
  }[]
  readonly modules: readonly { readonly path: string; readonly type: string }[]
  readonly tensors: readonly {
    readonly module: number
    readonly name: string
    readonly isParameter: boolean
    readonly storage: number
    readonly dtype: string
    readonly sizes: readonly number[]
    readonly strides: readonly number[]
    readonly offset: number
  }[]
  readonly children: readonly { readonly module: number; readonly name: string; readonly child: number }[]
  readonly methods: readonly { readonly module: number; readonly text: string }[]
  readonly inputs: readonly {
    readonly name: string
    readonly isTensor: boolean
    readonly dtype: string | null
    readonly sizes: readonly { min: number; max: number; multiple: number; symbol: string }[]
  }[]
  readonly fixedBatch: { readonly operator: string } | null
}
