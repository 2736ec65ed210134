import { toMapLevels, type MapLevels } from '../batch/levels.js'
import type { BatchExplanation } from '../batch/result.js'
import { GradCamError } from '../base/errors.js'
import { inOneLine } from '../base/one-line.js'
import type { MapCondition } from '../explain/condition.js'
import type { PrecisionDType } from '../explain/precision-choice.js'
import type { ModelNote } from '../model/model-notes.js'
import type { MapValues } from '../images/draw-map.js'
import { tidy } from '../tensor/tidy.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Region } from '../preprocess/framing.js'
import type { JobSpec } from './job-spec.js'

/** What became of one input of a job: a line of manifest.jsonl. */
export type JobLine = JobResultLine | JobErrorLine

interface JobInputLine {
  /** The name of the input in the job: for files the path below the folder that all inputs lie in. */
  readonly id: string
  /** Where the input comes from: for files the absolute path. */
  readonly input: string
  /** SHA-256 of the input's bytes in hexadecimal digits; null where they could not be read. */
  readonly sha256: string | null
  /** What LibTorch and the model warned of when the batch of the input was explained; left out where of nothing. */
  readonly warnings?: readonly string[]
  /**
   * What explained it, where a worker recorded that these are not the versions that its job was enqueued with: those of this package
   * and of LibTorch.
   */
  readonly versions?: { readonly package: string; readonly libtorch: string | null }
}

/** What a file held. */
export interface FileDigest {
  /** Its size. */
  readonly bytes: number
  /** SHA-256 of its bytes in hexadecimal digits. */
  readonly sha256: string
}

/** A file as a sink wrote it. */
export interface WrittenFile extends FileDigest {
  /** For a folder its path relative to it. */
  readonly name: string
}

/** What a sink says of the files of one result, by kind: their names, or also what they hold. */
export type SinkFiles = Readonly<Record<string, string | WrittenFile>>

/** The file of an input, when it was explained. */
export interface InputFile {
  /** Its size. */
  readonly bytes: number
  /** When it was last changed, in milliseconds since 1970. */
  readonly modified: number
}

/** An input that was explained. */
export interface JobResultLine extends JobInputLine {
  /** The class that was explained; -1 where the target is not a class, or the method needs none. */
  readonly target: number
  /** Its label; null without labels. */
  readonly label: string | null
  /** Its score: the model's output for it. */
  readonly score: number
  /** The path to the part of the output that was taken where none was named; left out where the output is one tensor. */
  readonly of?: readonly (string | number)[]
  /** The five highest classes, the highest first, with the softmax over all classes. */
  readonly top: readonly { class: number; label: string | null; score: number; probability: number }[]
  /** Whether the map says something, and if not, why. Lines of earlier versions have none. */
  readonly condition?: MapCondition
  /** What makes results of the model depend on more than the image; left out where nothing does. */
  readonly notes?: readonly ModelNote[]
  readonly method: string
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  /** How often the pass called the layer, see `CamOptions.call`; left out where that is once. */
  readonly calls?: number
  /** The type that precision 'auto' chose; left out where the job does not choose, or there was nothing to choose. */
  readonly precision?: PrecisionDType
  /** [height, width] of the image in pixels. */
  readonly size: readonly number[]
  /** The part of the image that the model saw. */
  readonly region: Region
  /** The map, made small enough for a line. */
  readonly map: MapLevels
  /** The files of the result by kind, as the sink named them: for a folder relative to it. */
  readonly files: Readonly<Record<string, string>>
  /** What these files hold, by kind; absent where the sink does not say, and in jobs of version 0.1.0. */
  readonly digests?: Readonly<Record<string, FileDigest>>
  /** Absent where the input is not a file, and in jobs of version 0.1.0. */
  readonly inputFile?: InputFile
  /** From when the input was taken until it was explained. */
  readonly milliseconds: number
}

/** An input that failed. */
export interface JobErrorLine extends JobInputLine {
  readonly error: {
    /** The code of a GradCamError; null for any other error. */
    readonly code: string | null
    /** In one line. */
    readonly message: string
  }
}

/** The line of an input that was explained. Its `extra` is its files. */
export function toResultLine(
  result: BatchExplanation<SinkFiles>,
  { input, inputFile }: Pick<JobResultLine, 'input' | 'inputFile'>,
  spec: JobSpec,
  layer: string | null,
): JobResultLine {
  const { id, sha256, target, score, size, region, milliseconds, map } = result
  const label = (index: number): string | null => spec.labels?.[index] || null
  return {
    id,
    input,
    sha256,
    target,
    label: label(target),
    score,
    ...(result.of && { of: result.of }),
    top: result.top.map((one) => ({ ...one, label: label(one.class) })),
    condition: result.condition,
    ...(result.notes.length > 0 && { notes: result.notes }),
    method: spec.method,
    layer,
    ...((result.calls ?? 1) > 1 && { calls: result.calls as number }),
    ...(result.precision?.dtype && { precision: result.precision.dtype }),
    size,
    region,
    map: toMapLevels(asImage(map)),
    ...filesOf(result.extra),
    ...(inputFile && { inputFile }),
    milliseconds: Math.round(milliseconds),
    ...(result.warnings.length > 0 && { warnings: result.warnings }),
  }
}

/** A map as one of an image: that of a volume is the mean over its depth, that of a signal one row. */
function asImage(map: Tensor): MapValues {
  const [height, width] = map.shape.length < 4 ? [1, map.shape.at(-1) ?? 1] : (map.shape.slice(-2) as [number, number])
  using flat = tidy(() => map.reshape([-1, height, width]).mean([0]))
  return { data: flat.toTypedArray() as Float32Array, height, width }
}

function filesOf(written: SinkFiles): Pick<JobResultLine, 'files' | 'digests'> {
  const files: Record<string, string> = {}
  const digests: Record<string, FileDigest> = {}
  for (const [kind, file] of Object.entries(written)) {
    files[kind] = typeof file === 'string' ? file : file.name
    if (typeof file !== 'string') digests[kind] = { bytes: file.bytes, sha256: file.sha256 }
  }
  return { files, ...(Object.keys(digests).length > 0 && { digests }) }
}

/** The line of an input that failed. */
export function toErrorLine(
  { id, input }: Pick<JobLine, 'id' | 'input'>,
  error: unknown,
  sha256: string | null,
): JobErrorLine {
  const { code = null, warnings = [] } = error instanceof GradCamError ? error : {}
  return {
    id,
    input,
    sha256,
    error: { code, message: inOneLine(error) },
    ...(warnings.length > 0 && { warnings }),
  }
}
