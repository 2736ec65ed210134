import { join } from 'node:path'
import { compileNative } from '#test-support/compile-native.js'

export { builtWith } from '#test-support/compile-native.js'

/**
 * Compiles scripts/bench/workers/NAME.cc; with `core`, links the object files of native/core that the addon consists of.
 */
export const compile = (/** @type {string} */ name, { core = false } = {}) =>
  compileNative({ name: `bench-${name}`, sources: [join(import.meta.dirname, 'workers', `${name}.cc`)], core })
