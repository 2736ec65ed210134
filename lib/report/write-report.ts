import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { readManifest, type ManifestLine } from '../jobs/manifest.js'
import { readJobFile } from '../jobs/job-spec.js'
import { unwritable } from '../jobs/file-writer.js'
import { GradCamError } from '../base/errors.js'
import { packageRoot } from '../base/paths.js'
import { toIndexRow, toItem, type IndexRow, type Item } from './item.js'
import { thumbnail } from './thumbnail.js'

/** Items that lie in one block of text: what the page reads at once. */
const block = 200

/** Thumbnails made at a time. */
const atOnce = 4

/** Up to so many items there is room for large thumbnails; more items have smaller ones, so that the page opens quickly. */
const sizes: readonly (readonly [items: number, pixels: number])[] = [
  [1000, 320],
  [4000, 224],
  [Infinity, 160],
]

export interface ReportOptions {
  /** The longer side of thumbnails, in pixels; by default it depends on how many there are. */
  readonly thumbnail?: number | undefined
  readonly onProgress?: (done: number, of: number) => void
}

export interface ReportSummary {
  readonly items: number
  /** Items whose image is no longer there: they are shown by their map alone. */
  readonly withoutImage: number
}

/**
 * Writes one HTML page of a job, which needs nothing but itself: every image is in it as a thumbnail, and every map.
 *
 * @param folder that `gradcam batch` wrote to
 * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_IMAGE_WRITE
 */
export async function writeReport(folder: string, file: string, options: ReportOptions = {}): Promise<ReportSummary> {
  const index: IndexRow[] = []
  const lines: ManifestLine[] = []
  for await (const line of readManifest(folder)) {
    index.push(toIndexRow(line))
    lines.push(line)
  }
  if (lines.length === 0)
    throw new GradCamError('ERR_FILE_NOT_FOUND', `'${folder}' holds no results of gradcam batch. Check the path.`)
  const pixels = options.thumbnail ?? sizes.find(([most]) => lines.length <= most)?.[1] ?? 160
  const job = await readJobFile(folder)
  const title = `gradcam report of ${basename(resolve(folder))}`
  const about = job ? `${job.method} of ${job.model.path}${job.layer === null ? '' : ` at ${job.layer}`}` : ''
  const [before, after] = await page(title, { index, block, about })
  const target = resolve(file)
  const partial = `${target}.partial`
  let withoutImage = 0
  try {
    const handle = await open(partial, 'w')
    try {
      await handle.appendFile(before)
      for (let first = 0; first < lines.length; first += block) {
        const items = await makeItems(lines.slice(first, first + block), pixels, dirname(target))
        withoutImage += items.filter((item) => !item.error && item.thumbnail === null).length
        await appendBlock(handle, first / block, items)
        options.onProgress?.(Math.min(lines.length, first + block), lines.length)
      }
      await handle.appendFile(after)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await rename(partial, target)
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    throw error instanceof GradCamError ? error : unwritable(target, error as NodeJS.ErrnoException)
  }
  return { items: lines.length, withoutImage }
}

async function makeItems(lines: readonly ManifestLine[], pixels: number, folder: string): Promise<Item[]> {
  const items: Item[] = []
  for (let first = 0; first < lines.length; first += atOnce) {
    const some = lines.slice(first, first + atOnce).map(async (line) => {
      const image = 'error' in line ? null : await thumbnail(line.input, pixels)
      return toItem(line, image, address(folder, line.input))
    })
    items.push(...(await Promise.all(some)))
  }
  return items
}

/** A path as a page in `folder` links to it. */
function address(folder: string, path: string): string {
  return relative(folder, path).split(sep).map(encodeURIComponent).join('/')
}

async function appendBlock(handle: FileHandle, number: number, items: readonly Item[]): Promise<void> {
  await handle.appendFile(`<script type="application/json" id="items-${number}">${toScript(items)}</script>\n`)
}

/** JSON that no text in it can end the script element of. */
function toScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}

/** The page up to its items and from them on. */
async function page(title: string, job: unknown): Promise<[string, string]> {
  const read = (name: string): Promise<string> => readFile(join(packageRoot, 'assets', 'report', name), 'utf8')
  const scripts = await Promise.all(['heat.js', 'items.js', 'sheet.js', 'main.js'].map(read))
  const parts: Readonly<Record<string, string>> = {
    title: title.replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
    style: await read('page.css'),
    job: toScript(job),
    script: scripts.join('\n'),
  }
  // In the file they stand as what a formatter leaves alone: a comment, or a string.
  const place = /\/\* \{\{(style|script)\}\} \*\/|"\{\{(job)\}\}"|\{\{(title)\}\}/g
  const whole = (await read('page.html')).replace(place, (_, ...names: (string | undefined)[]) => {
    return parts[names.slice(0, 3).find((name) => name !== undefined) ?? ''] ?? ''
  })
  const [before = '', after = ''] = whole.split('<!-- {{items}} -->')
  return [before, after]
}
