import test, { type ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { sampleLabels, sampleModel } from '../support/batch.js'
import { gradcam, runNode, temporaryFolder } from '../support/package-copy.js'
import { explained, post, refused } from '../support/server.js'
import { main } from '../support/workplace.js'

/** Starts the command; resolves with the address that it prints. */
async function serve(t: ExecutionContext, args: readonly string[]) {
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => void child.kill('SIGKILL'))
  let said = ''
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  while (!said.includes('\n') && child.exitCode === null && child.signalCode === null)
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  t.regex(said, /^listening on http:\/\/127\.0\.0\.1:\d+\n$/, errors)
  return { child, address: said.slice('listening on '.length).trim() }
}

test('without a model it serves the sample; SIGTERM ends it after what is in progress', async (t) => {
  const { child, address } = await serve(t, ['--batch-window', '200'])
  const answer = await explained(t, post(address, '?target=dog'))
  t.like(answer, { model: 'sample', size: [448, 448] })
  t.like(answer.maps[0], { layer: 'features', class: 1, label: 'dog' })
  t.regex(await (await fetch(`${address}/metrics`)).text(), /^process_resident_memory_bytes \d/m)
  const last = post(address)
  await new Promise((resolve) => setTimeout(resolve, 100))
  child.kill('SIGTERM')
  await explained(t, last)
  const [code] = (await once(child, 'exit')) as [number | null]
  t.is(code, 0)
})

test('several models by name, each with its own labels and layer, and a token', async (t) => {
  const folder = temporaryFolder(t)
  const labels = join(folder, 'names.txt')
  const token = join(folder, 'token')
  writeFileSync(labels, 'Katze\nHund\n')
  writeFileSync(token, 'a-token-of-sixteen-letters\n')
  const { address } = await serve(t, [
    ...['--model', `a=${sampleModel}`, '--model', sampleModel, '--labels', sampleLabels, '--labels', `a=${labels}`],
    ...['--layer', 'a=features.denseblock2', '--token-file', token, '--method', 'gradcam,layercam'],
  ])
  await refused(t, post(address), 401, 'ERR_TOKEN')
  const headers = { authorization: 'Bearer a-token-of-sixteen-letters', 'content-type': 'image/png' }
  const first = await explained(t, post(address, '?target=hund', undefined, { headers }))
  t.like(first, { model: 'a' })
  t.like(first.maps[0], { layer: 'features.denseblock2', label: 'Hund' })
  const second = await explained(t, post(address, '?model=animals-densenet&target=dog', undefined, { headers }))
  t.like(second.maps[0], { layer: 'features', label: 'dog' })
  await refused(t, post(address, '?method=rise', undefined, { headers }), 403, 'ERR_METHOD')
})

test('a wrong call is refused before a model is loaded', (t) => {
  const cases: [args: string[], code: number, message: RegExp][] = [
    [['--host', '0.0.0.0'], 2, /--token-file/],
    [['--model', 'a.pt', '--model', 'b/a.pt'], 2, /two models have the name "a"/],
    [['--model', 'a.pt', '--model', 'b.pt', '--labels', sampleLabels, '--labels', main], 2, /--labels NAME=/],
    [['--token-file', join(packageRoot, 'nothing')], 1, /does not exist/],
    [['--token-file', sampleLabels], 2, /one token/],
    [['--max-batch', '0'], 2, /--max-batch/],
    [['--method', 'gradcm'], 2, /Did you mean gradcam/],
    [['--model', join(packageRoot, 'nothing.pt')], 1, /does not exist/],
  ]
  for (const [args, code, message] of cases) {
    const ended = gradcam(['serve', ...args])
    t.is(ended.code, code, args.join(' '))
    t.regex(ended.stderr, message)
    t.is(ended.stdout, '')
  }
})

test('where its packages are not installed, an error says which to install', (t) => {
  const folder = temporaryFolder(t)
  cpSync(join(packageRoot, 'dist', 'lib'), join(folder, 'dist', 'lib'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const program = `
    import { serverPackages } from '${join(folder, 'dist', 'lib', 'server', 'packages.js')}'
    await serverPackages().catch((error) => console.log(JSON.stringify(error)))`
  const { stdout, stderr } = runNode(['--input-type=module', '-e', program], {}, folder)
  t.is(stderr, '')
  t.like(JSON.parse(stdout), { code: 'ERR_TOOL_MISSING' })
  t.regex(stdout, /npm install fastify@5/)
})
