import { readFileSync, readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines, run } from '#internal'
import { cachedFolder } from '#test-support/cached-folder.js'
import { pythonWithPeers } from '#test-support/peers.js'
import { testPython } from '#test-support/python.js'
import { builtWith, compile } from './compile.mjs'

/**
 * What the contestants need: the Python to run in, the floor's program, and a folder with models and inputs.
 *
 * @param {{ contestants: import('./types.d.mts').Contestant[], models: string[], size: number, images: number }} job
 * @param {import('./types.d.mts').Say} say
 */
export async function prepare({ contestants, models, size, images }, say) {
  const libtorch = builtWith()
  process.env['LIBTORCH'] = libtorch.root // so that the Python that is looked for is the one with these libraries
  const withPeers = contestants.some(({ peer }) => peer)
  if (withPeers) say('pytorch-grad-cam and Captum (installed by pip the first time)')
  const python = withPeers ? await pythonWithPeers() : await testPython()
  say('models and inputs')
  const files = await modelFiles(python, models, size, images)
  /** @type {import('./types.d.mts').Index} */
  const index = JSON.parse(readFileSync(join(files, 'index.json'), 'utf8'))
  if (realpathSync(index.torch) !== realpathSync(libtorch.root)) {
    throw new Error(
      `The addon was built with the LibTorch in ${libtorch.root}, but Python imports ${index.torch}. Let LIBTORCH name the torch folder of a Python installation, build, and run this again.`,
    )
  }
  const floor = contestants.some(({ isFloor }) => isFloor)
  if (floor) say('the bare forward in C++ (compiled the first time)')
  const floorProgram = floor ? await compile('floor') : null
  return { libtorch, tools: { python, floorProgram }, files, index }
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
  const sources = ['nets.py', 'prepare.py'].map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
  const shared = readdirSync(join(import.meta.dirname, '..', 'models')).filter((name) => name.endsWith('.py'))
  sources.push(...shared.map((name) => readFileSync(join(import.meta.dirname, '..', 'models', name), 'utf8')))
  const key = [...sources, python.identity, ...models, String(size), String(images)]
  return cachedFolder('bench-models', key, async (partial) => {
    const args = [join(import.meta.dirname, 'prepare.py'), partial, ...models, '--size', size, '--images', images]
    const env = { ...python.env, PYTHONDONTWRITEBYTECODE: '1' }
    const result = await run(python.command, args.map(String), { env })
    if (result.code !== 0) throw new Error(`prepare.py failed:\n${lastLines(result.stderr, 8)}`)
  })
}
