import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { pinnedVersion } from '../../lib/setup/libtorch/find.js'
import { gradcam } from '../support/package-copy.js'
import { listening, sampleServed } from '../support/server.js'

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

const wordsOf = (instruction: RegExp): string[] =>
  JSON.parse(instruction.exec(texts['Dockerfile.serve'] ?? '')?.[1] ?? '[]') as string[]

test('the image of the server starts it with options that it has', (t) => {
  const [program, command = '', ...rest] = wordsOf(/^ENTRYPOINT (.*)$/m)
  t.is(program, 'node_modules/.bin/gradcam')
  const { code, stdout } = gradcam([command, '--help'])
  t.is(code, 0)
  const options = rest.filter((word) => word.startsWith('--'))
  t.true(options.length > 0)
  for (const option of options) t.true(stdout.includes(`  ${option} `), option)
})

test('the health check of the image is content with a server that answers, and with no other', async (t) => {
  const [program, flag, script = ''] = wordsOf(/^HEALTHCHECK .*CMD (.*)$/m)
  t.deepEqual([program, flag], ['node', '-e'])
  const served = await sampleServed()
  t.teardown(() => served.model.dispose())
  const { address, server } = await listening(t, { models: { sample: served }, token: 'a-token-of-sixteen-letters' })
  const check = async (path = '/healthz'): Promise<number | null> => {
    const there = script.replace('http://127.0.0.1:8080/healthz', address + path)
    t.not(there, script)
    const child = spawn(process.execPath, ['-e', there])
    const [code] = (await once(child, 'exit')) as [number | null]
    return code
  }
  t.is(await check(), 0)
  t.is(await check('/v1/models'), 1)
  await server.close()
  t.is(await check(), 1)
})

test('the PyTorch that the Dockerfile for GPUs installs is the one that this package installs', (t) => {
  t.is(/torch==(\S+)/.exec(texts['Dockerfile.cuda'] ?? '')?.[1], pinnedVersion)
  const minor = pinnedVersion.split('.').slice(0, 2).join('.')
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8')
  t.is(/with LibTorch [\d.]+ to ([\d.]+) the addon comes with/.exec(readme)?.[1], minor)
})

test("the image that runs looks for the addon where the one that builds put it, and the devcontainer's file is JSON", (t) => {
  for (const name of ['Dockerfile.cpu', 'Dockerfile.serve']) {
    const stages = (texts[name] ?? '').split(/^FROM /m).slice(1)
    t.is(stages.length, 2, name)
    for (const stage of stages) t.true(/GRADCAM_CACHE=\/opt\/gradcam\b/.test(stage) && /WORKDIR \/app$/m.test(stage))
  }
  const devcontainer = readFileSync(join(packageRoot, '.devcontainer', 'devcontainer.json'), 'utf8')
  t.like(JSON.parse(devcontainer), { containerEnv: { GRADCAM_CACHE: '/opt/gradcam' } })
})
