/** What became of a chunk at a worker. */
export interface QueueChunkEvent {
  /** The name of the job. */
  readonly job: string
  /** The number of the chunk. */
  readonly chunk: number
  readonly state: 'done' | 'given back' | 'dropped'
  /** Inputs that the worker recorded for it. */
  readonly inputs: number
  readonly milliseconds: number
}
