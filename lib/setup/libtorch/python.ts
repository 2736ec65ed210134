import { run } from '../../base/processes.js'

/** A Python interpreter and the PyTorch that it would import, found without importing it. */
export interface PythonFacts {
  readonly executable: string
  /** e.g. '3.11.7'. */
  readonly version: string
  /** pip's version, null where `python3 -m pip` would not work. */
  readonly pip: string | null
  /** The torch package's folder, null where `import torch` would fail. */
  readonly torch: string | null
}

// sys.path[0] is the working folder under -c: a folder that happens to be named torch there is not an installed PyTorch.
const question = `
import sys; sys.path.pop(0)
import importlib.metadata as metadata, importlib.util as util, json, platform
spec = util.find_spec('torch')
try: pip = metadata.version('pip') if util.find_spec('pip') else None
except metadata.PackageNotFoundError: pip = 'unknown'
print(json.dumps({'executable': sys.executable, 'version': platform.python_version(), 'pip': pip,
  'torch': spec.submodule_search_locations[0] if spec and spec.origin and spec.submodule_search_locations else None}))
`

/** The name under which Python is called on this platform. */
export const pythonCommand = process.platform === 'win32' ? 'python' : 'python3'

/** Asks `python3`; null where there is none, or where it is too old to answer (before 3.8). */
export async function askPython(env: NodeJS.ProcessEnv = process.env): Promise<PythonFacts | null> {
  const answer = await run(pythonCommand, ['-c', question], { env })
  if (answer.code !== 0) return null
  try {
    return JSON.parse(answer.stdout.trim().split('\n').at(-1) ?? '') as PythonFacts
  } catch {
    return null
  }
}

/** Environment in which python3 finds, before its own, the packages of the given folders. */
export function withPythonPath(folders: readonly string[], env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const separator = process.platform === 'win32' ? ';' : ':'
  const path = [...folders, ...(env['PYTHONPATH'] ? [env['PYTHONPATH']] : [])].join(separator)
  return { ...env, PYTHONPATH: path }
}

/** Where python3 finds a package, without importing it; null where it does not. */
export async function packageFolder(name: string, env: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  const code =
    'import sys; sys.path.pop(0); import importlib.util as u; s = u.find_spec(sys.argv[1]); ' +
    'print(s.submodule_search_locations[0] if s and s.submodule_search_locations else "")'
  const answer = await run(pythonCommand, ['-c', code, name], { env })
  const folder = answer.code === 0 ? answer.stdout.trim().split('\n').at(-1) : ''
  return folder === undefined || folder === '' ? null : folder
}
