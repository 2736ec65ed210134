import type { FrameOptions, Resample, Size } from '../images/frame-image.js'

export { resamples, type Resample, type Size } from '../images/frame-image.js'

/**
 * What is done to an image before a model sees it: resize, cut the centre out, scale. In JSON it looks the same, and all
 * but `resize` may be left out; the configuration that timm publishes with a model (`input_size`, `crop_pct`, ...) is read too.
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
  /** [height, width] of the centre to cut out, as `torchvision.transforms.CenterCrop`; null for all of it. */
  readonly crop: Size | null
  /** What stands where a crop is larger than the image: red, green and blue, 0 to 255. Black by default. */
  readonly fill: readonly [number, number, number]
}
