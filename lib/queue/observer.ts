import type { JobLine } from '../jobs/job-line.js'
import type { QueueChunkEvent } from './chunk-event.js'

/** What takes time in a chunk, besides waiting for it. */
export type Stage = 'explain' | 'write' | 'record' | 'publish'

/** What is told of the work of a worker. */
export interface WorkObserver {
  readonly waited: (seconds: number) => void
  readonly line: (line: JobLine) => void
  readonly stage: (stage: Stage, seconds: number) => void
  readonly chunk: (event: QueueChunkEvent) => void
}

export const noObserver: WorkObserver = { waited: () => {}, line: () => {}, stage: () => {}, chunk: () => {} }
