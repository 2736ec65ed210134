import test, { type ExecutionContext } from 'ava'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ScriptModule } from '../../lib/index.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { runSmallJob } from '../support/faults/small-job.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { lines, main } from '../support/workplace.js'

const model = await ScriptModule.load(sampleModel)
test.after.always(() => model.dispose())

/** A folder beside the images with a file that no job may change. */
async function withSecret(t: ExecutionContext) {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'sub/b.jpg', 'sub/deep/c.jpg'])
  const outside = join(folder, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'precious'), 'precious')
  const out = join(folder, 'out')
  mkdirSync(out)
  const unchanged = () => {
    t.deepEqual(readdirSync(outside), ['precious'])
    t.is(readFileSync(join(outside, 'precious'), 'utf8'), 'precious')
  }
  return { folder, unchanged, out }
}

test.serial('a folder below that of the results that is a link is not written to', async (t) => {
  const { folder, unchanged, out } = await withSecret(t)
  symlinkSync('../outside', join(out, 'sub'))
  t.like(await runSmallJob(model, folder, false), { explained: 1, failed: 2 })
  unchanged()
  for (const line of lines(out))
    if (line.id === 'a.jpg') t.true('files' in line)
    else if ('error' in line) {
      t.is(line.error.code, 'ERR_IMAGE_WRITE', line.id)
      t.regex(line.error.message, /a link has its path, or that of its folder.*Remove the link/)
    } else t.fail(`${line.id} was written`)
  t.is(lines(out).length, 3)
})

test.serial('links at the paths of the job and its report: files, partial files and folders', async (t) => {
  const { folder, unchanged, out } = await withSecret(t)
  const names = ['a.jpg.overlay.jpg', 'manifest.jsonl.partial', 'job.json.partial', 'report.html', '.gradcam-partial']
  for (const name of names)
    symlinkSync(name === '.gradcam-partial' ? '../outside' : '../outside/precious', join(out, name))
  t.like(await runSmallJob(model, folder, false), { explained: 3, failed: 0 })
  unchanged()
  for (const name of names)
    if (name === 'a.jpg.overlay.jpg' || name === 'report.html') t.true(lstatSync(join(out, name)).isFile(), name)
    else t.false(existsSync(join(out, name)), name)
})

test.serial('links in place of what a job reads of itself are refused', async (t) => {
  for (const name of ['manifest.jsonl', 'job.json']) {
    const { folder, unchanged, out } = await withSecret(t)
    // A job needs a line to be resumed, or its own job.json is not looked at.
    if (name === 'job.json') await runSmallJob(model, folder, false)
    rmSync(join(out, name), { force: true })
    symlinkSync('../outside/precious', join(out, name))
    const refused = { code: 'ERR_FILE_UNREADABLE', message: /cannot be read \(ELOOP\)/ }
    await t.throwsAsync(runSmallJob(model, folder, true), refused, name)
    unchanged()
  }
})

test.serial('gradcam explain does not follow a link in its folder', async (t) => {
  const { folder, unchanged, out } = await withSecret(t)
  symlinkSync('../outside/precious', join(out, 'a-gcam.png'))
  symlinkSync('../outside/new', join(out, 'a-overlay.png'))
  const args = ['explain', 'in/a.jpg', '--model', sampleModel, '--layer', 'features', '--out', 'out']
  const ended = runNode([main, ...args], {}, folder)
  t.is(ended.code, 0, ended.stderr)
  unchanged()
  for (const name of ['a-gcam.png', 'a-overlay.png']) t.true(lstatSync(join(out, name)).isFile())
})
