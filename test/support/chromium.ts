import chromium from '@sparticuz/chromium'
import { defaultArgs, launch, type Browser } from 'puppeteer-core'

/** A headless Chromium from the package registry. Throws where there is none for the machine. */
export async function openChromium(): Promise<Browser> {
  const executablePath = await chromium.executablePath()
  const args = defaultArgs({ args: chromium.args, headless: 'shell' })
  return await launch({ args, executablePath, headless: 'shell', defaultViewport: { width: 1280, height: 860 } })
}
