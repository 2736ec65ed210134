import type { ResultSink } from '../jobs/job.js'
import type { JobLine } from '../jobs/job-line.js'
import type { JobSpec } from '../jobs/job-spec.js'
import type { TaskInput } from './task.js'

/**
 * What the workers of a job know of it, beside its results, on a disk or in a storage:
 *
 * - the listing says which inputs are in which chunk, so that whoever lists the inputs next makes the same chunks;
 * - a journal of each attempt at a chunk has a line for each input that is done;
 * - a part for each chunk that is done has its lines;
 * - and it is noted when no more work is to be done.
 *
 * So this is what is true of a job, and the queue says only who does what next: a queue that lost everything is filled again from
 * here.
 */
export interface Workspace {
  /** The folder of the results: a path, or s3://bucket/prefix. */
  readonly out: string

  make(): Promise<void>
  /** False once the job is merged, or was never begun. */
  exists(): Promise<boolean>
  stop(): Promise<void>
  /** Whether no more work is to be done. */
  isStopped(): Promise<boolean>
  resume(): Promise<void>

  openListing(): Promise<Listing>

  isDone(chunk: number): Promise<boolean>
  /** The numbers of all chunks that are done, from that one on; it may name some before it. */
  done(from?: number): Promise<number[]>
  /** The lines of a chunk that is done. */
  part(chunk: number): AsyncIterable<JobLine>
  /** Keeps the lines of a chunk, whole, and only where no other worker did. */
  publish(chunk: number, lines: readonly JobLine[]): Promise<void>

  /** A journal that no other attempt at the chunk has. */
  openJournal(chunk: number, attempt: string): Promise<Journal>
  /** What all attempts at a chunk recorded, as far as its results are still there. */
  recorded(chunk: number): AsyncIterable<JobLine>
  /** Every line of every attempt at a chunk that is not done. */
  unfinished(): Promise<JobLine[]>

  /** The bytes of job.json; null where there is none. */
  specBytes(): Promise<Uint8Array | null>
  /** @throws GradCamError ERR_FILE_UNREADABLE, ERR_JOB_VERSION */
  readSpec(): Promise<JobSpec | null>
  /** The lines of the manifest that is there. */
  manifest(): AsyncIterable<JobLine>
  /** Writes the manifest, whole or not at all, and removes everything but the results. */
  finish(lines: AsyncIterable<JobLine>): Promise<void>

  /** Where the results of an attempt go. */
  sink(attempt: string): ResultSink
}

/** Which inputs are in which chunk: chunks are only added. */
export interface Listing {
  /** How many chunks there are. */
  readonly chunks: number
  /** How many inputs there are in all of them. */
  readonly inputs: number
  /** The ids of all inputs, in order. */
  ids(): AsyncGenerator<string, undefined>
  /** Adds a chunk, which is kept when this returns. @returns its number */
  add(inputs: readonly TaskInput[]): Promise<number>
  inputsOf(chunk: number): Promise<readonly TaskInput[]>
  close(): Promise<void>
}

/** Where an attempt at a chunk keeps what is done. */
export interface Journal {
  add(line: JobLine): Promise<void>
  close(): Promise<void>
}

/** A chunk as part of a name: names are in the order of the chunks. */
export function nameOf(chunk: number): string {
  return String(chunk).padStart(8, '0')
}

/** The chunk of such a name with an ending; null where it is another name. */
export function chunkOf(name: string): number | null {
  const number = /^(\d{8})\.jsonl?$/.exec(name)?.[1]
  return number === undefined ? null : Number(number)
}
