import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { pinnedVersion } from '../../lib/setup/libtorch/find.js'
import { gradcam } from '../support/package-copy.js'

const folder = join(packageRoot, 'examples', 'deploy')
const texts = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]))

test('what the examples of deployment call is there, with the options that they give', (t) => {
  const calls = Object.entries(texts).flatMap(([name, text]) =>
    Array.from(text.matchAll(/npx gradcam ([a-z]+)(.*)$/gm), ([, command = '', rest = '']) => ({
      name,
      command,
      rest,
    })),
  )
  t.true(calls.length >= 3)
  for (const { name, command, rest } of calls) {
    const { code, stdout } = gradcam([command, '--help'])
    t.is(code, 0, `${name}: ${command}`)
    for (const [option] of rest.matchAll(/--[a-z]+/g)) t.true(stdout.includes(option), `${name}: ${command} ${option}`)
  }
})

test('the PyTorch that the Dockerfile for GPUs installs is the one that this package installs', (t) => {
  t.is(/torch==(\S+)/.exec(texts['Dockerfile.cuda'] ?? '')?.[1], pinnedVersion)
  const minor = pinnedVersion.split('.').slice(0, 2).join('.')
  t.true(readFileSync(join(packageRoot, 'README.md'), 'utf8').includes(`with LibTorch ${minor} the addon comes with`))
})

test("the image that runs looks for the addon where the one that builds put it, and the devcontainer's file is JSON", (t) => {
  const stages = (texts['Dockerfile.cpu'] ?? '').split(/^FROM /m).slice(1)
  t.is(stages.length, 2)
  for (const stage of stages) t.true(/GRADCAM_CACHE=\/opt\/gradcam\b/.test(stage) && /WORKDIR \/app$/m.test(stage))
  const devcontainer = readFileSync(join(packageRoot, '.devcontainer', 'devcontainer.json'), 'utf8')
  t.like(JSON.parse(devcontainer), { containerEnv: { GRADCAM_CACHE: '/opt/gradcam' } })
})
