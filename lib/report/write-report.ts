import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { settled } from '../base/callback.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { packageRoot } from '../base/paths.js'
import { unwritable } from '../jobs/file-writer.js'
import { readJobSpec } from '../jobs/folder-store.js'
import type { JobLine } from '../jobs/job-line.js'
import { readManifest } from '../jobs/manifest.js'
import { bundleModules } from './bundle-modules.js'
import { toIndexRow, toItem, type IndexRow, type Item } from './item.js'
import { thumbnail } from './thumbnail.js'

/** Items in one block of text, which the page parses at once. */
const block = 200

/** Thumbnails made at a time. */
const atOnce = 4

/** The size of thumbnails by the number of items: a page with many opens quickly only with small ones. */
const sizes: readonly (readonly [items: number, pixels: number])[] = [
  [1000, 320],
  [4000, 224],
  [Infinity, 160],
]

/** Options of {@link writeReport}. */
export interface ReportOptions {
  /** The longer side of thumbnails, in pixels; by default 320, or less where there are many. */
  readonly thumbnail?: number | undefined
  /** Called with the number of items written, and of all items. */
  readonly onProgress?: (done: number, of: number) => void
}

/** What {@link writeReport} wrote. */
export interface ReportSummary {
  /** How many items the page shows. */
  readonly items: number
  /** How many of them have no image any more: the page shows only their map. */
  readonly withoutImage: number
}

/**
 * Writes one HTML page of a job. The page is a single file that opens without a server: it contains every map, and every
 * image as a thumbnail.
 *
 * @param folder of the results: see {@link FolderStore}
 * @param file the path of the page; a page that exists is replaced
 * @throws GradCamError ERR_FILE_NOT_FOUND for a folder without results, ERR_FILE_UNREADABLE, ERR_JOB_VERSION,
 *   ERR_IMAGE_WRITE
 */
export async function writeReport(folder: string, file: string, options: ReportOptions = {}): Promise<ReportSummary> {
  const { thumbnail: size, onProgress } = expect.options(options)
  expect.path('folder', folder)
  expect.path('file', file)
  if (size !== undefined) expect.integer('thumbnail', size, { min: 1, max: 65_535 })
  if (onProgress !== undefined) expect.function('onProgress', onProgress)
  const index: IndexRow[] = []
  const lines: JobLine[] = []
  for await (const line of readManifest(folder)) {
    index.push(toIndexRow(line))
    lines.push(line)
  }
  if (lines.length === 0)
    throw new GradCamError('ERR_FILE_NOT_FOUND', `'${folder}' holds no results of a job. Check its path.`)
  const pixels = options.thumbnail ?? sizes.find(([most]) => lines.length <= most)?.[1] ?? 160
  const job = await readJobSpec(folder)
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
        await settled(onProgress?.(Math.min(lines.length, first + block), lines.length))
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

async function makeItems(lines: readonly JobLine[], pixels: number, folder: string): Promise<Item[]> {
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

/** JSON in which no text can end the script element. */
function toScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}

/** The parts of the page before and after its items. */
async function page(title: string, job: unknown): Promise<[string, string]> {
  const read = (name: string): Promise<string> => readFile(join(packageRoot, 'assets', 'report', name), 'utf8')
  const parts: Readonly<Record<string, string>> = {
    title: title.replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
    style: await read('page.css'),
    job: toScript(job),
    script: await bundleModules('main.js', read),
  }
  // In the file they are comments or strings, which a formatter leaves alone.
  const parameter = /\/\* \{\{(style|script)\}\} \*\/|"\{\{(job)\}\}"|\{\{(title)\}\}/g
  const whole = (await read('page.html')).replace(parameter, (_, ...names: (string | undefined)[]) => {
    return parts[names.slice(0, 3).find((name) => name !== undefined) ?? ''] ?? ''
  })
  const [before = '', after = ''] = whole.split('<!-- {{items}} -->')
  return [before, after]
}
