import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { pythonPackagesOrNull } from './numpy.js'
import { programsHash, runPython, testPython } from './python.js'
import { Reference } from './reference.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

/** A net that is exported, with what is explained of it. */
export interface ExportedCase {
  readonly net: string
  readonly layers: readonly string[]
  readonly target: number[] | 'sum'
  readonly output?: number | string
  readonly size?: readonly number[]
  readonly seed?: number
  readonly guided?: true
  readonly score_cam?: true
}

export const exportedCases: readonly ExportedCase[] = [
  {
    net: 'densenet121_double',
    layers: ['features.denseblock4', 'features.denseblock2.denselayer3.conv2'],
    target: [283, 243],
    size: [2, 3, 64, 64],
    seed: 2,
    guided: true,
  },
  { net: 'resnet18_double', layers: ['layer4', 'layer2.0.conv1'], target: [1, 3], size: [2, 3, 64, 64], guided: true },
  { net: 'vgg11_double', layers: ['features.11', 'features.8'], target: [2, 5], size: [2, 3, 64, 64], guided: true },
  { net: 'vit', layers: ['patch_embed'], target: [0, 1, 2] },
  { net: 'plain_double', layers: ['features', 'features.4'], target: [1, 2], guided: true },
  { net: 'plain', layers: ['features', 'features.0'], target: [0, 1], guided: true, score_cam: true },
  { net: 'every_kind_of_relu', layers: ['c', 'e'], target: [0, 1], seed: 3, guided: true },
  { net: 'functional_relu_only', layers: ['a', 'b'], target: [0, 1], guided: true },
  { net: 'siblings', layers: ['second', 'third'], target: [0, 1], guided: true },
  { net: 'dense', layers: ['layer3', 'layer1'], target: [0, 1], guided: true },
  { net: 'residual', layers: ['blocks.1', 'blocks.0.conv2'], target: [0, 1], guided: true },
  { net: 'segmentation', layers: ['features'], target: 'sum' },
  { net: 'dict_output', layers: ['features'], target: [0, 1], output: 'out' },
  { net: 'tuple_output', layers: ['features'], target: [0, 1], output: 0 },
  { net: 'relu6', layers: ['features'], target: [0, 1], guided: true },
]

interface Special {
  readonly programs: Record<
    string,
    { readonly file: string; readonly input: StoredTensor; readonly output: StoredTensor }
  >
  readonly refused: Record<string, string>
}

/** The exported programs, and what eager PyTorch says of them. */
export class ExportedPrograms {
  readonly reference: Reference
  readonly #special: Special
  readonly #models: Record<string, { files: Record<string, string>; modules: string[] }>

  constructor(private readonly folder: string) {
    const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
    this.reference = new Reference(folder, index)
    this.#models = index.models
    this.#special = JSON.parse(readFileSync(join(folder, 'special', 'index.json'), 'utf8')) as Special
  }

  file(net: string, kind: 'static' | 'dynamic' | 'traced'): string {
    return join(this.folder, this.#models[net]!.files[kind]!)
  }

  modules(net: string): string[] {
    return this.#models[net]!.modules
  }

  /** A program of one trait, with an input and what it returns for it. */
  program(name: string): { file: string; input: Values; output: Values } {
    const { file, input, output } = this.#special.programs[name]!
    const read = (stored: StoredTensor) => readTensor(join(this.folder, 'special'), stored)
    return { file: join(this.folder, file), input: read(input), output: read(output) }
  }

  refused(name: string): string {
    return join(this.folder, 'special', this.#special.refused[name]!)
  }
}

/** Has Python export them, once for all test processes; null where pip gives no numpy, which derives Score-CAM. */
export async function exportedPrograms(): Promise<ExportedPrograms | null> {
  const withNumpy = await pythonPackagesOrNull()
  if (!withNumpy) return null
  const python = await testPython()
  const models = Object.fromEntries(exportedCases.map(({ net, ...job }) => [net, job]))
  const job = JSON.stringify({ models })
  const key = [job, programsHash('exported.py'), python.identity]
  const folder = await cachedFolder('exported', key, async (partial) => {
    mkdirSync(partial)
    mkdirSync(join(partial, 'special'))
    const file = join(partial, 'job.json')
    writeFileSync(file, job)
    await runPython({ ...python, env: withNumpy }, 'exported.py', [file, partial])
  })
  return new ExportedPrograms(folder)
}
