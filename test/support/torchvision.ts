import { join } from 'node:path'
import { readBuildInfo } from '../../lib/addon/build-info.js'
import { askPython, pythonCommand, withPythonPath } from '../../lib/setup/libtorch/python.js'
import { cachedFolder } from './cached-folder.js'
import { orMissing } from './needs.js'
import { PackagesUnavailable, pipInto } from './pip-into.js'
import { pythonPackages } from './python-packages.js'
import { testPython, type TestPython } from './python.js'

/** A Python that can import torch and torchvision, and the folder that torchvision lies in. */
export interface WithTorchvision {
  readonly python: TestPython
  readonly site: string
  /** Its library of operators. */
  readonly library: string
}

/** Null where pip does not give the torchvision that belongs to the torch in use. In CI that is an error. */
export function torchvision(): Promise<WithTorchvision | null> {
  return orMissing('torchvision', install)
}

async function install(): Promise<WithTorchvision> {
  const facts = await askPython()
  if (!facts) throw new PackagesUnavailable(`there is no ${pythonCommand} on PATH`)
  // torchvision 0.15 was the one for torch 2.0, and each minor version since has one of its own.
  const [, minor = '0'] = readBuildInfo()?.libtorch.version.split('.') ?? []
  const version = `torchvision==0.${Number(minor) + 15}.*`
  const site = await cachedFolder('torchvision', [version, facts.version, facts.executable], async (partial) => {
    await pipInto(partial, ['--only-binary', ':all:', '--no-deps', version])
  })
  const [python, packages] = await Promise.all([testPython(), pythonPackages()])
  const path = [site, ...(packages.env['PYTHONPATH'] ? [packages.env['PYTHONPATH']] : [])]
  const identity = `${python.identity} ${version}`
  return {
    python: { ...python, identity, env: withPythonPath(path, python.env) },
    site,
    library: join(site, 'torchvision', '_C.so'),
  }
}
