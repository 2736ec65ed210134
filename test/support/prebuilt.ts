import type { ExecutionContext } from 'ava'
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { platform, type BuildInfo } from '../../lib/addon/build-info.js'
import { linkableLibTorch } from './fake-libtorch.js'
import { copyPackage, gradcam, temporaryFolder } from './package-copy.js'

/** A package whose addon is built, in an environment of its own. */
export function builtPackage(t: ExecutionContext | null) {
  const root = copyPackage(t)
  const libtorch = linkableLibTorch(join(temporaryFolder(t), 'torch'))
  const env = { LIBTORCH: libtorch, GRADCAM_CACHE: temporaryFolder(t), GRADCAM_WERROR: undefined }
  const { code, stderr } = gradcam(['build', '--with', 'cmake-js'], env, root)
  if (code !== 0) throw new Error(stderr)
  return { root, libtorch, env }
}

const readInfo = (root: string): BuildInfo =>
  JSON.parse(readFileSync(join(root, 'build', 'build-info.json'), 'utf8')) as BuildInfo

/** The addon of `built` as npm would have installed it beside `root`. */
export function installPrebuilt(built: string, root: string, change: Record<string, unknown> = {}): string {
  const work = join(built, 'build', 'cmake-js')
  const made = spawnSync('cmake', ['--build', work, '--target', 'gradcam_prebuilt'], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(made.stderr)
  const from = ['Release', '.'].map((name) => join(work, name, 'gradcam_prebuilt.node')).find(existsSync) as string
  const folder = join(root, 'dist', 'node_modules', '@libtorch-gradcam', platform)
  mkdirSync(join(folder, 'libtorch-2.13'), { recursive: true })
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: `@libtorch-gradcam/${platform}`, version: '0.1.0' }),
  )
  const addons = { '2.13': 'libtorch-2.13/gradcam.node' }
  writeFileSync(join(folder, 'prebuilt.json'), JSON.stringify({ sources: readInfo(built).sources, addons, ...change }))
  copyFileSync(from, join(folder, 'libtorch-2.13', 'gradcam.node'))
  return join(folder, 'libtorch-2.13', 'gradcam.node')
}
