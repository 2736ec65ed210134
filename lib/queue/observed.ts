import type { JobStore, ResultSink } from '../jobs/job.js'
import type { Stage, WorkObserver } from './observer.js'

/** Does something, and tells how long it took; also where it throws. */
export async function timed<Result>(observer: WorkObserver, name: Stage, work: () => Promise<Result>): Promise<Result> {
  const began = performance.now()
  try {
    return await work()
  } finally {
    observer.stage(name, (performance.now() - began) / 1000)
  }
}

/** A sink that tells how long writing takes. */
export function observedSink(sink: ResultSink, observer: WorkObserver): ResultSink {
  return {
    open: async (spec) => sink.open?.(spec),
    write: (result) => timed(observer, 'write', () => sink.write(result)),
    isFatal: (error) => sink.isFatal?.(error) ?? false,
    close: async () => sink.close?.(),
  }
}

/** A store that tells how long keeping a line takes. */
export function observeRecords(store: JobStore, observer: WorkObserver): JobStore {
  return {
    claim: (spec) => store.claim(spec),
    record: (line) => timed(observer, 'record', () => store.record(line)),
    close: () => store.close(),
  }
}
