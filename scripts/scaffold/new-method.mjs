// Begins a method that makes maps of target layers: writes its files and rows, as a copy of HiResCAM under another name,
// which passes every test. What is then left is the method itself: its formula in C++ and, in other words, in NumPy, and
// what the docs say of it. CONTRIBUTING.md, "Add a method", has the same list of files.
//
//   npm run new-method -- NAME [TITLE]        e.g. smooth-cam 'Smooth-CAM'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { keysOf } from '../support/access.mjs'

/** The files that hold a method, by what they hold. `{file}` is the method's own. */
export const files = {
  formula: 'native/core/methods/{file}.cc',
  declaration: 'native/core/methods/method.h',
  row: 'native/core/methods/method.cc',
  facts: 'lib/cam/cam-methods.ts',
  prose: 'scripts/docs/methods/prose/layers.mjs',
  check: 'test/python/formulas.py',
}

/** 'Smooth Grad-CAM++' is smooth_grad_cam_plus_plus, in C++ and Python. */
export const identifierOf = (/** @type {string} */ title) =>
  title
    .toLowerCase()
    .replaceAll('+', ' plus')
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '')

/**
 * Puts a text before the last match of a mark, of which there has to be one.
 *
 * @param {string} text
 * @param {RegExp} mark
 * @param {string} added
 */
function insertBefore(text, mark, added) {
  const at = Array.from(text.matchAll(new RegExp(mark, 'gm'))).at(-1)?.index
  if (at === undefined) throw new Error(`${mark}, to insert before, was not found`)
  return text.slice(0, at) + added + text.slice(at)
}

/**
 * Writes the files of a new method into the tree below `root`.
 *
 * @param {string} root
 * @param {string} name as users write it
 * @param {string} [title] as headings have it
 * @returns {string[]} the files, from the root
 */
export function scaffold(root, name, title = name) {
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\+{0,2}$/.test(name))
    throw new Error(`'${name}' is not a name: use lower case letters, digits and single hyphens, e.g. smooth-cam.`)
  const id = identifierOf(title)
  if (!/^[a-z]/.test(id) || title.includes("'")) throw new Error(`'${title}' is not a title, e.g. 'Smooth-CAM'.`)
  const at = (/** @type {keyof typeof files} */ key) => files[key].replace('{file}', id)
  const read = (/** @type {keyof typeof files} */ key) => readFileSync(join(root, at(key)), 'utf8')
  if (existsSync(join(root, at('formula')))) throw new Error(`${at('formula')} exists.`)
  if (read('row').includes(`{"${name}"`)) throw new Error(`There is a method '${name}'.`)
  const key = /^[a-z0-9]+$/.test(name) ? name : `'${name}'`

  /** @type {Record<keyof typeof files, string>} */
  const texts = {
    formula: `#include "method.h"

namespace gradcam {

// ${title}: map = max(sum_k G_k A_k, 0).
// Authors and year, title, arXiv number or DOI, and the number of the equation.
Tensor ${id}(const LayerEvidence& e) { return e.gradient * e.activation; }

}  // namespace gradcam
`,
    declaration: insertBefore(
      read('declaration'),
      /^\n\/\/ \[N, C\] with a dimension of one/,
      `Tensor ${id}(const LayerEvidence& evidence);\n`,
    ),
    row: insertBefore(
      read('row'),
      /^\};\n\n\} {2}\/\/ namespace$/,
      `    {"${name}", Needs::gradient, ${id}, nullptr},\n`,
    ),
    facts: insertBefore(
      read('facts'),
      /^\}\)\n\n\/\*\* A method that makes maps/,
      `  ${key}: {
    title: '${title}',
    target: true,
    formula: 'sum_k G_k A_k',
    paper: null,
    peers: {},
  },
`,
    ),
    prose: insertBefore(
      read('prose'),
      /^\}\n$/,
      `  ${key}: {
    idea: \`How it works.\`,
    use: ['When to take it.'],
    avoid: ['When not to.'],
    others: ['What pytorch-grad-cam and Captum do differently.'],
  },
`,
    ),
    check: insertBefore(
      insertBefore(
        read('check'),
        /^METHODS = \{$/,
        `def ${id}(a, g):\n    return sum(ak * gk for ak, gk in zip(a, g))\n\n\n`,
      ),
      /^ {4}"smooth": /,
      `    "${name}": ${id},\n`,
    ),
  }
  const keys = keysOf(files)
  for (const one of keys) writeFileSync(join(root, at(one)), texts[one])
  return keys.map(at)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, title] = process.argv.slice(2)
  if (!name) {
    console.error("Usage: npm run new-method -- NAME [TITLE], e.g. smooth-cam 'Smooth-CAM'")
    process.exit(2)
  }
  try {
    const written = scaffold(dirname(dirname(import.meta.dirname)), name, title)
    console.log(`${name} is a copy of HiResCAM now. Write the method into these files:\n`)
    for (const file of written) console.log(`  ${file}`)
    console.log('\nThen: npm run docs, which writes its page and draws its image, and npm test.')
  } catch (error) {
    console.error(`new-method: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
