import { openBytes, type ByteSource } from '../archive/byte-source.js'
import { Zip } from '../archive/zip.js'
import { GradCamError } from '../base/errors.js'
import type { ModelPlan } from '../exported/plan.js'
import { isProgramArchive } from '../exported/program-file.js'
import { translateProgram } from '../exported/translate.js'

/**
 * The plan of a model file that is not TorchScript. Null for all other files, which the addon reads, or refuses.
 *
 * @throws GradCamError as `translateProgram` does
 */
export function readPlan(from: string | Uint8Array, device: string): ModelPlan | null {
  using source = openOrNull(from)
  const zip = source && zipOf(source)
  return source && zip && isProgramArchive(zip) ? translateProgram(source, zip, device) : null
}

/** The addon says what is wrong with a file that cannot be opened. */
function openOrNull(from: string | Uint8Array): ByteSource | null {
  try {
    return openBytes(from)
  } catch (error) {
    if (error instanceof GradCamError) return null
    throw error
  }
}

function zipOf(source: ByteSource): Zip | null {
  try {
    if (source.size < 4 || source.read(0, 2).toString('latin1') !== 'PK') return null
    return new Zip({ source, position: 0, length: source.size })
  } catch (error) {
    if (error instanceof GradCamError || (error as NodeJS.ErrnoException).code === 'EISDIR') return null
    throw error
  }
}
