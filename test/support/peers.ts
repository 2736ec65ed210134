import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { askPython, pythonCommand, withPythonPath } from '../../lib/setup/libtorch/python.js'
import { packageRoot } from '../../lib/base/paths.js'
import { cachedFolder } from './cached-folder.js'
import { PackagesUnavailable, pipInto } from './pip-into.js'
import { testPython, type TestPython } from './python.js'

const folder = join(packageRoot, 'scripts', 'peers')
const alone = join(folder, 'requirements-alone.txt')
const small = join(folder, 'requirements-small.txt')
const relevance = join(folder, 'requirements-relevance.txt')
const imported = join(folder, 'requirements.txt')

let found: Promise<TestPython> | undefined

/**
 * A Python that can import torch, scripts/peers/peers.py and, by it, pytorch-grad-cam, Captum, torch-cam, zennit, Quantus and PAIR's saliency in their pinned versions.
 * pip puts these into a folder of their own when first asked for, about 530 MB.
 *
 * Throws PackagesUnavailable, with pip's last lines, where pip fails.
 */
export function pythonWithPeers(): Promise<TestPython> {
  return (found ??= install())
}

async function install(): Promise<TestPython> {
  const facts = await askPython()
  if (!facts) throw new PackagesUnavailable(`there is no ${pythonCommand} on PATH`)
  const pinned = [alone, imported].map((file) => readFileSync(file, 'utf8'))
  const site = await cachedFolder('peers', [...pinned, facts.version, facts.executable], async (partial) => {
    await pipInto(partial, ['--no-deps', '--requirement', alone])
    // Wheels alone: compiling scipy from source would take longer than everything else together.
    await pipInto(partial, ['--only-binary', ':all:', '--requirement', imported])
  })
  const others = await cachedFolder('small-peers', [readFileSync(small, 'utf8'), facts.version], (partial) =>
    pipInto(partial, ['--no-deps', '--requirement', small]),
  )
  // zennit 1.0.0 asks for a late patch release of Python 3.11, and needs nothing of it.
  const propagation = await cachedFolder(
    'relevance-peer',
    [readFileSync(relevance, 'utf8'), facts.version],
    (partial) => pipInto(partial, ['--no-deps', '--ignore-requires-python', '--requirement', relevance]),
  )
  const python = await testPython()
  return { ...python, env: withPythonPath([folder, site, others, propagation], python.env) }
}
