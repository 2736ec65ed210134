import { ScriptModule, Tensor } from '../../../lib/index.js'

/** Frees a result, and takes two results of an iterator and then returns it. */
export async function finish(result: unknown): Promise<void> {
  if (result instanceof Tensor) return result.dispose()
  if (Array.isArray(result)) for (const inner of result) await finish(inner)
  if (typeof result !== 'object' || result === null || !(result instanceof ScriptModule)) {
    const { next, return: end } = (result ?? {}) as Partial<AsyncIterator<unknown, unknown>>
    if (typeof next === 'function' && typeof end === 'function') {
      const iterator = result as Required<AsyncIterator<unknown, unknown>>
      try {
        for (let i = 0; i < 2; i++) await finish((await iterator.next()).value)
      } finally {
        await iterator.return(undefined)
      }
    }
  }
  const dispose = (result as Partial<Disposable> | null)?.[Symbol.dispose]
  if (typeof dispose === 'function') dispose.call(result)
}
