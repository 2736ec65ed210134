import type { PassPlan } from '../addon/native-pass.js'
import { expect } from '../base/check.js'
import { toPath } from '../target/path.js'
import type { CamOptions } from './cam-options.js'

/** Which input holds the images, and which call and part of a layer is looked at, as a plan has them. Throws ERR_INVALID_ARGUMENT. */
export function layerChoice({
  input,
  call,
  part,
}: Pick<CamOptions, 'input' | 'call' | 'part'>): Pick<PassPlan, 'input' | 'call' | 'part'> {
  const path = toPath(part, 'part', 'ERR_INVALID_ARGUMENT')
  if (input !== undefined) expect.integer('input', input, { min: 0 })
  if (call !== undefined) expect.integer('call', call, { min: 0 })
  return {
    ...(input !== undefined && { input }),
    ...(call !== undefined && { call }),
    ...(path !== undefined && { part: path }),
  }
}
