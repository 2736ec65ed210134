import type { ExecutionContext } from 'ava'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'puppeteer-core'

const require = createRequire(import.meta.url)

/** How a page is opened. */
export interface PageOptions {
  readonly width?: number
  readonly height?: number
  readonly dark?: boolean
  /** What follows the address of the server: a path, or # and settings. */
  readonly at?: string
}

/** Opens the explorer; the test fails where the page throws, breaks its policy, or asks another server for anything. */
export async function openExplorer(
  browser: Browser | null,
  t: ExecutionContext,
  address: string,
  { width = 1280, height = 900, dark = false, at = '/' }: PageOptions = {},
): Promise<Page> {
  const page = await (browser as Browser).newPage()
  t.teardown(async () => void (page.isClosed() || (await page.close())))
  page.on('pageerror', (error) => t.fail(`the page threw: ${String(error)}`))
  page.on('console', (message) => {
    if (/Content.Security.Policy|TrustedHTML/i.test(message.text())) t.fail(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith('blob:'))
      t.fail(`the page asks for ${request.url()}`)
  })
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }])
  await page.setViewport({ width, height })
  await page.goto(address + at)
  return page
}

/** Drops files on the page, as a person does from another window. */
export async function drop(page: Page, files: readonly { readonly name: string; readonly bytes: Uint8Array }[]) {
  const given = files.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('base64')] as const)
  await page.evaluate(`(() => {
    const transfer = new DataTransfer()
    for (const [name, text] of ${JSON.stringify(given)}) {
      const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0))
      transfer.items.add(new File([bytes], name, { type: 'image/' + name.split('.').at(-1) }))
    }
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }))
  })()`)
}

/** Waits until the status line says that; it names the image, the class and the score. */
export async function untilStatus(page: Page, pattern: RegExp): Promise<string> {
  await page.waitForFunction(`${String(pattern)}.test(document.getElementById('status').textContent)`, {
    timeout: 60_000,
  })
  return await page.$eval('#status', (one) => one.textContent ?? '')
}

/** Where the middle of a cell of a map is on the screen; the map is over the whole image. */
export async function pointOfCell(
  page: Page,
  method: string,
  { row, column, rows, columns }: Readonly<Record<'row' | 'column' | 'rows' | 'columns', number>>,
): Promise<{ readonly x: number; readonly y: number }> {
  const pad = await page.waitForSelector(`figure[data-method="${method}"] .pad`)
  await pad?.scrollIntoView()
  const box = await pad?.boundingBox()
  const size = await page.$eval(
    `figure[data-method="${method}"] .pad`,
    (one) => (one as unknown as { style: { aspectRatio: string } }).style.aspectRatio,
  )
  const [width = 1, height = 1] = size.split('/').map(Number)
  if (!box) throw new Error(`the map of ${method} is not to be seen`)
  const fit = Math.min(box.width / width, box.height / height)
  return {
    x: box.x + (box.width - width * fit) / 2 + ((column + 0.5) / columns) * width * fit,
    y: box.y + (box.height - height * fit) / 2 + ((row + 0.5) / rows) * height * fit,
  }
}

/** The value that the page shows under the pointer, and the cell in words. */
export async function readout(page: Page, method: string): Promise<readonly [value: number, cell: string]> {
  const at = `figure[data-method="${method}"] .readout`
  // Figures are drawn in the next frame.
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))')
  return [
    Number(await page.$eval(`${at} .value`, (one) => (one as unknown as { value: string }).value)),
    await page.$eval(`${at} .cell`, (one) => one.textContent ?? ''),
  ]
}

/** A violation that axe-core finds. */
interface Violation {
  readonly id: string
  readonly help: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

/** What axe-core finds wrong with the page, by the rules of WCAG 2.2 AA and its best practices; a line each. */
export async function violations(page: Page): Promise<string[]> {
  // Over the debugger, which the policy of the page does not concern.
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'))
  const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as Violation[]
  return found.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
  )
}
