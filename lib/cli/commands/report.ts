import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { defaultMaxPixels } from '../../images/index.js'
import { writeReport } from '../../report/write-report.js'
import { single, usageError, wholeNumber } from '../arguments.js'
import type { Command } from '../command.js'
import { statusLine } from '../status-line.js'
import { counted } from '../../base/units.js'

export const command: Command = {
  usage: 'DIR [options]',
  description: [
    'Writes one HTML page of a job of gradcam batch: every image with its map, to be searched, filtered by class, confidence,',
    'score and failure, and sorted. The page is one file that requires no server; it shows the images in full size where they',
    'still have the same path.',
  ].join('\n'),
  options: {
    out: { type: 'string', value: 'FILE', help: 'the page; DIR/report.html by default' },
    thumbnail: {
      type: 'string',
      value: 'N',
      help: 'pixels of the longer side of thumbnails; 320, or fewer where there are many',
    },
    'max-pixels': {
      type: 'string',
      value: 'N',
      help: `images with more pixels are shown without a thumbnail; ${defaultMaxPixels} by default`,
    },
    json: { type: 'boolean', help: 'print the path and the number of items as JSON' },
  },
  positionals: true,
  run: async (values, [folder, ...more]) => {
    if (folder === undefined || more.length > 0)
      throw usageError('report requires one folder. See: gradcam report --help')
    const given = single(values, 'thumbnail')
    const thumbnail = given === undefined ? undefined : Number(given)
    if (thumbnail !== undefined && !(Number.isSafeInteger(thumbnail) && thumbnail >= 16 && thumbnail <= 2048))
      throw usageError(`--thumbnail requires a whole number from 16 to 2048, not "${given}".`)
    const maxPixels = wholeNumber(values, 'max-pixels', 1)
    const file = single(values, 'out') ?? join(folder, 'report.html')
    const line = statusLine(process.stderr)
    const onProgress = (done: number, of: number): void => {
      if (done < of) line.show(`${done.toLocaleString('en')} of ${of.toLocaleString('en')}`)
    }
    const summary = await writeReport(folder, file, { thumbnail, maxPixels, onProgress }).finally(line.clear)
    if (values['json'] === true) process.stdout.write(`${JSON.stringify({ file: resolve(file), ...summary })}\n`)
    else {
      const { withoutImage, unreadable } = summary
      const gone = withoutImage - unreadable
      const missing = gone > 0 ? `, ${counted(gone, 'image')} missing` : ''
      const refused = unreadable > 0 ? `, ${counted(unreadable, 'image')} not readable` : ''
      process.stdout.write(
        `${counted(summary.items, 'item')}${missing}${refused}: ${pathToFileURL(resolve(file)).href}\n`,
      )
    }
    return 0
  },
}
