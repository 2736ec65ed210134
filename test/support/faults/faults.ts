import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../../lib/base/paths.js'
import { lastLines, run } from '../../../lib/base/processes.js'
import { findCompiler } from '../../../lib/setup/tools.js'
import { cachedFolder } from '../cached-folder.js'

/** What happens at the n-th call of the system that concerns the folder. */
export type Fault = 'ENOSPC' | 'EIO' | 'kill'

export const faults: readonly Fault[] = ['ENOSPC', 'EIO', 'kill']

/** Bytes of `struct Control` in faults.c, and where its fields begin. */
const layout = { size: 64, at: 0, error: 4, sticky: 8, count: 12, what: 16 } as const

/**
 * The library that makes calls fail, compiled once; null where it cannot be had: it is for Linux with the GNU C library, and
 * requires a C compiler.
 */
export async function faultLibrary(): Promise<string | null> {
  if (process.platform !== 'linux' || !('glibcVersionRuntime' in reportHeader())) return null
  const compiler = await findCompiler()
  if (!compiler) return null
  const source = join(packageRoot, 'test', 'support', 'faults', 'faults.c')
  const folder = await cachedFolder('faults', [readFileSync(source, 'utf8'), compiler.command], async (partial) => {
    mkdirSync(partial)
    const flags = ['-x', 'c', '-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC']
    const result = await run(compiler.command, [...flags, source, '-o', join(partial, 'faults.so'), '-ldl'])
    if (result.code !== 0) throw new Error(`faults.c does not compile:\n${lastLines(result.stderr, 30)}`)
  })
  return join(folder, 'faults.so')
}

function reportHeader(): object {
  return (process.report.getReport() as { header: object }).header
}

/** Tells the library, in this process or another one, which call is to fail. */
export class FaultControl {
  readonly #file: number

  private constructor(readonly path: string) {
    this.#file = openSync(path, 'r+')
  }

  /** @param path a file that is made where it does not exist */
  static open(path: string): FaultControl {
    writeFileSync(path, Buffer.alloc(layout.size), { flag: 'a' })
    return new FaultControl(path)
  }

  /** A full disk stays full; what else fails, fails once. Calls are counted from here. */
  arm(fault: Fault, at: number): void {
    const bytes = Buffer.alloc(layout.size)
    bytes.writeInt32LE(at, layout.at)
    bytes.writeInt32LE(fault === 'kill' ? 0 : constants.errno[fault], layout.error)
    bytes.writeInt32LE(fault === 'ENOSPC' ? 1 : 0, layout.sticky)
    writeSync(this.#file, bytes, 0, bytes.length, 0)
  }

  /** Nothing fails any more; calls are counted from here. */
  disarm(): void {
    writeSync(this.#file, Buffer.alloc(layout.size), 0, layout.size, 0)
  }

  /** How many calls there were, and the name of the one that failed; '' where none did. */
  read(): { readonly count: number; readonly what: string } {
    const bytes = Buffer.alloc(layout.size)
    readSync(this.#file, bytes, 0, bytes.length, 0)
    return { count: bytes.readInt32LE(layout.count), what: bytes.toString('latin1', layout.what).replace(/\0.*/s, '') }
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** The environment of a process whose calls fail: those that concern paths beginning with `folder`. */
export function faultEnvironment(library: string, control: FaultControl, folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LD_PRELOAD: library,
    GRADCAM_FAULTS: control.path,
    GRADCAM_FAULTS_FOLDER: folder,
    OMP_NUM_THREADS: '1',
  }
}
