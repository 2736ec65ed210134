import { createHash } from 'node:crypto'
import { readFile, type FileHandle } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { settled } from '../base/callback.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { packageRoot } from '../base/paths.js'
import { writeWhole } from '../base/write-file.js'
import { defaultMaxPixels } from '../images/index.js'
import { unwritable } from '../jobs/file-writer.js'
import { readFolderSpec } from '../jobs/folder-store.js'
import type { JobLine } from '../jobs/job-line.js'
import { readFolderManifest } from '../jobs/manifest.js'
import { bundleModules } from './bundle-modules.js'
import { toIndexRow, toItem, type IndexRow, type Item } from './item.js'
import { thumbnail, type Thumbnail } from './thumbnail.js'

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
  /** Images with more pixels than this get no thumbnail, as `loadImage` refuses them. */
  readonly maxPixels?: number | undefined
  /** Called with the number of items written, and of all items. */
  readonly onProgress?: (done: number, of: number) => void
}

/** What {@link writeReport} wrote. */
export interface ReportSummary {
  /** How many items the page shows. */
  readonly items: number
  /** How many results are shown by their map alone: their image does not exist any more, or cannot be read. */
  readonly withoutImage: number
  /** How many of these images exist. Their items say why they cannot be read. */
  readonly unreadable: number
}

/**
 * Writes one HTML page of a job. The page is a single file that opens without a server: it contains every map, and every
 * image as a thumbnail. Its Content-Security-Policy lets it run its own script and show images, and nothing else.
 *
 * The manifest names the images. Where it comes from somebody else it may name any image that this process can read, and the
 * page then contains a copy of it.
 *
 * @param folder of the results: see {@link FolderStore}
 * @param file the path of the page; a page that exists is replaced
 * @throws GradCamError ERR_FILE_NOT_FOUND for a folder without results, ERR_FILE_UNREADABLE, ERR_JOB_VERSION,
 *   ERR_IMAGE_WRITE
 */
export async function writeReport(folder: string, file: string, options: ReportOptions = {}): Promise<ReportSummary> {
  const { thumbnail: size, maxPixels = defaultMaxPixels, onProgress } = expect.options(options)
  expect.path('folder', folder)
  expect.path('file', file)
  if (size !== undefined) expect.integer('thumbnail', size, { min: 1, max: 65_535 })
  expect.count('maxPixels', maxPixels)
  if (onProgress !== undefined) expect.function('onProgress', onProgress)
  const index: IndexRow[] = []
  const lines: JobLine[] = []
  for await (const line of readFolderManifest(folder)) {
    index.push(toIndexRow(line))
    lines.push(line)
  }
  if (lines.length === 0)
    throw new GradCamError('ERR_FILE_NOT_FOUND', `'${folder}' holds no results of a job. Check its path.`)
  const pixels = options.thumbnail ?? sizes.find(([most]) => lines.length <= most)?.[1] ?? 160
  const job = await readFolderSpec(folder)
  const title = `gradcam report of ${basename(resolve(folder))}`
  const about = job ? `${job.method} of ${job.model.path}${job.layer === null ? '' : ` at ${job.layer}`}` : ''
  const [before, after] = await page(title, { index, block, about })
  const target = resolve(file)
  const missing = { gone: 0, unreadable: 0 }
  const makeItem = async (line: JobLine): Promise<Item> => {
    const small: Thumbnail | null = 'error' in line ? null : await thumbnail(line.input, pixels, maxPixels)
    if (small && 'missing' in small) missing[small.missing]++
    return toItem(line, small, address(dirname(target), line.input))
  }
  const write = async (handle: FileHandle): Promise<void> => {
    await handle.appendFile(before)
    for (let first = 0; first < lines.length; first += block) {
      await appendBlock(handle, first / block, await eachOf(lines.slice(first, first + block), makeItem))
      await settled(onProgress?.(Math.min(lines.length, first + block), lines.length))
    }
    await handle.appendFile(after)
  }
  await writeWhole(target, write).catch((error: NodeJS.ErrnoException) => {
    // What a callback threw is its caller's own.
    throw error.syscall === undefined ? error : unwritable(target, error)
  })
  const { gone, unreadable } = missing
  return { items: lines.length, withoutImage: gone + unreadable, unreadable }
}

/** The results of `make`, which works on a few at a time. */
async function eachOf<T, Made>(all: readonly T[], make: (one: T) => Promise<Made>): Promise<Made[]> {
  const made: Made[] = []
  for (let first = 0; first < all.length; first += atOnce)
    made.push(...(await Promise.all(all.slice(first, first + atOnce).map(make))))
  return made
}

/** A path as a page in `folder` links to it. The names of other inputs, such as keys of objects, lead nowhere. */
function address(folder: string, path: string): string | null {
  if (!isAbsolute(path)) return null
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
    style: `${await read('theme.css')}\n${await read('page.css')}`,
    job: toScript(job),
    script: await bundleModules('main.js', read),
  }
  // In the file they are comments or strings, which a formatter leaves alone.
  const parameter = /\/\* \{\{(style|script)\}\} \*\/|"\{\{(job)\}\}"|\{\{(title)\}\}/g
  const whole = (await read('page.html')).replace(parameter, (_, ...names: (string | undefined)[]) => {
    return parts[names.slice(0, 3).find((name) => name !== undefined) ?? ''] ?? ''
  })
  const [before = '', after = ''] = whole.split('<!-- {{items}} -->')
  return [before.replace('{{policy}}', () => policyOf(whole)), after]
}

/**
 * What a page may do: show images of files and data, and run its own script and styles, known by their digests. Were a text
 * of the manifest ever taken for markup, it could neither run nor load anything.
 */
function policyOf(html: string): string {
  const digestOf = (element: RegExp): string => {
    // A browser takes a digest of the text after it has made one character of the ends of lines.
    const text = (element.exec(html)?.[1] ?? '').replaceAll('\r\n', '\n')
    return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  }
  const script = digestOf(/<script type="module">(.*?)<\/script>/s)
  const style = digestOf(/<style>(.*?)<\/style>/s)
  const images = "'self' data: file:"
  return `default-src 'none'; img-src ${images}; script-src ${script}; style-src ${style}; base-uri 'none'; form-action 'none'`
}
