// The models and inputs that all contestants share, made once.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines, run } from '#internal'
import { cachedFolder } from '#test-support/cached-folder.js'

/**
 * What a folder of models depends on: `program` of this folder, and the definitions.
 *
 * @param {string} program
 */
export function modelSources(program) {
  const own = ['nets.py', program].map((name) => join(import.meta.dirname, name))
  const folder = join(import.meta.dirname, '..', 'models')
  const shared = readdirSync(folder).filter((name) => name.endsWith('.py'))
  return [...own, ...shared.map((name) => join(folder, name))].map((file) => readFileSync(file, 'utf8'))
}

/**
 * The folder that prepare.py wrote.
 *
 * @param {import('./types.d.mts').Tools['python']} python
 * @param {string[]} models
 * @param {number} size
 * @param {number} images
 */
export function modelFiles(python, models, size, images) {
  const key = [...modelSources('prepare.py'), python.identity, ...models, String(size), String(images)]
  return cachedFolder('bench-models', key, async (partial) => {
    const args = [join(import.meta.dirname, 'prepare.py'), partial, ...models, '--size', size, '--images', images]
    const env = { ...python.env, PYTHONDONTWRITEBYTECODE: '1' }
    const result = await run(python.command, args.map(String), { env })
    if (result.code !== 0) throw new Error(`prepare.py failed:\n${lastLines(result.stderr, 8)}`)
  })
}
