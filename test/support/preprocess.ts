import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Framing } from '../../lib/index.js'
import { cachedFolder } from './cached-folder.js'
import { orMissing } from './needs.js'
import { pythonPackages } from './python-packages.js'
import { programsHash, runPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

interface Index {
  readonly images: Record<string, Record<string, { readonly bytes: StoredTensor; readonly scaled: StoredTensor }>>
  readonly spreads: Record<
    string,
    {
      readonly map: StoredTensor
      readonly image: StoredTensor
      readonly spread: StoredTensor
      readonly framing: Framing
    }
  >
}

/** What test/python/preprocess.py says. */
export class PreprocessReference {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  files(): string[] {
    return Object.keys(this.index.images)
  }

  path(file: string): string {
    return join(this.folder, file)
  }

  /** uint8 [h, w, 3] before and float32 [3, h, w] after scaling. */
  image(file: string, preset: string): { bytes: Values; scaled: Values } {
    const entry = this.index.images[file]?.[preset]
    if (!entry) throw new Error(`the reference has no ${preset} of ${file}`)
    return { bytes: readTensor(this.folder, entry.bytes), scaled: readTensor(this.folder, entry.scaled) }
  }

  /** A map, uint8 [H, W, 3] of an image, and the map over it, float64 [H, W], NaN where the model saw nothing. */
  spread(name: string): { map: Values; image: Values; spread: Values; framing: Framing } {
    const entry = this.index.spreads[name]
    if (!entry) throw new Error(`the reference has no spread ${name}`)
    const [map, image, spread] = [entry.map, entry.image, entry.spread].map((one) => readTensor(this.folder, one))
    return { map: map as Values, image: image as Values, spread: spread as Values, framing: entry.framing }
  }
}

/** Null where pip could not install Pillow; in CI it throws instead. */
export function preprocessReference(): Promise<PreprocessReference | null> {
  return orMissing('packages', async () => {
    const python = await pythonPackages()
    const key = [programsHash('preprocess.py'), python.env['PYTHONPATH'] ?? '']
    const folder = await cachedFolder('preprocess', key, async (partial) => {
      mkdirSync(partial)
      const env = { ...python.env, MPLCONFIGDIR: join(partial, 'matplotlib') }
      await runPython({ ...python, env }, 'preprocess.py', [partial])
    })
    return new PreprocessReference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
  })
}
