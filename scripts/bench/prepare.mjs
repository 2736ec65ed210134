import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { pythonWithPeers } from '#test-support/peers.js'
import { testPython } from '#test-support/python.js'
import { builtWith, compile } from './compile.mjs'
import { prepareEngines } from './engines.mjs'
import { modelFiles } from './models.mjs'

/**
 * What the contestants need: the Python to run in, the floor's program, the serving engines, and a folder with models and inputs.
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
  // Two builds of LibTorch are two sets of kernels: their difference would pass for one between programs.
  const inPython = contestants.some(({ module }) => module !== undefined)
  if (inPython && realpathSync(index.torch) !== realpathSync(libtorch.root)) {
    throw new Error(
      `The addon was built with the LibTorch in ${libtorch.root}, but Python imports ${index.torch}. Let LIBTORCH name the torch folder of a Python installation, build, and run this again.`,
    )
  }
  const floor = contestants.some(({ isFloor }) => isFloor)
  if (floor) say('the bare forward in C++ (compiled the first time)')
  const floorProgram = floor ? await compile('floor') : null
  const withEngines = contestants.some(({ engine }) => engine !== undefined)
  if (withEngines) say('OpenVINO and ONNX Runtime, and the models as ONNX (the first time)')
  const engines = withEngines ? await prepareEngines(python, models, size) : null
  return { libtorch, tools: { python, floorProgram, engines }, files, index }
}
