import type { CallOptions } from '../addon/abort.js'
import { defaultDecodeSeconds, defaultMaxPixels, loadNpy } from '../images/index.js'
import { expectedInput } from '../model/expected-input.js'
import type { Model } from '../model/model.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import type { Tensor } from '../tensor/tensor.js'
import { prepare } from './prepare.js'

/** What {@link loadInputFile} has to be told. */
export interface InputFileOptions extends CallOptions {
  readonly model: Model
  /** Which of the model's inputs the file is for, from 0. */
  readonly input: number
  /** What is done to images. */
  readonly preprocess: Preprocess
  /** Whether an image may be an SVG. */
  readonly svg?: boolean
}

/**
 * One of a model's other inputs: an array of a .npy file as it is, or an image prepared as the job's images are, [1, C, H, W].
 *
 * Throws what `loadNpy` and `prepare` throw.
 */
export async function loadInputFile(file: string, options: InputFileOptions): Promise<Tensor> {
  const { model, input: at, preprocess, svg = false, signal } = options
  if (/\.npy$/i.test(file)) return await loadNpy(file, { signal })
  const item = { index: 0, id: file, source: file, tensor: null, target: 0 }
  const limits = { maxPixels: defaultMaxPixels, decodeSeconds: defaultDecodeSeconds, svg, background: undefined }
  const expected = expectedInput(model, at)
  const { input } = await prepare(item, {
    preprocess,
    expected,
    limits,
    sha256: false,
    reserve: async () => {},
    signal,
  })
  return input
}
