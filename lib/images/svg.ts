import { GradCamError } from '../base/errors.js'
import { runNodeChild } from '../base/node-child.js'
import { program } from '../base/paths.js'
import { refuseLarge, tookTooLong } from './image-limits.js'
import type { Pixels } from './pixels.js'

/** The largest SVG that is rendered, in bytes and in pixels. */
export const largestSvg = { bytes: 4 * 2 ** 20, pixels: 25_000_000 } as const

/** What the process that renders an SVG answers with before the pixels: height and width, as 32-bit numbers. */
export const headerBytes = 8

/** Its exit code where the image has more pixels than allowed. There are no pixels then. */
export const tooLarge = 3

/** Whether sharp would take these bytes for an SVG: text with <svg near its start, or something compressed by gzip. */
export function isSvg(bytes: Uint8Array): boolean {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return true
  const isBinary = bytes.subarray(0, 24).some((byte) => byte < 9 || (byte > 13 && byte < 32))
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1000)).toString('latin1')
  return !isBinary && /<svg/i.test(head) && !/^(?:\xff\xd8|\x89PNG|GIF8|RIFF)/.test(head)
}

/** Refuses an SVG that is too large or refers to something outside itself. Throws ERR_IMAGE_SVG. */
export function checkSvg(bytes: Uint8Array, name: string): void {
  const refuse = (problem: string, remedy: string): never => {
    throw new GradCamError('ERR_IMAGE_SVG', `${name} is an SVG ${problem}.`, { remedy })
  }
  if (bytes[0] === 0x1f) refuse('that is compressed, whose size cannot be bounded', 'Decompress it first.')
  if (bytes.byteLength > largestSvg.bytes)
    refuse(
      `of ${bytes.byteLength} bytes, and more than ${largestSvg.bytes} are refused`,
      'Render it to PNG with a program of your choice.',
    )
  const reference = outsideReference(Buffer.from(bytes).toString('utf8'))
  if (reference !== null)
    refuse(
      `that refers to something outside itself (${JSON.stringify(reference.slice(0, 60))})`,
      'Embed what it refers to, or render it to PNG.',
    )
}

/** Declarations that can bring in other files, and addresses that are neither in the document nor embedded images. */
const outside =
  /<!ENTITY|<\?xml-stylesheet|@import|\b(?:href|src)\s*=\s*(?:"(?!#|data:image\/)[^"]*|'(?!#|data:image\/)[^']*|[^"'\s])|\burl\(\s*["']?(?!#|data:image\/|["'\s])[^)]*/i

function outsideReference(text: string): string | null {
  return outside.exec(text)?.[0] ?? null
}

export interface RenderLimits {
  readonly maxPixels: number
  readonly decodeSeconds: number
  readonly background: number | undefined
  readonly signal: AbortSignal | undefined
}

/** What the process that renders is asked for, as its argument in JSON. */
export type RenderRequest = Pick<RenderLimits, 'background'> & { readonly maxPixels: number }

/**
 * Renders an SVG in a process of its own, which can be ended at any time: a filter of a few characters takes minutes, and a
 * thread that computes it cannot be stopped.
 *
 * Throws ERR_IMAGE_TIMEOUT, ERR_IMAGE_TOO_LARGE, the signal's reason, or an error with what the renderer says.
 */
export async function renderSvg(bytes: Uint8Array, name: string, limits: RenderLimits): Promise<Pixels> {
  const { decodeSeconds, background, signal } = limits
  const request: RenderRequest = { background, maxPixels: Math.min(limits.maxPixels, largestSvg.pixels) }
  const child = await runNodeChild(program('images/svg-child.js'), request, bytes, {
    seconds: decodeSeconds,
    output: headerBytes + 3 * request.maxPixels + 65_536,
    signal,
  })
  if (child.late) throw tookTooLong(name, decodeSeconds)
  if (child.code !== 0 && child.code !== tooLarge)
    throw new Error(child.stderr.trim().split('\n')[0] || `the renderer ended with ${child.signal ?? child.code}`)
  const [height, width] = [child.stdout.readUInt32LE(0), child.stdout.readUInt32LE(4)]
  refuseLarge(name, { height, width }, request.maxPixels)
  return { data: child.stdout.subarray(headerBytes), height, width }
}
