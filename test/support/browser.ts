import chromium from '@sparticuz/chromium'
import { defaultArgs, launch, type Browser } from 'puppeteer-core'

/** A headless Chromium from the package registry. Null, said on stderr, where there is none for the machine; not in CI. */
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
    process.stderr.write(
      `Tests of the report are skipped, since Chromium does not start: ${(error as Error).message}\n`,
    )
    return null
  }
}
