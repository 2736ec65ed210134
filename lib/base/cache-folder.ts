import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * This package's folder in the user's cache: what `GRADCAM_CACHE` names, else the platform's usual folder
 * ($XDG_CACHE_HOME or ~/.cache, ~/Library/Caches, %LOCALAPPDATA%) with /gradcam after it.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['GRADCAM_CACHE']) return env['GRADCAM_CACHE']
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'gradcam')
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'gradcam')
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gradcam')
}

/** Where the measurements of `precision: 'auto'` are kept, a file of JSON each. */
export const precisionFolder = (): string => join(cacheFolder(), 'precision')
