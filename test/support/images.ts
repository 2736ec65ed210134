import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { orMissing } from './needs.js'
import { pythonPackages } from './python-packages.js'
import { programsHash, runPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

/** What test/python/images.py is asked for, see there. `null` stands for NaN, which JSON lacks. */
export interface ImageJob {
  readonly jet?: readonly (number | null)[]
  readonly resizes?: Readonly<Record<string, ResizeCase>>
}

/** Sizes are [width, height], as Pillow has them. */
export interface ResizeCase {
  readonly from: readonly [number, number]
  readonly to: readonly [number, number]
  readonly filter: 'bilinear' | 'bicubic' | 'lanczos'
}

interface Index {
  readonly jet: { readonly table: StoredTensor; readonly values: StoredTensor; readonly colors: StoredTensor }
  readonly resizes: Record<
    string,
    { readonly source: StoredTensor; readonly bytes: StoredTensor; readonly exact: StoredTensor }
  >
  readonly samples: Record<string, { readonly path: string; readonly pixels?: StoredTensor }>
}

/** What Pillow and matplotlib say about images. */
export class ImageReference {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  /** matplotlib's table [256, 3], and the colours [n, 3] of the job's values, as float64. */
  get jet(): { table: Values; values: Values; colors: Values } {
    const { table, values, colors } = this.index.jet
    return { table: this.read(table), values: this.read(values), colors: this.read(colors) }
  }

  /** uint8 [H, W, 3] before and after Pillow's resize, and that without rounding: float32 [h, w, 3], up to 255. */
  resize(name: string): { source: Values; bytes: Values; exact: Values } {
    const entry = this.index.resizes[name]
    if (!entry) throw new Error(`the reference has no resize ${name}`)
    return { source: this.read(entry.source), bytes: this.read(entry.bytes), exact: this.read(entry.exact) }
  }

  /** The sample files of test/python/sample_images.py. */
  sampleNames(): string[] {
    return Object.keys(this.index.samples)
  }

  sample(name: string): { path: string; pixels: Values | null } {
    const entry = this.index.samples[name]
    if (!entry) throw new Error(`there is no sample image ${name}`)
    return { path: join(this.folder, entry.path), pixels: entry.pixels ? this.read(entry.pixels) : null }
  }

  private read(stored: StoredTensor): Values {
    return readTensor(this.folder, stored)
  }
}

/**
 * Has Pillow and matplotlib compute a job. Gives null where pip could not install them; in CI (`CI` is set) it
 * throws instead.
 */
export function imageReference(name: string, job: ImageJob): Promise<ImageReference | null> {
  const text = JSON.stringify({ jet: job.jet ?? [], resizes: job.resizes ?? {} })
  return orMissing('packages', async () => {
    const python = await pythonPackages()
    const key = [text, programsHash('images.py'), python.env['PYTHONPATH'] ?? '']
    const folder = await cachedFolder(name, key, async (partial) => {
      mkdirSync(partial)
      const file = join(partial, 'job.json')
      writeFileSync(file, text)
      // matplotlib keeps a cache where it finds a place: not in the user's home folder.
      const env = { ...python.env, MPLCONFIGDIR: join(partial, 'matplotlib') }
      await runPython({ ...python, env }, 'images.py', [file, partial])
    })
    return new ImageReference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
  })
}
