import type { ExecutionContext } from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JobLine } from '../../lib/jobs/job-line.js'
import { packageRoot } from '../../lib/base/paths.js'
import { sampleModel, writeJpegs } from './batch.js'
import { runNode, temporaryFolder, type Ended } from './package-copy.js'

/** The command line. */
export const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
export const common = ['--model', sampleModel, '--layer', 'features']

/** The manifest of a job, whose lines must all be whole. */
export function lines(out: string): JobLine[] {
  const text = readFileSync(join(out, 'manifest.jsonl'), 'utf8').split('\n')
  return text.filter((line) => line !== '').map((line) => JSON.parse(line) as JobLine)
}

/** A folder with images, and a way to run jobs in it. */
export async function workplace(
  t: ExecutionContext,
  names: readonly string[] = ['a.jpg', 'sub/b.jpg'],
): Promise<{ folder: string; batch: (args: readonly string[]) => Ended }> {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names)
  return { folder, batch: (args) => runNode([main, 'batch', ...args], {}, folder) }
}
