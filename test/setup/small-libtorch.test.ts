import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import type { InstallRecord } from '../../lib/setup/libtorch/find.js'
import { loopbackIndex, type LoopbackIndex, type Wheel } from '../support/loopback-index.js'
import { needing } from '../support/needs.js'
import { temporaryFolder, type Ended } from '../support/package-copy.js'

const onLinux = needing('linux', process.platform === 'linux')
const module = join(packageRoot, 'dist', 'lib', 'setup', 'libtorch', 'install.js')

/** The files by which a LibTorch is known, of a CPU or of a CUDA build. */
function libtorch(version: string, cuda: boolean): Record<string, string> {
  const libraries = ['torch', 'torch_cpu', 'c10', ...(cuda ? ['torch_cuda', 'c10_cuda', 'torch_cuda_linalg'] : [])]
  return {
    'torch/version.py': `__version__ = '${version}'\n`,
    'torch/include/torch/script.h': '#pragma once\n',
    ...Object.fromEntries(libraries.map((name) => [`torch/lib/lib${name}.so`, 'not a library'])),
  }
}

const cpu: Wheel = { name: 'torch', version: '2.13.0+cpu', files: libtorch('2.13.0+cpu', false) }
const onLinuxAlone = '; platform_system == "Linux"'
/** As the metadata of torch 2.13.0 has it. */
const cuda: Wheel = {
  name: 'torch',
  version: '2.13.0',
  files: libtorch('2.13.0+cu130', true),
  requires: [
    'filelock',
    `cuda-toolkit[cublas,cudart,cupti,nvtx]==13.0.3${onLinuxAlone}`,
    `nvidia-cudnn-cu13==9.20.0.48${onLinuxAlone}`,
  ],
}
const part = (name: string, version: string, library: string): Wheel => ({
  name,
  version,
  files: { [`nvidia/cu13/lib/${library}`]: 'not a library' },
})
const cudaParts: Wheel[] = [
  {
    name: 'cuda-toolkit',
    version: '13.0.3',
    extras: ['cublas', 'cudart', 'cupti', 'nvtx'],
    requires: [
      'nvidia-cuda-runtime==13.0.96; extra == "cudart"',
      'nvidia-cuda-cupti==13.0.85; extra == "cupti"',
      'nvidia-cublas==13.1; extra == "cublas"',
    ],
  },
  part('nvidia-cuda-runtime', '13.0.96', 'libcudart.so.13'),
  part('nvidia-cuda-cupti', '13.0.85', 'libcupti.so.13'),
  part('nvidia-cublas', '13.1', 'libcublas.so.13'),
  part('nvidia-cudnn-cu13', '9.20.0.48', 'libcudnn.so.9'),
  { name: 'filelock', version: '3.0' },
]

interface Installed extends Ended {
  readonly cache: string
}

/** Has a LibTorch installed in an empty cache, without an NVIDIA driver, by the pip of this machine. */
async function install(t: ExecutionContext, index: string, env: NodeJS.ProcessEnv = {}): Promise<Installed> {
  const cache = join(temporaryFolder(t), 'cache')
  const home = temporaryFolder(t)
  const text = `
    import { installPrivate } from ${JSON.stringify(module)}
    import { askPython } from ${JSON.stringify(join(packageRoot, 'dist', 'lib', 'setup', 'libtorch', 'python.js'))}
    try {
      const python = await askPython()
      console.log(JSON.stringify(await installPrivate({ libtorch: null, tried: [], python }, { driver: false })))
    } catch (error) {
      console.error(error.code + ': ' + error.message)
      process.exitCode = 1
    }`
  const pip = { PIP_INDEX_URL: index, PIP_CONFIG_FILE: '/dev/null', PIP_FIND_LINKS: undefined, PIP_NO_CACHE_DIR: '1' }
  const own = {
    GRADCAM_CACHE: cache,
    LIBTORCH: undefined,
    VIRTUAL_ENV: undefined,
    HOME: home,
    GRADCAM_TORCH_INDEX: 'none',
  }
  const given = { ...process.env, PYENV_ROOT: process.env['PYENV_ROOT'] ?? join(process.env['HOME'] ?? '', '.pyenv') }
  const ended = await run(process.execPath, ['--input-type=module', '--eval', text], {
    env: { ...given, ...pip, ...own, ...env },
    cwd: home,
  })
  return { ...ended, cache }
}

