// OpenVINO and ONNX Runtime, installed by pip like the peers, and the models in their format.
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { lastLines, run } from '#internal'
import { cachedFolder } from '#test-support/cached-folder.js'
import { pipInto } from '#test-support/pip-into.js'
import { modelSources } from './models.mjs'

const requirements = join(import.meta.dirname, '..', 'peers', 'requirements-engines.txt')

/**
 * The folders of the packages and of MODEL.onnx. The packages take about 400 MB.
 *
 * @param {import('./types.d.mts').Tools['python']} python that imports torch
 * @param {readonly string[]} models
 * @param {number} size
 * @returns {Promise<import('./types.d.mts').Engines>}
 */
export async function prepareEngines(python, models, size) {
  const packages = await cachedFolder(
    'engines',
    [readFileSync(requirements, 'utf8'), python.identity],
    async (folder) => {
      // What would be compiled from source takes longer than all of the benchmark.
      await pipInto(folder, ['--only-binary', ':all:', '--requirement', requirements])
    },
  )
  const key = [...modelSources('export_onnx.py'), python.identity, ...models, String(size)]
  const files = await cachedFolder('bench-onnx', key, async (partial) => {
    const args = [join(import.meta.dirname, 'export_onnx.py'), partial, ...models, '--size', String(size)]
    const path = [packages, python.env['PYTHONPATH']].filter(Boolean).join(delimiter)
    const env = { ...python.env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' }
    const result = await run(python.command, args, { env })
    if (result.code !== 0) throw new Error(`export_onnx.py failed:\n${lastLines(result.stderr, 8)}`)
  })
  return { packages, files }
}
