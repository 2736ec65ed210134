import type { Browser } from 'puppeteer-core'
import { openChromium } from './chromium.js'
import { missing } from './needs.js'

/** See {@link openChromium}. Null where there is none for the machine; not in CI. */
export async function launchBrowser(): Promise<Browser | null> {
  try {
    return await openChromium()
  } catch (error) {
    if (process.env['CI'] && process.platform === 'linux' && process.arch === 'x64') throw error
    return missing('browser', error as Error)
  }
}
