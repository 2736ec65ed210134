import test, { type ExecutionContext } from 'ava'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import express from 'express'
import fastify from 'fastify'
import { packageRoot } from '../../lib/base/paths.js'
import { createServer } from '../../lib/index.js'
import { sampleModel } from '../support/batch.js'
import { launchBrowser } from '../support/browser.js'
import { openExplorer, untilStatus } from '../support/explorer.js'
import { needing } from '../support/needs.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { explained, listening, sampleServed, type ExplainAnswer } from '../support/server.js'
import { main } from '../support/workplace.js'

const browser = await launchBrowser()
const served = { ...(await sampleServed()), file: 'animals-densenet.pt' }
test.after.always(async () => {
  await browser?.close()
  served.model.dispose()
})
const inBrowser = needing('browser', browser, test.serial)

inBrowser('the page works below a prefix, with a slash at its end and without', async (t) => {
  const models = { animals: served }
  const app = fastify()
  const plugin = await createServer({ models })
  await app.register(plugin.plugin, { prefix: '/deep/gradcam' })
  const web = express()
  const handler = await createServer({ models })
  t.teardown(() => handler.close())
  web.use('/gradcam', handler.handler)
  const http = createHttpServer(web).listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => void http.close())
  const first = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const second = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  for (const [address, path] of [
    [first, '/deep/gradcam'],
    [first, '/deep/gradcam/'],
    [second, '/gradcam'],
    [second, '/gradcam/'],
  ] as const) {
    const page = await openExplorer(browser, t, address, { at: `${path}#sample=cat_dog.png` })
    await untilStatus(page, /^cat_dog\.png: cat, score 6\.83/)
    t.is(new URL(page.url()).pathname, path.replace(/\/?$/, '/'))
  }
})

/** The texts with which the page says how to get what it shows. */
async function textsOf(t: ExecutionContext, settings: string): Promise<readonly [command: string, program: string]> {
  const { address } = await listening(t, { models: { animals: served } })
  const page = await openExplorer(browser, t, address, { at: `/#sample=cat_dog.png&${settings}` })
  await untilStatus(page, /2 of 2 maps/)
  const text = (selector: string) => page.$eval(selector, (one) => one.textContent ?? '')
  return [await text('#command'), await text('#program')]
}

async function answerOf(t: ExecutionContext, options: object): Promise<ExplainAnswer> {
  const { address } = await listening(t, { models: { animals: served } })
  const form = new FormData()
  form.set('options', JSON.stringify(options))
  form.set('image', new Blob([new Uint8Array(readFileSync(join(packageRoot, 'samples', 'cat_dog.png')))]))
  return explained(t, fetch(`${address}/v1/explain`, { method: 'POST', body: form }))
}

/** A folder with what the texts name. */
function workingFolder(t: ExecutionContext): string {
  const folder = temporaryFolder(t)
  copyFileSync(sampleModel, join(folder, 'animals-densenet.pt'))
  copyFileSync(join(packageRoot, 'samples', 'cat_dog.png'), join(folder, 'cat_dog.png'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(packageRoot, join(folder, 'node_modules', 'libtorch-gradcam'))
  symlinkSync(join(packageRoot, 'node_modules', '@types'), join(folder, 'node_modules', '@types'))
  return folder
}

inBrowser('the program that the page shows compiles, and gives the maps that it shows', async (t) => {
  const [, program] = await textsOf(t, 'class=1&minus=0&method=layercam&method=saliency&layer=features.denseblock2')
  const folder = workingFolder(t)
  writeFileSync(join(folder, 'program.mts'), program)
  const require = createRequire(import.meta.url)
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const options = ['--strict', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck', '--outDir', folder]
  const types = ['--types', 'node', '--preserveSymlinks']
  const compiled = runNode([tsc, ...options, ...types, join(folder, 'program.mts')], {}, folder)
  t.is(compiled.stdout, '')
  // What it prints in short is read as a whole.
  const whole = `import { appendFileSync } from 'node:fs'
    console.log = (method, target, score, [, , height, width], data) =>
      appendFileSync('printed', JSON.stringify([method, target, score, height, width, [...data]]) + '\\n')\n`
  writeFileSync(join(folder, 'program.mjs'), whole + readFileSync(join(folder, 'program.mjs'), 'utf8'))
  const { stderr } = runNode([join(folder, 'program.mjs')], {}, folder)
  t.is(stderr, '')
  const target = { kind: 'difference', class: 1, minus: 0 }
  const answer = await answerOf(t, { method: ['layercam', 'saliency'], layer: 'features.denseblock2', target })
  const lines = readFileSync(join(folder, 'printed'), 'utf8').trim().split('\n')
  t.is(lines.length, 2)
  for (const [i, line] of lines.entries()) {
    const [method, index, score, height, width, data] = JSON.parse(line) as [
      ...[string, number, number, number, number],
      number[],
    ]
    const map = answer.maps[i]
    t.deepEqual([method, index, height, width], [map?.method, map?.class, map?.height, map?.width])
    t.true(Math.abs(score - (map?.score ?? NaN)) < 1e-4)
    // See answers.test.ts.
    const off = Math.hypot(...data.map((value, at) => value - (map?.values?.[at] ?? NaN)))
    t.true(off <= 1e-5 * Math.hypot(...data), `${method} differs by ${off}`)
  }
})

inBrowser('the command that the page shows runs in a shell, and explains the same', async (t) => {
  const [command] = await textsOf(t, 'class=1&minus=0&method=gradcam&method=saliency')
  const folder = workingFolder(t)
  const shell = `npx() { shift; "${process.execPath}" "${main}" "$@"; }\n${command.trimEnd()} --json`
  const { stdout, stderr, status } = spawnSync('sh', ['-c', shell], { cwd: folder, encoding: 'utf8' })
  t.is(status, 0, stderr)
  const target = { kind: 'difference', class: 1, minus: 0 }
  const answer = await answerOf(t, { method: ['gradcam', 'saliency'], target })
  const found = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { method: string; target: number; score: number; layer: string | null })
  for (const [i, map] of answer.maps.entries()) {
    const { method, target: index, layer, score } = found[i] ?? {}
    t.deepEqual([method, index, layer ?? null], [map.method, map.class, map.layer])
    t.true(Math.abs((score ?? NaN) - map.score) < 1e-4, `${score} is not ${map.score}`)
  }
})
