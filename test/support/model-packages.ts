import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { withPythonPath } from '../../lib/setup/libtorch/python.js'
import { cachedFolder } from './cached-folder.js'
import { orMissing } from './needs.js'
import { PackagesUnavailable, pipInto } from './pip-into.js'
import { pythonPackages } from './python-packages.js'
import { testPython, type TestPython } from './python.js'

const requirements = join(packageRoot, 'test', 'python', 'requirements-models.txt')

/** torchvision 0.N is built for torch 2.(N - 15). */
function torchvisionFor(identity: string): string {
  const minor = /__version__ = '2\.(\d+)\./.exec(identity)?.[1]
  if (minor === undefined) throw new PackagesUnavailable('the version of torch is not known')
  return `torchvision==0.${Number(minor) + 15}.*`
}

/** The Python of the tests with torchvision and timm, and numpy and Pillow, which they require; null where pip gives none. In CI that is an error. */
export function pythonWithModels(): Promise<TestPython | null> {
  return orMissing('models', async () => {
    const python = await testPython()
    const { env: withPillow } = await pythonPackages()
    const torchvision = torchvisionFor(python.identity)
    const key = [readFileSync(requirements, 'utf8'), torchvision, python.identity]
    const folder = await cachedFolder('model-packages', key, async (partial) => {
      const wheels = ['--no-deps', '--only-binary', ':all:']
      await pipInto(partial, [...wheels, torchvision, '--requirement', requirements])
    })
    const paths = [folder, ...(withPillow['PYTHONPATH']?.split(delimiter) ?? [])]
    return { ...python, env: withPythonPath(paths, python.env) }
  })
}
