/** A decoded image: red, green and blue of each pixel, row by row from the top. */
export interface Pixels {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
  /** All pages of a TIFF, where there are several and they were asked for; the first is this image. */
  readonly pages?: readonly Pixels[]
}
