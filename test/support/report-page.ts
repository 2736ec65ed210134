import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'puppeteer-core'

/** Opens a report from its file; the test fails where the page throws, or asks the network for anything. */
export async function openPage(
  browser: Browser | null,
  t: { fail: (message: string) => void },
  file: string,
): Promise<Page> {
  const page = await (browser as Browser).newPage()
  page.on('pageerror', (error) => t.fail(`the page threw: ${String(error)}`))
  page.on('request', (request) => {
    if (/^https?:/.test(request.url())) t.fail(`the page asks for ${request.url()}`)
  })
  await page.goto(pathToFileURL(file).href)
  await page.waitForSelector('#tiles button')
  return page
}

export const text = (page: Page, selector: string) => page.$eval(selector, (one) => one.textContent ?? '')
/** The names of the tiles that are in the page. */
export const tiles = (page: Page) =>
  page.$$eval('#tiles button', (all) => all.map((one) => one.getAttribute('title') ?? ''))

/** Sets a control as its user does: the page is told of it. */
export const set = (page: Page, selector: string, value: string) =>
  page.$eval(
    selector,
    (control, to) => {
      ;(control as unknown as { value: string }).value = to
      control.dispatchEvent(new Event('input', { bubbles: true }))
    },
    value,
  )
