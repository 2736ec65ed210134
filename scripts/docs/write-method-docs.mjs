// Writes docs/methods from the package's tables and the prose beside this file, so that facts cannot differ:
//
//   node scripts/docs/write-method-docs.mjs [--images]
//
// A method needs an entry in its table in lib, and one in scripts/docs/methods/prose. An image that is
// missing is drawn; with --images all are drawn again.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as prettier from 'prettier'
import { methods } from 'libtorch-gradcam'
import { captionOf, drawImages } from './methods/draw.mjs'
import { indexPage } from './methods/index-page.mjs'
import { methodPage, wrapperPage } from './methods/page.mjs'
import { input } from './methods/prose/input.mjs'
import { layers } from './methods/prose/layers.mjs'
import { slugOf } from './methods/text.mjs'
import { wrappers } from './methods/wrappers.mjs'
import { hasKey, keysOf } from '../support/access.mjs'

export const folder = join(fileURLToPath(new URL('../..', import.meta.url)), 'docs', 'methods')

/** What is said of a method besides the facts. */
const proseOf = (/** @type {string} */ name) =>
  hasKey(layers, name) ? layers[name] : hasKey(input, name) ? input[name] : null

/** All pages by their file names, as Prettier leaves them. */
export async function pages() {
  /** @type {Record<string, string>} */
  const texts = { 'README.md': indexPage() }
  for (const name of keysOf(methods)) {
    const prose = proseOf(name)
    if (!prose) throw new Error(`scripts/docs/methods/prose says nothing of ${name}.`)
    texts[`${slugOf(name)}.md`] = methodPage(name, methods[name], prose, captionOf(name))
  }
  for (const [name, wrapper] of Object.entries(wrappers))
    texts[`${slugOf(name)}.md`] = wrapperPage(name, wrapper, captionOf(name))
  const config = await prettier.resolveConfig(join(folder, 'README.md'))
  const formatted = Object.entries(texts).map(async ([file, text]) => [
    file,
    await prettier.format(text, { ...config, parser: 'markdown' }),
  ])
  return Object.fromEntries(await Promise.all(formatted))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await drawImages(join(folder, 'images'), { again: process.argv.includes('--images') })
  for (const [file, text] of Object.entries(await pages())) writeFileSync(join(folder, file), text)
}
