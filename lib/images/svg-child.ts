// Renders the SVG on standard input, in a process of its own: see svg.ts. Standard output gets height and width, and then
// red, green and blue of each pixel; standard error what is wrong.
import { buffer } from 'node:stream/consumers'
import { loadSharp } from './sharp.js'
import { headerBytes, tooLarge, type RenderRequest } from './svg.js'
import { toPixels } from './to-pixels.js'

try {
  const { background, maxPixels } = JSON.parse(process.argv[2] ?? '') as RenderRequest
  const sharp = await loadSharp()
  const image = sharp(await buffer(process.stdin), { limitInputPixels: false })
  const { height, width } = await image.metadata()
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(height)
  header.writeUInt32LE(width, 4)
  process.stdout.write(header)
  if (width * height > maxPixels) process.exitCode = tooLarge
  else process.stdout.write((await toPixels(image, background)).data)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
