import type { builtWith } from '#test-support/compile-native.js'
import type { TestPython } from '#test-support/python.js'
import type { Worker } from './worker.mjs'

export type Say = (text: string) => void

/** What a contestant's process does again and again: see workers. */
export interface Job {
  readonly method: string
  readonly model: string
  /** The files of the model: TorchScript, and its state dict. */
  readonly file: string
  readonly state: string
  /** The file of the images, float32 [images, 3, size, size]. */
  readonly input: string
  readonly size: number
  readonly images: number
  readonly threads: number
  readonly device: string
  /** The class that is explained. */
  readonly target: number
  readonly layer: string | null
}

export interface Tools {
  readonly python: TestPython
  /** The program of the floor; null where it takes no part. */
  readonly floorProgram: string | null
  /** Null where none takes part. */
  readonly engines: Engines | null
}

/** Folders: of the packages of the serving engines, and of MODEL.onnx. */
export interface Engines {
  readonly packages: string
  readonly files: string
}

/** How a process is started. */
export interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

export interface Contestant {
  readonly name: string
  readonly label: string
  start(row: Contestant, job: Job, tools: Tools): Command
  /** Takes part in these alone. */
  readonly methods?: readonly string[]
  /** Ours: what goes to the constructor of the explainer, and to its explain(). */
  readonly make?: object
  readonly explain?: object
  /** Ours: the method, where it has another name than the job's. */
  readonly method?: string
  /** Ours: another checkout. */
  readonly root?: string
  /** In Python: the module that explains, and the class in it where the job does not decide. */
  readonly module?: string
  readonly className?: string | undefined
  /** Whether it needs pytorch-grad-cam and Captum. */
  readonly peer?: boolean
  readonly isFloor?: boolean
  /** A plain forward in another engine: its name in workers/engine.py. */
  readonly engine?: 'openvino' | 'onnxruntime'
  /** It makes no map, so that its scores are compared. */
  readonly scoresAlone?: boolean
}

/** What prepare.py wrote beside the files. */
export interface Index {
  /** The folder of the PyTorch that it ran with. */
  readonly torch: string
  readonly models: Readonly<
    Record<string, { readonly layers: Readonly<Record<string, string>>; readonly target: number }>
  >
}

/** What a contestant's process took, in bytes. */
export interface Memory {
  readonly peakRss: number
  readonly peakDevice: number | null
}

/** A contestant that takes part. */
export interface Taking {
  readonly contestant: Contestant
  readonly worker: Worker
  readonly coldStartMs: number
}

/** How far a contestant's result is from the first one's: see compareResults. Null where it gives none. */
export interface Agreement {
  readonly difference: number | null
  /** Relative to the largest. */
  readonly scoreDifference: number | null
  /** Of the first one: how many results are all zero, where agreeing would mean nothing. */
  readonly emptyMaps?: number
}

/** What was measured of one contestant; times in ms, one for each round. */
export interface Row extends Memory, Agreement {
  readonly name: string
  readonly times: readonly number[]
  readonly coldStartMs: number
}

/** All contestants at one batch size. */
export interface Measurement {
  readonly batch: number
  readonly rows: readonly Row[]
  /** The share of the time in which contestants that waited used the processor; null where the platform does not tell. */
  readonly idleShare: number | null
}

/** Why contestants take no part, by name. */
export type Failures = Readonly<Record<string, string>>

export interface Figures extends Row {
  readonly toOurs: number | null
  readonly toFloor: number | null
  readonly p50: number
  readonly p95: number
  readonly imagesPerSecond: number
}

/** In microseconds for one explanation. */
export interface Overhead {
  readonly typescriptUs: number
  readonly nativeUs: number
  readonly crossingUs: number
}

/** A table of the report. */
export interface Group {
  readonly model: string
  readonly title: string
  readonly batch: number
  readonly table: readonly (readonly string[])[]
  readonly warnings: readonly string[]
}

export type LibTorch = ReturnType<typeof builtWith>
