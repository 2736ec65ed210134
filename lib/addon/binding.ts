/**
 * The interface of the native addon. Everything here is raw: the classes of `lib/` own validation, errors and lifetime, and
 * nothing else calls it. Its values, models and passes are in native-values.ts, native-model.ts and native-pass.ts.
 */
import type { ModelHandle, NativePlan } from './native-model.js'
import type { PassHandle, PassPlan } from './native-pass.js'
import type { NativeValue, TensorHandle } from './native-values.js'

/** See Framing in native/core/images/resample.h: sizes are [height, width], the offset is [top, left]. */
export interface NativeFraming {
  resized: readonly number[]
  offset: readonly number[]
  size: readonly number[]
}

/** See PackedRows in native/core/images/unpack.h. */
export interface NativePackedRows {
  start: number
  stride: number
  bottomUp: boolean
  height: number
  width: number
}

/** How pixels are stored: see native/core/images/unpack.h. */
export type NativePackedForm =
  | {
      kind: 'samples'
      bits: number
      bigEndian: boolean
      perPixel: number
      of: readonly number[]
      tables: Uint8Array
    }
  | { kind: 'fields'; bytes: number; masks: readonly number[] }
  | { kind: 'inks'; perPixel: number }
  | { kind: 'text'; channels: number; most: number }

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

export interface NativeBinding {
  info(): NativeInfo
  liveTensors(): number
  /** See {@link releaseBytes}. */
  releaseBytes(array: Uint8Array | Uint16Array): void
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
  /** `listener` is called with warnings of LibTorch and models where the result of a call cannot hold them. */
  setWarningListener(listener: (texts: readonly string[]) => void): void
  /** Cancels the call that was given this ticket. */
  cancel(ticket: number): void
  /** The runs of the model that the call with this ticket has done, and that it needs; null where it counts none. */
  runs(ticket: number): readonly [done: number, total: number] | null

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
  /** See native/core/base/quadrature.h. */
  gaussLegendre(count: number): { readonly points: readonly number[]; readonly weights: readonly number[] }
  /** [at, attribution] after a step: see native/core/attribution/guided_path.h. */
  guidedStep(
    paths: readonly [at: TensorHandle, attribution: TensorHandle],
    gradient: TensorHandle,
    input: TensorHandle,
    baseline: TensorHandle,
    share: number,
    fraction: number,
    maxDistance: number,
    ticket: number,
  ): Promise<[at: TensorHandle, attribution: TensorHandle]>
  /** See native/core/metrics/impute.h. */
  impute(images: TensorHandle, keep: TensorHandle, ticket: number): Promise<TensorHandle>
  /** The names that a plan's methods may have. */
  layerMethods(): string[]
  /** What the dimensions of a layer's output are, by the spatial sizes of the input: see layout_of in native/core/maps/maps.h. */
  layoutOf(
    shape: readonly number[],
    inputSize: readonly number[],
    model?: ModelHandle,
    layer?: string,
  ): 'channels-first' | 'tokens' | 'channels-last'

  /**
   * Planes [channels, height, width], float32: red, green and blue of one page, or the grey of each page. The arrays must not
   * be changed until the promise settles; the same holds for `drawMap`.
   */
  frameImage(
    pages: readonly Uint8Array[],
    size: readonly number[],
    framing: NativeFraming,
    kernel: string,
    fill: readonly number[],
    table: Float32Array,
    grey: boolean,
  ): Promise<TensorHandle>
  /** Fills `result` with red, green and blue of each pixel, and says what is wrong with the bytes, if anything. */
  unpackPixels(
    bytes: Uint8Array,
    rows: NativePackedRows,
    form: NativePackedForm,
    result: Uint8Array,
  ): Promise<string | null>
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
  /** See native/core/images/superpixels.h. */
  superpixels(
    images: TensorHandle,
    segments: number,
    compactness: number,
    iterations: number,
    ticket: number,
  ): Promise<TensorHandle>
  /** See native/core/images/felzenszwalb.h. */
  felzenszwalb(
    images: TensorHandle,
    scales: Float64Array,
    sigma: number,
    leastPixels: number,
    ticket: number,
  ): Promise<TensorHandle>
  /** See native/core/images/regions.h. */
  regionGains(
    values: TensorHandle,
    labels: TensorHandle,
    dilation: number,
    leastPixels: number,
    ticket: number,
  ): Promise<TensorHandle>
  /** See native/core/images/concepts.h. */
  paintConcepts(
    image: TensorHandle,
    maps: TensorHandle,
    most: Float64Array,
    colors: Float64Array,
    alpha: number,
    ticket: number,
  ): Promise<TensorHandle>
  /** See native/core/images/overlay.h; `colors` as for `drawMap`. */
  overlay(images: TensorHandle, maps: TensorHandle, colors: Float32Array, alpha: number): TensorHandle
  colorize(values: TensorHandle, colors: Float32Array): TensorHandle
}
