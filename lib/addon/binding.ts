/**
 * The interface of the native addon. Everything here is raw: the classes of `lib/` own validation, errors and lifetime, and
 * nothing else calls it.
 */

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
    /** The names of the arguments of its forward. */
    inputs: string[]
  }
  modules(): SubmoduleInfo[]
  /** The operators that its code may call, by qualified name: 'aten::conv2d'. */
  operators(): string[]
  /** What `forward` takes, in order. `takesObject`: a dict or a named tuple. */
  arguments(): NativeArgument[]
  forward(inputs: readonly NativeValue[], ticket: number): Promise<NativeValue>
  addHook(kind: HookKind, path: string, hook: (...values: NativeValue[]) => NativeValue): number
  removeHook(id: number): void
  checkLayer(path: string): void
  /** Its split models: see SplitCache in native/core/split_cache.h. */
  splits(): { kept: number; bytes: number; limit: number; built: number }
  dispose(): void
}

/** Whether a row of a batch comes out as its image does alone: see RowsFound in native/core/model/model.h. */
export interface NativeRows {
  independent: boolean
  why: string
  layer: string
  random: boolean
}

/** How a layer's output becomes [N, C, ...]: see LayerShape in native/core/maps/maps.h. */
export type NativeReshape =
  | { kind: 'tokens'; grid: readonly number[]; skip: number }
  | { kind: 'permute'; order: readonly number[] }
  | { kind: 'custom'; call: (tensor: TensorHandle) => TensorHandle }

export interface PassPlan {
  layers: readonly string[]
  /** Which call of a layer that runs several times, from 0; the last by default. */
  call?: number
  /** Of layers that return several tensors: the path to the one that is explained. */
  part?: readonly (string | number)[]
  /** Which of the model's inputs holds the images; 0 by default. */
  input?: number
  methods?: readonly string[]
  /** False keeps negative values in the maps; true by default. */
  relu?: boolean
  eigenSmooth?: boolean
  /** Min-max normalised maps, upsampled to the size of the input. */
  inputSize?: boolean
  aggregate?: 'each' | 'mean' | 'max' | 'product'
  reshape?: NativeReshape | undefined
  seed?: number
  /** Copies of images that run at a time, where a method runs the model again; 32 by default. */
  chunkSize?: number
  /** FullGrad instead of maps of layers: the layers are all that may have a bias, and inputGradient is true. */
  fullGrad?: boolean
  /** No layers and no gradient: `explain` and `backward` find the classes and scores, and the model runs without a graph. */
  scoresOnly?: boolean
  inputGradient: boolean
  guided: 'none' | 'modules' | 'all'
  execution?: 'auto' | 'split' | 'hooked'
  /** The dtype of the part before the first layer; the model's own by default. */
  precision?: 'bfloat16' | 'float16'
  reluRule?: 'guided' | 'deconvnet'
  /** The baseline of DeepLIFT: expanded to the input. */
  baseline?: TensorHandle
}

/** The result of a forward in a pass. */
export interface NativeForward {
  output: NativeValue
  /** ReLUs that follow the rule, or nonlinearities that follow DeepLIFT's. */
  intercepted: number
  /** Why it ran hooked; empty where it ran split. */
  whyHooked: string
  /** What LibTorch and the model warned of, where they did. */
  warnings?: readonly string[]
}

/** See Target in native/core/targets/target.h. Without classes it is the top class. */
export interface NativeTarget {
  classes?: readonly number[] | undefined
  score?: 'logit' | 'probability' | 'difference' | 'finer' | 'mask' | 'box' | 'element'
  sign?: number | undefined
  path?: readonly (string | number)[] | undefined
  against?: readonly number[] | undefined
  nearest?: number
  alpha?: number
  mask?: TensorHandle
  /** Of kind box: see BoxTarget in native/core/targets/target_box.h. The parts are boxes, labels and scores. */
  boxes?: TensorHandle
  labels?: TensorHandle | undefined
  iou?: number
  mayMiss?: boolean
  parts?: readonly (string | number)[]
  /** The dimension that counts the images; 0 by default. */
  imageDim?: number | undefined
  /** Of kind element: a step for each other dimension. */
  at?: readonly (number | 'sum' | 'mean' | 'max')[]
}

/** One map, and for each image whether it is zero everywhere, or holds NaN or an infinity. */
export interface NativeMap {
  map: TensorHandle
  allZero: boolean[]
  nonFinite: boolean[]
}

export interface NativeExplained {
  /** The class explained per image; empty where the score came from the caller, or was not needed and is none. */
  classes: number[]
  /** The path to the part of the output that was taken, where the target names none and the output is not one tensor. */
  of: (string | number)[]
  scores: number[]
  /**
   * The activation and gradient are null after `explain`, which frees them; after a backward the gradient is null where no
   * method needs one.
   */
  layers: {
    shape: number[]
    calls: number
    /** Per image, what is zero or not finite; empty where every map of the pass says something. */
    zeroActivation: boolean[]
    zeroGradient: boolean[]
    nonFinite: boolean[]
    activation: TensorHandle | null
    gradient: TensorHandle | null
  }[]
  /** By method, then by layer; or a single one of all layers. Empty for a method that failed. */
  maps: NativeMap[][]
  /** By method: what kept it from its maps. A pass of which all methods fail rejects. */
  failures: (Error | null)[]
  inputGradient: TensorHandle | null
  fullGrad: TensorHandle | null
  /** What LibTorch and the model warned of, where they did. */
  warnings?: readonly string[]
  /** What the model's probe found, where there was one. */
  rows: NativeRows | null
}

