import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { listFolder } from '../cache.js'
import { pinnedVersion } from './find.js'
import { namesIndex, type PipStep, type RunPip } from './pip.js'

/** The index on which PyTorch's own site has the builds for CPUs. */
const officialIndex = 'https://download.pytorch.org/whl/cpu'

/** Gigabytes that pip downloads, about: of the packages for Linux on x64. */
const size = { cpu: 0.2, plain: 0.55, cudart: 0.02, cuda: 2.8 }

/** Above this, a user at a terminal is asked. */
const asksAbove = 1

/** Asks whether so many gigabytes may be downloaded. */
export type Confirm = (what: string, gigabytes: number) => Promise<boolean>

/** What is to be installed. */
export interface Wanted {
  /** Whether this machine has an NVIDIA driver. */
  readonly driver: boolean
  /** So that Python can import it, which requires all that PyTorch depends on. */
  readonly importable: boolean
  readonly confirm: Confirm | undefined
}

/**
 * The ways to get PyTorch, in order. Without a driver: the user's index's own CPU build; else PyTorch's index for CPUs, where
 * the user names no index; else the plain build without the CUDA packages that a CPU does not need. The index is the one that
 * GRADCAM_TORCH_INDEX names, where it is set ('none': no other index than the user's).
 */
export async function installSteps({ driver, importable, confirm }: Wanted): Promise<PipStep[]> {
  const plain = [`torch==${pinnedVersion}`]
  const full: PipStep = {
    requirements: plain,
    about: `The plain build of PyTorch ${pinnedVersion} with all that it depends on, about ${size.cuda} GB where it is a CUDA build.`,
  }
  if (driver) {
    await ask(confirm, size.cuda)
    return [
      {
        // `===` takes the index's plain build where a local version beside it would win.
        requirements: [`torch===${pinnedVersion}`],
        about: `The CUDA build of PyTorch ${pinnedVersion}, for this machine's NVIDIA driver: about ${size.cuda} GB.`,
        otherwise: `The index has no plain build of PyTorch ${pinnedVersion}: taking the one that it has.`,
      },
      full,
    ]
  }
  // For macOS there is one build only, and it is a CPU build.
  if (process.platform === 'darwin') {
    return [{ requirements: plain, about: `PyTorch ${pinnedVersion}: about ${size.cpu} GB.` }]
  }
  const cpu = [`torch==${pinnedVersion}+cpu`]
  const alone: Partial<PipStep> = importable ? {} : librariesAlone
  const own: PipStep = {
    requirements: cpu,
    about: `The CPU build of PyTorch ${pinnedVersion} from pip's own index: about ${size.cpu} GB.`,
    otherwise: `The index has no CPU build of PyTorch ${pinnedVersion} (${cpu[0]}).`,
    ...alone,
  }
  const index = await otherIndex()
  const official: PipStep[] = index
    ? [
        {
          requirements: cpu,
          about: `The CPU build of PyTorch ${pinnedVersion} from ${index}: about ${size.cpu} GB.`,
          otherwise: 'It did not come from there ($why).',
          next: 'any failure',
          ...alone,
          options: ['--index-url', index, '--timeout', '5', '--retries', '0', ...(alone.options ?? [])],
        },
      ]
    : []
  if (importable) {
    await ask(confirm, size.cuda)
    return [own, ...official, full]
  }
  const small: PipStep = {
    requirements: plain,
    about: `The plain build of PyTorch ${pinnedVersion} without the CUDA packages that a CPU does not need: about ${size.plain} GB.`,
    ...librariesAlone,
  }
  return [own, ...official, small]
}

/** LibTorch alone: neither what Python requires to import PyTorch, nor the packages of a CUDA build that a CPU does not need. */
const librariesAlone = {
  options: ['--no-deps'],
  importable: false,
  complete: async (site: string, pip: RunPip): Promise<void> => {
    const linked = linkedWith(site)
    if (linked.length > 0) await pip(linked)
    keepLibraries(join(site, 'torch'))
  },
}

/**
 * The packages that hold what libtorch_cpu.so of a CUDA build is linked with, libcudart and libcupti: by the names and versions
 * that the installed package requires. A CPU build requires none.
 */
export function linkedWith(site: string): string[] {
  const folder = listFolder(site).find((name) => /^torch-.*\.dist-info$/.test(name))
  if (!folder) return []
  const required = readFileSync(join(site, folder, 'METADATA'), 'utf8')
    .split(/\r?\n/)
    .flatMap((line) => /^Requires-Dist:\s*([^;]+)/.exec(line)?.[1]?.replaceAll(/\s/g, '') ?? [])
  return required.flatMap((requirement) => {
    const [, extras = '', version = ''] = /^cuda-toolkit\[([^\]]*)\](.*)$/.exec(requirement) ?? []
    if (extras) return extras.split(',').some((one) => one === 'cudart') ? [`cuda-toolkit[cudart,cupti]${version}`] : []
    return /^nvidia-cuda-(runtime|cupti)\b/.test(requirement) ? [requirement] : []
  })
}

/** Removes what only Python would use, and the libraries for GPUs, which could not be loaded: half of what it takes on the disk. */
export function keepLibraries(torch: string): void {
  for (const name of listFolder(torch)) {
    if (!['lib', 'include', 'version.py'].includes(name)) rmSync(join(torch, name), { recursive: true, force: true })
  }
  const unused = /^lib(torch_cuda\w*|c10_cuda|torch_nvshmem|caffe2_nvrtc|torch_python)\.so/
  for (const name of listFolder(join(torch, 'lib'))) if (unused.test(name)) rmSync(join(torch, 'lib', name))
}

async function otherIndex(): Promise<string | null> {
  const named = process.env['GRADCAM_TORCH_INDEX']
  if (named) return named === 'none' ? null : named
  return (await namesIndex()) ? null : officialIndex
}

async function ask(confirm: Confirm | undefined, gigabytes: number): Promise<void> {
  if (gigabytes <= asksAbove || !confirm || (await confirm(`PyTorch ${pinnedVersion}`, gigabytes))) return
  throw new GradCamError('ERR_LIBTORCH_INSTALL', `PyTorch ${pinnedVersion} was not installed: it was declined.`, {
    remedy: 'Name an installed LibTorch in LIBTORCH, or agree.',
  })
}
