import type { BuildInfo } from './build-info.js'

interface Explanation {
  readonly meaning: string
  readonly remedy: string
}

const rebuild = 'Run: npx gradcam build'

/**
 * The messages of the dynamic loader, which has no codes: what each means and the remedy, the most specific first. `$1` is
 * the part that the pattern captured.
 */
const table: readonly (readonly [RegExp, string, string])[] = [
  [
    /(lib(?:torch|c10)\w*\.\w+)[^:]*: cannot open shared object file|Library not loaded: \S*(lib(?:torch|c10)\S*)/,
    "LibTorch's $1 is not found",
    `${rebuild} (it finds or installs a LibTorch)`,
  ],
  [
    /(lib[\w+.-]+): cannot open shared object file|Library not loaded: (\S+)/,
    'the library $1, which LibTorch needs, is missing',
    'Install the package that holds it, or reinstall PyTorch with all it depends on, and run: npx gradcam build',
  ],
  [
    /version `(GLIBC(?:XX)?_[\d.]+|CXXABI_[\d.]+)' not found/,
    'it requires $1, which the C or C++ library of this system does not have: it was built on a newer system',
    `${rebuild} on this machine`,
  ],
  [
    /invalid ELF header|wrong ELF class|incompatible architecture|not a mach-o file|not a valid Win32 application|Exec format error/,
    'it is not an addon for this platform',
    `${rebuild} on this machine`,
  ],
  [/file too short|truncated|cannot read file data|ELF load command past end of file/, 'the file is damaged', rebuild],
  [
    /undefined symbol: (\S+)|Symbol not found: (\S+)/,
    'a function that it calls ($1) is not in the LibTorch that was loaded, which is another than it was built with',
    `${rebuild}, and keep other LibTorch libraries out of LD_LIBRARY_PATH and LD_PRELOAD`,
  ],
  [
    /cannot allocate memory in static TLS block/,
    'a library of LibTorch must be loaded when the process starts',
    "Start Node with LD_PRELOAD naming the library in the system's message",
  ],
  [/did not self-register|Module version mismatch|NODE_MODULE_VERSION/, 'it is not an addon of this package', rebuild],
]

/** The meaning of a failed `require` of the addon, and its remedy; both without a final full stop. */
export function explainLoadError(message: string, info: BuildInfo | null): Explanation {
  for (const [pattern, meaning, remedy] of table) {
    const match = message.match(pattern)
    if (match) return { meaning: meaning.replace('$1', match.slice(1).find(Boolean) ?? ''), remedy }
  }
  return {
    meaning: 'the system refuses it',
    remedy: info ? `${rebuild}; it may help to remove the build folder first` : rebuild,
  }
}
