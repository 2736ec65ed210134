import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import type { StoredDType } from '../archive/stored-tensor.js'
import { GradCamError } from '../base/errors.js'
import { nearestName } from '../base/nearest.js'
import { packageRoot } from '../base/paths.js'
import type { ModelPlan } from '../exported/plan.js'

export const architecturesFolder = join(packageRoot, 'assets', 'architectures')

/** The file of an architecture's plan. */
export const architectureFile = (name: string): string => join(architecturesFolder, `${name.replace(':', '.')}.json.br`)

/** Weights that were published for an architecture, and what is done to images for them. */
export interface PublishedWeights {
  /** What the name of the file ends in, e.g. 'densenet121-a639ec97.pth', or its folder, e.g. 'resnet50.a1_in1k'. */
  readonly file: string
  /** As the option `preprocess` takes it. */
  readonly preprocess: Readonly<Record<string, unknown>>
}

/** An architecture that comes with this package, without weights. */
export interface Architecture {
  /** One of timm begins with 'timm:'. */
  readonly name: string
  readonly family: string
  /** Elements of its parameters, with the number of classes that it was published with. */
  readonly parameters: number
  readonly classes: number
  /** [height, width] where it takes images of one size alone; null for any. */
  readonly size: readonly [number, number] | null
  /** The ones that timm or torchvision takes by default come first. */
  readonly weights: readonly PublishedWeights[]
  /** How many tensors its weights hold, without counters of batches. */
  readonly tensors: number
  /** How many names its weights hold besides, for tensors that several modules share; none where it is left out. */
  readonly otherNames?: number
}

/** A tensor of an architecture: its place and shape, without values. */
export interface PlannedWeight {
  readonly module: number
  readonly name: string
  readonly isParameter: boolean
  readonly dtype: StoredDType
  readonly sizes: readonly number[]
  /** Its first size is the number of classes. */
  readonly byClass?: boolean
  /** Its names in other modules that share it: a state dict holds it under each. */
  readonly also?: readonly string[]
  /** In base64, for a constant that no file of weights holds. */
  readonly data?: string
}

/** The plan of an architecture: that of a model, with tensors that have no values yet. */
export interface ArchitecturePlan extends Omit<ModelPlan, 'tensors'> {
  readonly tensors: readonly PlannedWeight[]
  /** The beginnings of names that published weights hold besides, such as those of auxiliary classifiers. */
  readonly unused: readonly string[]
}

let known: readonly Architecture[] | undefined

/** The architectures that come with this package, for `ScriptModule.load(name, { weights })`. */
export function architectures(): readonly Architecture[] {
  return (known ??= JSON.parse(readFileSync(join(architecturesFolder, 'index.json'), 'utf8')) as Architecture[])
}

/**
 * A name of timm is found without 'timm:', too, where torchvision has no architecture of that name.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT with the nearest name
 */
export function findArchitecture(name: string): Architecture {
  const all = architectures()
  const found = all.find((each) => each.name === name) ?? all.find((each) => each.name === `timm:${name}`)
  if (found) return found
  const near = nearestName(name, all.map((each) => each.name)) // prettier-ignore
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `The architecture '${name}' does not exist.${near === null ? '' : ` Did you mean '${near}'?`}`,
    { remedy: '`gradcam architectures` lists them all.', details: { name, nearest: near } },
  )
}

export function readArchitecturePlan({ name }: Architecture): ArchitecturePlan {
  const packed = readFileSync(architectureFile(name))
  return JSON.parse(brotliDecompressSync(packed).toString('utf8')) as ArchitecturePlan
}

/** The names of the classes that published weights of ImageNet have. */
export function imagenetLabels(): readonly string[] {
  const file = join(architecturesFolder, 'imagenet-labels.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as string[]) : []
}

/** What is done to images for a file of weights: that of the published ones of its name or folder, else of the first. */
export function preprocessOf({ weights }: Architecture, file: string | null): PublishedWeights['preprocess'] | null {
  const named = (published: PublishedWeights): boolean =>
    file !== null &&
    (file.endsWith(published.file) || file.split(/[/\\]/).some((part) => stemOf(part) === published.file))
  return (weights.find(named) ?? weights[0])?.preprocess ?? null
}

/** Without an ending of weights: tags of timm have dots in them. */
const stemOf = (part: string): string => part.replace(/\.(?:safetensors|pth|pt|bin|ckpt)$/, '')
