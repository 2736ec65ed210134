import type { LibTorch } from '../addon/describe.js'
import { ensureLibTorch, installPrivate, type InstallOptions } from './libtorch/install.js'
import { hasNvidiaDriver } from './libtorch/driver.js'
import { searchLibTorch } from './libtorch/find.js'
import { servesPinned } from './prebuilt.js'
import { takeFitting, type Fit } from './take.js'
import { findCompiler } from './tools.js'

/** What {@link prepare} found or made ready. */
export interface Prepared {
  readonly libtorch: LibTorch
  /** Whether there is an addon for it: where not, one is to be compiled. */
  readonly ready: boolean
  readonly how: Fit['how']
}

/**
 * Makes ready what needs no compiler: a LibTorch (the one that is found, else pip installs one), and the addon for it that npm
 * installed or another project built.
 *
 * Throws ERR_LIBTORCH_NOT_FOUND, ERR_TOOL_MISSING, ERR_LIBTORCH_INSTALL or ERR_LOCK_FAILED.
 */
export async function prepare(options: InstallOptions = {}): Promise<Prepared> {
  const before = await takeFitting()
  if (before.libtorch) return { libtorch: before.libtorch, ready: true, how: before.how }
  const libtorch = await ensureLibTorch(options)
  const fit = await takeFitting()
  if (fit.libtorch) return { libtorch: fit.libtorch, ready: true, how: fit.how }
  if (libtorch.source === 'LIBTORCH' || !servesPinned() || (await findCompiler()))
    return { libtorch, ready: false, how: null }
  const say = options.say ?? (() => {})
  say(`An addon for LibTorch ${libtorch.version} (${libtorch.root}) was not found, nor a compiler to build one.`)
  const { python } = await searchLibTorch()
  const driver = options.driver ?? (await hasNvidiaDriver())
  const own = await installPrivate({ libtorch: null, tried: [], python }, { ...options, driver })
  const last = await takeFitting()
  return { libtorch: last.libtorch ?? own, ready: last.libtorch !== null, how: last.how }
}
