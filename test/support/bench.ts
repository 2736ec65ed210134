import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'

/** What scripts/bench/bench.mjs writes, as far as the tests look at it. */
export interface BenchReport {
  readonly machine: { readonly libtorch: string; readonly threads: number }
  readonly coldStartMs: Record<string, Record<string, number>>
  readonly overhead: { readonly typescriptUs: number; readonly nativeUs: number; readonly crossingUs: number }
  readonly groups: readonly {
    readonly model: string
    readonly batch: number
    readonly workload: string
    readonly warnings: readonly string[]
    readonly table: readonly (readonly string[])[]
    readonly rows: readonly BenchRow[]
  }[]
}

export interface BenchRow {
  readonly name: string
  readonly times: readonly number[]
  readonly toOurs: number
  readonly toFloor: number
  readonly p50: number
  readonly p95: number
  readonly imagesPerSecond: number
  readonly peakRss: number
  readonly difference: number | null
  readonly scoreDifference: number | null
  readonly emptyMaps?: number
}

/** A module of scripts/bench, which are not compiled. */
export function benchModule<Module>(name: string): Promise<Module> {
  return import(join(packageRoot, 'scripts', 'bench', name)) as Promise<Module>
}
