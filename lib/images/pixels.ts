/** A decoded image: red, green and blue of each pixel, row by row from the top. */
export interface Pixels {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
}
