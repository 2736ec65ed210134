import { readFile } from 'node:fs/promises'
import { GradCamError } from '../base/errors.js'
import type { LoadedWeights } from '../model/open-plan.js'
import { readPreprocess, type Preprocess } from '../preprocess/preprocess.js'
import { isPresetName, presets } from '../preprocess/presets.js'

/** The option by which `explain` and `batch` are told what is done to images. */
export const preprocessOption = {
  preprocess: {
    type: 'string',
    value: 'NAME|JSON',
    help: "how images are prepared: a preset, or JSON (of this package, or timm's configuration), written here or in a file; by default as the weights were published, else imagenet, at the size that an exported program fixes",
  },
} as const

/**
 * What is done to images unless told: as the model's weights were published; else as for ImageNet, at the size that a model
 * fixes with as much around it.
 */
export function usualPreprocess(
  weights: LoadedWeights | null,
  fixedSize: () => readonly [number, number] | null,
): Preprocess {
  if (weights?.preprocess) return readPreprocess(weights.preprocess)
  const size = fixedSize()
  if (!size || size.join() === '224,224') return presets.imagenet
  const [height, width] = size
  const around = (side: number): number => Math.round((side * 256) / 224)
  return readPreprocess({
    ...presets.imagenet,
    resize: { cover: [around(height), around(width)] },
    crop: [height, width],
  })
}

/** What is done to images for a trial at a size: the whole image is resized to it. */
export function preprocessAt(weights: LoadedWeights | null, size: readonly number[]): Preprocess {
  const [height = 1, width = 1] = size.length === 1 ? [1, size[0]] : size.slice(-2)
  return { ...usualPreprocess(weights, () => null), resize: [height, width], crop: null }
}

/** A value of `--preprocess`. */
export async function readPreprocessing(name: string): Promise<Preprocess> {
  if (isPresetName(name)) return readPreprocess(name)
  if (!/[./\\{]/.test(name)) return readPreprocess(name as 'imagenet') // which refuses it with the names of the presets
  const isJson = name.trimStart().startsWith('{')
  const text = isJson ? name : await readJsonFile(name)
  let description: Record<string, unknown>
  try {
    description = JSON.parse(text) as Record<string, unknown>
  } catch (cause) {
    throw new GradCamError('ERR_INVALID_ARGUMENT', `'${name}' is not JSON: ${(cause as Error).message}.`, { cause })
  }
  return readPreprocess(description)
}

async function readJsonFile(name: string): Promise<string> {
  return await readFile(name, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `The preprocessing '${name}' ${missing ? 'does not exist' : `cannot be read (${cause.code})`}. Check --preprocess.`,
      { cause },
    )
  })
}
