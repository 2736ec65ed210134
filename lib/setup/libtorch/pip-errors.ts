import type { PythonFacts } from './python.js'

const other = 'Or install PyTorch yourself where python3 finds it, or unpack a LibTorch and name it in LIBTORCH.'

/** pip's words for an index that it did not reach, the reason first. */
const network: readonly (readonly [RegExp, string])[] = [
  [
    /CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError/,
    "pip does not trust the index's certificate: give it your organisation's (pip config set global.cert FILE).",
  ],
  [
    /is not a trusted or secure host/,
    'pip ignores its index, whose address has no encryption: name an https address, or trust the host (pip config set global.trusted-host HOST).',
  ],
  [/ProxyError|407 /, "pip cannot get through the proxy: check HTTPS_PROXY or pip's own setting."],
  [
    /NewConnectionError|NameResolutionError|Name or service not known|Temporary failure in name resolution|ConnectTimeout|ReadTimeout|timed out|Connection (broken|aborted|refused|reset)|Network is unreachable|Retrying|Could not connect/,
    "pip cannot reach its index: check the network, the proxy and the index in pip's configuration.",
  ],
]

/**
 * pip's own last words, as a part of a sentence: its attempts to reach an index are one reason, not one a line, and that it found
 * nothing there follows from it.
 */
export function lastWords(stderr: string): string {
  const why = /(?:\[Errno -?\d+\] |\[SSL: \w+\] )([^'")(]+)/.exec(
    stderr.match(/^WARNING: Retrying.*$/gm)?.at(-1) ?? '',
  )?.[1]
  const errors = stderr
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !line.startsWith('WARNING: Retrying'))
    .filter((line) => why === undefined || !/Could not find a version|No matching distribution/.test(line))
    .slice(-3)
    .map((line) =>
      line
        .trim()
        .replace(/^ERROR: /, '')
        .replace(/\.$/, ''),
    )
  return [...(why === undefined ? [] : [`it did not reach its index (${why.trim()})`]), ...errors].join('; ')
}

/** Whether pip reached its index and found no such build there. Without a network it says that there is none, too. */
export function isMissingBuild(stderr: string): boolean {
  return /No matching distribution found/.test(stderr) && !network.some(([pattern]) => pattern.test(stderr))
}

/** What to do about a failure of pip. It has no codes: the remedy follows from the errors of Python and of the network in its output. */
export function explainPip(stderr: string, python: PythonFacts): string {
  if (/No space left on device|Errno 28/.test(stderr)) {
    return 'The disk is full: free some space, or let GRADCAM_CACHE name a folder on a larger disk.'
  }
  if (/externally-managed|Permission denied|Errno 13|Read-only file system|Errno 30/.test(stderr)) {
    return `pip may not write: check the rights of the cache folder, or name another in GRADCAM_CACHE. ${other}`
  }
  for (const [pattern, remedy] of network) if (pattern.test(stderr)) return `${remedy} ${other}`
  const offered = /\(from versions: ([^)]*)\)/.exec(stderr)?.[1]
  if (offered === 'none') {
    return `The index in pip's configuration gave no PyTorch at all: it was not reached, or has none for Python ${python.version} on ${process.platform}-${process.arch}. Check it with: python3 -m pip download --no-deps torch. ${other}`
  }
  if (/No matching distribution found/.test(stderr)) {
    return `The index in pip's configuration has no such build for Python ${python.version} on ${process.platform}-${process.arch}: use a Python that this PyTorch supports (3.10 to 3.14). ${other}`
  }
  return other
}
