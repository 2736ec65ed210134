import { GradCamError } from '../base/errors.js'
import type { ServerPackages } from './packages.js'

/** A form with an image. */
export interface ImageForm {
  readonly image: Uint8Array
  /** Options as JSON; null where there are none. */
  readonly options: string | null
}

/** Parts beyond these are refused: each costs time to read, however small it is. */
const limits = { files: 1, fields: 1, parts: 2, fieldSize: 2 ** 20, fieldNameSize: 100, headerPairs: 20 }

/**
 * Reads a multipart form that is in memory as a whole, so that its size was limited as that of any body: an image as a
 * file, under any name, and options as JSON in the part `options`. The name of the file is not used.
 *
 * Throws ERR_REQUEST.
 */
export function readForm(busboy: ServerPackages['busboy'], contentType: string, body: Buffer): Promise<ImageForm> {
  return new Promise((resolve, reject) => {
    const refuse = (why: string): void =>
      reject(
        new GradCamError('ERR_REQUEST', `The form cannot be read: ${why}.`, {
          remedy: "Send multipart/form-data with one file, and at most one part 'options' with JSON.",
        }),
      )
    const chunks: Buffer[] = []
    let files = 0
    let options: string | null = null
    try {
      const form = busboy({ headers: { 'content-type': contentType }, limits: { ...limits, fileSize: body.length } })
      form.on('file', (_name, stream) => {
        files++
        stream.on('data', (chunk: Buffer) => void chunks.push(chunk))
        stream.on('error', (error: Error) => refuse(error.message))
      })
      form.on('field', (name, value, _nameCut, valueCut) => {
        if (name !== 'options') refuse(`it has an unknown part '${name.slice(0, 100)}'`)
        else if (valueCut) refuse('its options are too long')
        else options = value
      })
      for (const limit of ['filesLimit', 'fieldsLimit', 'partsLimit'] as const)
        form.on(limit, () => refuse('it has more parts than an image and options'))
      form.on('error', (error: unknown) => refuse((error as Error).message))
      form.on('finish', () => {
        if (files === 0) refuse('it has no image')
        else resolve({ image: Buffer.concat(chunks), options })
      })
      form.end(body)
    } catch (error) {
      refuse((error as Error).message)
    }
  })
}
