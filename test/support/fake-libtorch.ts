import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { libraryPath } from '../../lib/addon/describe.js'

export interface FakeLibTorch {
  /** Goes into version.py, as in the package that pip installs; 'archive:2.4.0' into build-version instead. */
  readonly version?: string
  readonly cuda?: boolean
  /** What stands for the contents of libc10, where the mangled names of std::string are looked for. */
  readonly symbols?: string
}

/** Makes a folder that has the files by which a LibTorch is known, and nothing in them. */
export function fakeLibTorch(
  root: string,
  { version = '2.13.0', cuda = false, symbols = '' }: FakeLibTorch = {},
): string {
  mkdirSync(join(root, 'include', 'torch'), { recursive: true })
  mkdirSync(join(root, 'lib'), { recursive: true })
  writeFileSync(join(root, 'include', 'torch', 'script.h'), '#pragma once\n')
  for (const name of ['torch', 'torch_cpu', ...(cuda ? ['torch_cuda', 'c10_cuda'] : [])]) {
    writeFileSync(libraryPath(root, name), 'not a library')
  }
  writeFileSync(libraryPath(root, 'c10'), `not a library ${symbols}`)
  const [archive, number] = version.startsWith('archive:') ? [true, version.slice(8)] : [false, version]
  if (archive) writeFileSync(join(root, 'build-version'), `${number}\n`)
  else writeFileSync(join(root, 'version.py'), `__version__ = '${number}'\ndebug = False\n`)
  writeFileSync(join(root, '__init__.py'), 'raise RuntimeError("nothing imports torch only to find it")\n')
  return root
}

/** The same with libraries that link and load: a small addon can be built against it in a second. */
export function linkableLibTorch(root: string, options: FakeLibTorch = {}): string {
  fakeLibTorch(root, options)
  for (const name of ['torch', 'torch_cpu', 'c10', ...(options.cuda ? ['torch_cuda', 'c10_cuda'] : [])]) {
    compileLibrary(libraryPath(root, name), `extern "C" int fake_${name}() { return 1; }`)
  }
  return root
}

/** Compiles C++ into a shared library. */
export function compileLibrary(file: string, source: string, ...flags: string[]): void {
  // -x none: what follows is not a source but libraries and flags for the linker.
  const args = ['-shared', '-fPIC', '-o', file, '-x', 'c++', '-', '-x', 'none', ...flags]
  execFileSync(process.env['CXX'] ?? 'c++', args, { input: source, stdio: ['pipe', 'pipe', 'pipe'] })
}