const rootOf = (cache: string, kind: string): string => join(cache, `pytorch-2.13.0-${kind}`, 'site')

const record = (cache: string, kind: string): InstallRecord =>
  JSON.parse(readFileSync(join(cache, `pytorch-2.13.0-${kind}`, 'install.json'), 'utf8')) as InstallRecord

const names = (index: LoopbackIndex): string[] => index.downloaded().map((file) => file.replace(/-py3.*/, ''))

onLinux("the user's own index has the CPU build: it is taken, and no other index is asked", async (t) => {
  const own = await loopbackIndex(t, [cpu, cuda, ...cudaParts])
  const other = await loopbackIndex(t, [cpu])
  const { code, stdout, stderr, cache } = await install(t, own.url, { GRADCAM_TORCH_INDEX: other.url })
  t.is(code, 0, stderr)
  t.like(JSON.parse(stdout), { version: '2.13.0+cpu', cuda: false, root: join(rootOf(cache, 'cpu'), 'torch') })
  t.deepEqual(names(own), ['torch-2.13.0+cpu'])
  t.is(other.requests(), 0)
  t.regex(stderr, /CPU build of PyTorch 2\.13\.0 from pip's own index: about 0\.2 GB/)
})

onLinux('else the index for CPU builds, at another address', async (t) => {
  const own = await loopbackIndex(t, [cuda, ...cudaParts])
  const other = await loopbackIndex(t, [cpu])
  const { code, stdout, stderr, cache } = await install(t, own.url, { GRADCAM_TORCH_INDEX: other.url })
  t.is(code, 0, stderr)
  t.like(JSON.parse(stdout), { version: '2.13.0+cpu', root: join(rootOf(cache, 'cpu'), 'torch') })
  t.deepEqual([names(own), names(other)], [[], ['torch-2.13.0+cpu']])
  t.regex(stderr, /has no CPU build of PyTorch 2\.13\.0/)
  t.true(stderr.includes(`from ${other.url}`), stderr)
})

onLinux('else the plain build with cudart and cupti alone, without libraries for GPUs', async (t) => {
  const own = await loopbackIndex(t, [cuda, ...cudaParts])
  const { code, stdout, stderr, cache } = await install(t, own.url)
  t.is(code, 0, stderr)
  t.like(JSON.parse(stdout), { version: '2.13.0+cu130', cuda: false, root: join(rootOf(cache, 'small'), 'torch') })
  const requested = ['torch-2.13.0', 'cuda_toolkit-13.0.3', 'nvidia_cuda_cupti-13.0.85', 'nvidia_cuda_runtime-13.0.96']
  t.deepEqual(names(own).sort(), requested.sort(), 'neither cuDNN nor cuBLAS')
  const site = rootOf(cache, 'small')
  t.deepEqual(readdirSync(join(site, 'torch', 'lib')).sort(), ['libc10.so', 'libtorch.so', 'libtorch_cpu.so'])
  t.deepEqual(readdirSync(join(site, 'nvidia', 'cu13', 'lib')).sort(), ['libcudart.so.13', 'libcupti.so.13'])
  t.is(record(cache, 'small').importable, false, 'Python cannot import it')
  t.regex(stderr, /without the CUDA packages that a CPU does not need: about 0\.\d+ GB/)
})

onLinux(
  'an index for CPU builds that answers nothing holds nobody up for long, and the next way is taken',
  async (t) => {
    const own = await loopbackIndex(t, [cuda, ...cudaParts])
    const other = await loopbackIndex(t, [], { hangs: true })
    const { code, stderr, cache } = await install(t, own.url, { GRADCAM_TORCH_INDEX: other.url })
    t.is(code, 0, stderr)
    t.is(other.requests(), 1, 'it is asked once')
    t.true(existsSync(rootOf(cache, 'small')))
    t.regex(stderr, /It did not come from there \(.+\)/)
  },
)

onLinux('an index that cannot be reached is said to be that: Python is not blamed for it', async (t) => {
  for (const index of ['http://127.0.0.1:1/simple/', 'https://no-such-host.invalid/simple/']) {
    const { code, stderr, cache } = await install(t, index, { PIP_RETRIES: '1', PIP_DEFAULT_TIMEOUT: '5' })
    t.is(code, 1)
    t.regex(stderr, /^ERR_LIBTORCH_INSTALL: /m)
    t.regex(stderr, /cannot reach its index: check the network/)
    t.notRegex(stderr, /use a Python that this PyTorch supports|taking the/)
    t.deepEqual(
      readdirSync(cache).filter((name) => !name.startsWith('.install-lock')),
      [],
    )
  }
})

onLinux('an index that has PyTorch, but not this one, is said to be that', async (t) => {
  const own = await loopbackIndex(t, [{ ...cpu, version: '1.0' }])
  const { code, stderr } = await install(t, own.url)
  t.is(code, 1)
  t.regex(stderr, /has no such build for Python 3/)
})

onLinux('an address without encryption is not used by pip, and that is said', async (t) => {
  const { code, stderr } = await install(t, 'http://no-such-host.invalid/simple/')
  t.is(code, 1)
  t.regex(stderr, /pip ignores its index, whose address has no encryption/)
})

onLinux(
  'an index that gave nothing at all, of which pip says no more: that it was not reached comes first',
  async (t) => {
    const { code, stderr } = await install(t, 'http://127.0.0.1:1/simple/', { PIP_RETRIES: '0' })
    t.is(code, 1)
    t.regex(stderr, /cannot reach its index|gave no PyTorch at all: it was not reached/)
  },
)

test("PyTorch's own index is tried only where nobody names an index", async (t) => {
  const text = `
    import { installSteps } from ${JSON.stringify(join(packageRoot, 'dist', 'lib', 'setup', 'libtorch', 'steps.js'))}
    const steps = await installSteps({ driver: false, importable: false, confirm: undefined })
    console.log(JSON.stringify(steps.map(({ options = [] }) => options.join(' '))))`
  const indexes = async (env: NodeJS.ProcessEnv): Promise<string[]> => {
    const none = { PIP_INDEX_URL: undefined, PIP_EXTRA_INDEX_URL: undefined, PIP_NO_INDEX: undefined }
    const plain = { PIP_CONFIG_FILE: '/dev/null', GRADCAM_TORCH_INDEX: undefined }
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', text], {
      env: { ...process.env, ...none, ...plain, ...env },
    })
    t.not(stdout, '', stderr)
    return JSON.parse(stdout) as string[]
  }
  if (process.platform === 'darwin') {
    t.is((await indexes({})).length, 1)
    return
  }
  const official = /--index-url https:\/\/\S+\/whl\/cpu --timeout 5/
  const steps = await indexes({})
  t.is(steps.length, 3)
  t.regex(steps[1] ?? '', official)
  for (const env of [
    { PIP_INDEX_URL: 'https://index.invalid/simple' },
    { PIP_EXTRA_INDEX_URL: 'https://index.invalid/simple' },
    { PIP_NO_INDEX: '1' },
    { GRADCAM_TORCH_INDEX: 'none' },
  ])
    t.deepEqual(await indexes(env), ['--no-deps', '--no-deps'], JSON.stringify(env))
  const named = await indexes({
    PIP_INDEX_URL: 'https://index.invalid/simple',
    GRADCAM_TORCH_INDEX: 'https://cpu.invalid',
  })
  t.regex(named[1] ?? '', /--index-url https:\/\/cpu\.invalid/)
})
