import { denormalize, loadImage, type Normalization } from '../images/index.js'
import { fitsChannels } from '../images/frame-channels.js'
import { loadNpy } from '../images/load-npy.js'
import { pixelsOfTensor } from '../images/pixels-of-tensor.js'
import { GradCamError } from '../base/errors.js'
import type { ExpectedInput } from '../model/expected-input.js'
import { toInput } from '../batch/prepare.js'
import { Tensor, tidy } from '../tensor/tensor.js'

export interface ReadInputOptions {
  readonly size: readonly [number, number]
  readonly normalization: Normalization | false
  readonly svg: boolean
  readonly expected: ExpectedInput
}

/** An input of a model, and what a map of it is drawn over. */
export interface ReadInput extends Disposable {
  readonly input: Tensor
  /** [1, 3, H, W] in [0, 1]; null for what is not an image. */
  readonly pixels: Tensor | null
}

/** An array of a .npy file as a batch of one. */
export async function readArray(file: string, expected: ExpectedInput): Promise<Tensor> {
  using array = await loadNpy(file)
  return toInput(array, `'${file}'`, expected)
}

/** Reads an image as the model takes it, or an array of a .npy file as it is. */
export async function readInput(file: string, options: ReadInputOptions): Promise<ReadInput> {
  const isArray = /\.npy$/i.test(file)
  const input = isArray ? await readArray(file, options.expected) : await readImage(file, options)
  try {
    return own(
      input,
      input.shape.length === 4 ? pixelsOf(input, isArray ? false : options.normalization, isArray) : null,
    )
  } catch (error) {
    input.dispose()
    throw error
  }
}

const own = (input: Tensor, pixels: Tensor | null): ReadInput => ({
  input,
  pixels,
  [Symbol.dispose]() {
    input.dispose()
    pixels?.dispose()
  },
})

async function readImage(file: string, { size, normalization, svg, expected }: ReadInputOptions): Promise<Tensor> {
  const { dimensions } = expected
  if (dimensions !== null && dimensions !== 2)
    throw new GradCamError(
      'ERR_SHAPE',
      `'${file}' is an image, and the model takes inputs of ${dimensions} spatial ${dimensions === 1 ? 'dimension' : 'dimensions'}.`,
      { remedy: 'Give arrays that numpy.save wrote (.npy).', details: { dimensions } },
    )
  const channels = expected.channels ?? 3
  const normalize = normalization && fitsChannels(normalization, channels) ? eachOf(normalization, channels) : false
  const image = await loadImage(file, { size, normalize, svg, channels })
  if (expected.dtype === null || expected.dtype === 'float32') return image
  using plain = image
  return plain.to({ dtype: expected.dtype })
}

const eachOf = ({ mean, std }: Normalization, channels: number): Normalization => ({
  mean: mean.length === channels ? mean : Array.from({ length: channels }, () => mean[0] as number),
  std: std.length === channels ? std : Array.from({ length: channels }, () => std[0] as number),
})

/** What the model was given, as red, green and blue: grey where it has not three channels. */
function pixelsOf(input: Tensor, normalization: Normalization | false, isArray: boolean): Tensor {
  const [, channels, height, width] = input.shape as [number, number, number, number]
  if (isArray) {
    const { data } = pixelsOfTensor(input)
    return tidy(() =>
      Tensor.from(
        Float32Array.from(data, (byte) => byte / 255),
        [height, width, 3],
      )
        .permute([2, 0, 1])
        .unsqueeze(0)
        .contiguous(),
    )
  }
  return tidy(() => {
    const plain = input.detach().to({ dtype: 'float32' })
    const fits = normalization && fitsChannels(normalization, channels)
    const shown = fits ? denormalize(plain, eachOf(normalization, channels)) : plain
    return (channels === 3 ? shown : shown.mean([1], true).expand([1, 3, height, width])).clone()
  })
}