export interface PassHandle {
  forward(inputs: readonly NativeValue[], ticket: number): Promise<NativeForward & { kept: NativeValue }>
  backward(
    target: readonly number[] | NativeTarget | TensorHandle | undefined,
    ticket: number,
  ): Promise<NativeExplained>
  explain(
    inputs: readonly NativeValue[],
    target: readonly number[] | NativeTarget | undefined,
    ticket: number,
  ): Promise<NativeExplained & NativeForward>
  /** Finds out once per model whether a row of a batch comes out as its image does alone. */
  probe(inputs: readonly NativeValue[], ticket: number): Promise<NativeRows>
  /** Another pass of the same plan, which shares the split model. */
  fork(): PassHandle
  dispose(): void
}

/** See Framing in native/core/images/resample.h: sizes are [height, width], the offset is [top, left]. */
export interface NativeFraming {
  resized: readonly number[]
  offset: readonly number[]
  size: readonly number[]
}

/** See SeenPart in native/core/images/render_map.h: the region is [top, left, bottom, right] of the image. */
export interface NativeSeenPart extends NativeFraming {
  region: readonly number[]
}

export interface NativeInfo {
  torchVersion: string
  cudaBuild: boolean
  /** Why the CUDA libraries are not loaded although there is a driver; else empty. */
  cudaProblem: string
  cuda: boolean
  cudaDevices: number
  /** Intra-op threads that LibTorch uses for one operator. */
  threads: number
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

export interface NativeBinding {
  info(): NativeInfo
  liveTensors(): number
  memory(): { live: number; idle: number; mostLive: number; limit: number }
  emptyCache(): void
  /** Infinity for no limit. */
  limitMemory(bytes: number): void
  /** See native/core/base/process_limits.h. It holds until the process ends. */
  limitProcess(bytes: number, seconds: number): void
  setThreads(threads: number): void
  manualSeed(seed: number): void
  /** Stops all executor threads for good. */
  stop(): void
  /** `factory` makes the errors that the addon throws. */
  setErrorFactory(
    factory: (code: never, problem: string, remedy?: string, details?: Readonly<Record<string, unknown>>) => Error,
  ): void
  /** `listener` is called with warnings of LibTorch and models where the result of a call has no place for them. */
  setWarningListener(listener: (texts: readonly string[]) => void): void
  /** Cancels the call that was given this ticket. */
  cancel(ticket: number): void

  readonly TensorHandle: new (...args: never) => TensorHandle
  tensor(bytes: Uint8Array, dtype: string, shape: readonly number[], device: string): TensorHandle
  backward(tensor: TensorHandle, gradient: TensorHandle | null, retainGraph: boolean, ticket: number): Promise<void>
  operator(name: string, overloads: readonly string[], args: readonly NativeValue[]): NativeValue
  operatorAsync(
    name: string,
    overloads: readonly string[],
    args: readonly NativeValue[],
    ticket: number,
  ): Promise<NativeValue>

  loadModel(
    source: string | Uint8Array,
    device: string,
    threads: number,
    splitBytes: number | undefined,
    ticket: number,
  ): Promise<ModelHandle>
  loadPlan(
    plan: NativePlan,
    device: string,
    threads: number,
    splitBytes: number | undefined,
    ticket: number,
  ): Promise<ModelHandle>
  /** Loads a library of operators for as long as the process lives. Its code runs. */
  loadLibrary(path: string, ticket: number): Promise<void>
  /** Writes the module of a plan as a TorchScript file. */
  saveTorchScript(plan: NativePlan, path: string, ticket: number): Promise<void>
  pass(model: ModelHandle, plan: PassPlan): PassHandle
  /** Standard normal numbers of a seed, the same as `torch.randn` makes with a CPU generator of it. */
  randomNormal(shape: readonly number[], dtype: string, seed: number, ticket: number): Promise<TensorHandle>
  /** The same of `torch.rand`. */
  randomUniform(shape: readonly number[], dtype: string, seed: number, ticket: number): Promise<TensorHandle>
  /** A copy with random parameters in the modules of these paths: see Model::randomized in native/core/model/model.h. */
  randomizedModel(model: ModelHandle, paths: readonly string[], seed: number, ticket: number): Promise<ModelHandle>
  /** See native/core/metrics/impute.h. */
  impute(images: TensorHandle, keep: TensorHandle, ticket: number): Promise<TensorHandle>
  /** The names that a plan's methods may have. */
  layerMethods(): string[]
  /** What the dimensions of a layer's output are, by the spatial sizes of the input: see layout_of in native/core/maps/maps.h. */
  layoutOf(shape: readonly number[], inputSize: readonly number[]): 'channels-first' | 'tokens' | 'channels-last'

  /** Fills `planes`. The arrays must not be changed until the promise settles; the same holds for `drawMap`. */
  frameImage(
    pixels: Uint8Array,
    size: readonly number[],
    framing: NativeFraming,
    kernel: string,
    fill: readonly number[],
    table: Float32Array,
    planes: Float32Array,
  ): Promise<void>
  /** Fills `result`: with an overlay where `pixels` are given, else with grey of its own depth. */
  drawMap(
    map: Float32Array,
    mapSize: readonly number[],
    pixels: Uint8Array | null,
    size: readonly number[],
    seen: NativeSeenPart,
    colors: Float32Array,
    alpha: number,
    result: Uint8Array | Uint16Array,
  ): Promise<void>
}
