import chromium from '@sparticuz/chromium'
import { defaultArgs, launch, type Browser } from 'puppeteer-core'
import { missing } from './needs.js'

/** A headless Chromium from the package registry. Null where there is none for the machine; not in CI. */
export async function launchBrowser(): Promise<Browser | null> {
  try {
    const executablePath = await chromium.executablePath()
    const args = defaultArgs({ args: chromium.args, headless: 'shell' })
    return await launch({
      args,
      executablePath,
      headless: 'shell',
      defaultViewport: { width: 1280, height: 860 },
    })
  } catch (error) {
    if (process.env['CI'] && process.platform === 'linux' && process.arch === 'x64') throw error
    return missing('browser', error as Error)
  }
}
