import type { FrameOptions, Resample, Size } from '../images/frame-image.js'

export { resamples, type Resample, type Size } from '../images/frame-image.js'

/**
 * How an image is prepared for a model: resize, crop the centre, scale. JSON has the same form, and all but `resize` may be
 * left out; the configuration that timm publishes with a model (`input_size`, `crop_pct`, ...) is read too.
 */
export interface Preprocess extends FrameOptions {
  /**
   * A number is the length of the shorter side, the other in proportion, as `torchvision.transforms.Resize(n)`. A [height,
   * width] is taken whatever the image's proportions. `{ cover }` and `{ fit }` keep them: the smallest image that
   * covers [height, width], or the largest that fits into it. Null leaves the image's own size.
   */
  readonly resize: number | Size | { readonly cover: Size } | { readonly fit: Size } | null
  /** 'bilinear' by default. */
  readonly resample: Resample
  /** [height, width] of the centre to crop to, as `torchvision.transforms.CenterCrop`; null for the whole image. */
  readonly crop: Size | null
  /** The colour around an image that is smaller than the crop: red, green and blue, 0 to 255. Black by default. */
  readonly fill: readonly [number, number, number]
}
