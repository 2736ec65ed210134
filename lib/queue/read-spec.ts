import { batchFiles } from '../batch/encode.js'
import { checkBatchSettings } from '../batch/methods.js'
import { checkBatchTarget } from '../batch/target.js'
import { expect } from '../base/check.js'
import { digest } from '../base/digest.js'
import { GradCamError } from '../base/errors.js'
import { inOneLine } from '../base/one-line.js'
import type { JobSpec } from '../jobs/job-spec.js'
import { methodNames } from '../methods/table.js'
import type { Workspace } from './workspace.js'

/** SHA-256 of the job.json of a job; null where there is none. */
export async function digestOfSpec(workspace: Workspace): Promise<string | null> {
  const bytes = await workspace.specBytes()
  return bytes && digest(bytes)
}

/**
 * The specification of a job as its folder holds it, where that is the one that was enqueued.
 *
 * @throws GradCamError ERR_QUEUE_REFUSED
 */
export async function readQueuedSpec(workspace: Workspace, expected: string): Promise<JobSpec> {
  const { out } = workspace
  const before = await digestOfSpec(workspace)
  const spec = await workspace.readSpec()
  if (!spec || before !== expected)
    throw new GradCamError('ERR_QUEUE_REFUSED', `The job in '${out}' is not the one that was enqueued.`, {
      remedy: 'Enqueue it again.',
      details: { out },
    })
  try {
    check(spec)
  } catch (cause) {
    throw new GradCamError('ERR_QUEUE_REFUSED', `The job in '${out}' is refused: ${inOneLine(cause)}`, { cause })
  }
  return spec
}

/** What decides which files are read and written; the rest is checked where it is used. */
function check(spec: JobSpec): void {
  const { path, sha256 } = expect.options(spec.model, 'model')
  expect.path('model.path', expect.string('model.path', path))
  expect.string('model.sha256', sha256)
  expect.oneOf('method', spec.method, methodNames)
  if (spec.settings !== undefined) checkBatchSettings(spec.settings, spec.method)
  const isKind = (kind: unknown): kind is string => batchFiles.some((one) => one === kind)
  expect.list('write', spec.write, isKind, 'kinds of files')
  expect.number('alpha', spec.alpha, { min: 0, max: 1 })
  checkBatchTarget(spec.target)
  expect.string('base', spec.base)
}
