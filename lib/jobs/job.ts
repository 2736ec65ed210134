import type { BatchExplanation, BatchResult } from '../batch/result.js'
import type { BatchEntry } from '../batch/input.js'
import type { BatchTarget } from '../batch/target.js'
import type { PlainReshape } from '../cam/reshape.js'
import type { ImageSource, RemoteImage } from '../images/index.js'
import type { JobLine, SinkFiles } from './job-line.js'
import type { JobSpec } from './job-spec.js'

/** One input of a job. */
export interface JobEntry {
  /** Its name, which no other input of the job has. The results of a resumed job are found by it. */
  readonly id: string
  /** Where it comes from: a path, a URL, the key of an object. Its line in the store shows it. */
  readonly input: string
  /**
   * The image: a path, a `file:` URL, the bytes of an image file, or how to fetch them. By default the file at the path `input`.
   */
  readonly source?: ImageSource | RemoteImage
  /** Instead of the target of the job. */
  readonly target?: BatchTarget
  /** Set where the input is known to be invalid before it is read. It is recorded as failed with this error. */
  readonly error?: Error
}

/** Where the inputs of a job come from: files (see {@link FileSource}), a queue, a database. */
export interface JobSource {
  /**
   * The inputs, each once. It may wait as long as it likes for the next one. `return()` is called on the iterator when the
   * job ends early. What it throws ends the job.
   *
   * @param plan what the explainer decided, which the inputs may depend on
   */
  entries(plan?: Pick<JobPlan, 'arrays'>): AsyncIterable<JobEntry>
}

/** What a store knows about a job that it handed to this process. */
export interface JobClaim {
  /** The ids of the inputs that are done, and whether they were explained (true) or have failed (false). */
  readonly done: ReadonlyMap<string, boolean>
  /** How many inputs were done and are not any more, because their files have changed since. */
  readonly changed?: number
  /** Aborted when the claim is lost, e.g. because another process took over the lock. The job then ends with its reason. */
  readonly lost?: AbortSignal
}

/** Where a job keeps what is done: a folder (see {@link FolderStore}), a database. */
export interface JobStore {
  /**
   * Called before anything is loaded or written: refuses what {@link claim} would refuse, as far as it can be told without
   * taking the job.
   */
  check?(spec: JobSpec): Promise<void>
  /**
   * Takes the job for this process, so that no other one works on it until {@link close}.
   *
   * @throws GradCamError ERR_JOB_EXISTS or ERR_JOB_CHANGED where the store holds a job that is not to be resumed, or one
   *   with another specification
   */
  claim(spec: JobSpec): Promise<JobClaim>
  /** Keeps what became of one input. Calls do not overlap. What it throws ends the job. */
  record(line: JobLine): Promise<void>
  /** Gives the job back. Called once after every successful {@link claim}, unless {@link discard} was. */
  close(): Promise<void>
  /**
   * Called instead of {@link close} where a job ended with an error before anything was recorded: gives it back, and removes
   * what {@link claim} made, so that nothing is left of a job that could not begin. Without it, `close` is called.
   */
  discard?(): Promise<void>
}

/** Where the files of results go: a folder (see {@link FolderSink}), a bucket of objects. */
export interface ResultSink {
  /** Called once, before any result is written. */
  open?(spec: JobSpec): Promise<void>
  /**
   * Writes the files of one result, e.g. those that `spec.write` names. Calls overlap. The result is valid until the
   * promise settles. What it throws makes the input fail, or ends the job: see {@link isFatal}.
   *
   * @returns the name of each file, by kind, or its name, size and digest; `{}` where there is nothing to write
   */
  write(result: BatchExplanation<unknown>): Promise<SinkFiles>
  /** Whether an error of {@link write} would meet every other result as well, e.g. that of a full disk. */
  isFatal?(error: unknown): boolean
  /** Called once after {@link open}, unless the claim of the job was lost. */
  close?(): Promise<void>
}

/** What an explainer decided about a job. */
export interface JobPlan {
  /** The layer that is explained; null for a method that requires none. */
  readonly layer: string | null
  /** How its output becomes [N, C, h, w]; left out where it is that. */
  readonly reshape?: PlainReshape | undefined
  /** The device of each replica of the model. */
  readonly devices: readonly string[]
  /** What is unusual about the images that the model is given, for people: ', grey as Pillow makes L'; left out for most. */
  readonly images?: string
  /** Whether the model takes what images cannot hold: volumes, signals, or other channels than grey or colours. */
  readonly arrays?: boolean
  /** The error of a run on noise of the size that images have, where that failed: see `runJob`. */
  readonly refused?: unknown
}

/** What explains the inputs of a job: models in this process (see {@link ModelExplainer}), or a remote service. */
export interface JobExplainer {
  /** Loads what is required. Called once, before the job is claimed, so that a job that cannot begin leaves nothing. */
  open(spec: JobSpec): Promise<JobPlan>
  /**
   * Explains inputs, in any order. `finish` is called with every explanation, and what it returns is the `extra` of the
   * result. Errors of single inputs are results: see `explainAll`.
   */
  explain<Extra>(
    inputs: AsyncIterable<BatchEntry>,
    finish: (result: BatchExplanation<unknown>) => Promise<Extra>,
  ): AsyncIterable<BatchResult<Extra>>
  /** Frees everything. Called once after every successful {@link open}. */
  close(): Promise<void>
}
