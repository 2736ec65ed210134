import { spawnSync } from 'node:child_process'
import { compareVersions } from '#internal'
import { hasKey } from '../support/access.mjs'

/** What PyTorch's wheels (manylinux_2_28) require of a system: glibc 2.28, and the libstdc++ and libgcc of GCC 8. */
const floor = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '7.0.0' }

/**
 * The symbols of a library that ask for a newer C or C++ library than PyTorch's wheels do, each with its version; empty
 * where it loads wherever they do.
 */
export function tooNew(/** @type {string} */ file, objdump = 'objdump') {
  const { status, stdout, stderr } = spawnSync(objdump, ['-T', file], { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`objdump -T ${file}: ${stderr}`)
  const found = [...stdout.matchAll(/\((GLIBC|GLIBCXX|CXXABI|GCC)_([\d.]+)\)\s+(\S+)$/gm)]
  if (found.length === 0) throw new Error(`${file} asks for no versions at all: objdump was not understood`)
  return found.flatMap(([, name = '', version = '', symbol]) =>
    hasKey(floor, name) && compareVersions(version, floor[name]) > 0
      ? [`${symbol} of ${name}_${version}, above ${floor[name]}`]
      : [],
  )
}

/** Where a library looks for others, as the linker wrote it. */
export function searchPath(/** @type {string} */ file, objdump = 'objdump') {
  const { status, stdout, stderr } = spawnSync(objdump, ['-p', file], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`objdump -p ${file}: ${stderr}`)
  return /^\s*(?:RPATH|RUNPATH)\s+(\S+)$/m.exec(stdout)?.[1] ?? null
}
