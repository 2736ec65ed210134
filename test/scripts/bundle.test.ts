import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as modules from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { sampleModel } from '../support/batch.js'
import { temporaryFolder } from '../support/package-copy.js'

// The other tests run the modules of dist/lib one by one; users run dist/bundle, which is made of them.
const bundleFolder = join(packageRoot, 'dist', 'bundle')
const name: string = 'libtorch-gradcam'
const bundle = (await import(name)) as typeof modules

test('the bundle exports what lib exports, under the same names', (t) => {
  const describe = (library: object) =>
    Object.entries(library).map(([key, value]) => [key, typeof value, typeof value === 'function' ? value.name : null])
  t.deepEqual(describe(bundle), describe(modules))
  t.not(bundle.Tensor, modules.Tensor, 'it is the bundle that was compared')
})

test('every program that lib starts is in the bundle, and nothing else that stands alone', (t) => {
  const started = new Set(['index.js', 'internal.js', join('cli', 'main.js')])
  for (const path of readdirSync(join(packageRoot, 'lib'), { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue
    const text = readFileSync(join(packageRoot, 'lib', path), 'utf8')
    t.notRegex(
      text,
      /new URL\([^)]*import\.meta\.url/,
      `${path}: a bundle holds no file beside it; see program in base/paths.ts`,
    )
    for (const [, program = ''] of text.matchAll(/\bprogram\('([^']*)'/g)) started.add(join(program))
  }
  t.true(started.size >= 9, [...started].join())
  for (const path of started) t.true(existsSync(join(bundleFolder, path)), path)
  const inFolders = readdirSync(bundleFolder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /[\\/].*\.js$/.test(path),
  )
  t.deepEqual(
    inFolders.filter((path) => !started.has(path)),
    [],
  )
})

test('the bundle explains as lib does, in this process and in the programs that it starts', async (t) => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><circle cx="20" cy="15" r="9" fill="red"/></svg>'
  const results = []
  for (const library of [bundle, modules]) {
    const { GradCam, ScriptModule, loadImage } = library
    // A trial of the model in a process of its own, and an image that another one draws.
    using model = await ScriptModule.load(sampleModel, { trust: 'untrusted' })
    using image = await loadImage(new TextEncoder().encode(svg), { size: [64, 64], svg: true })
    using cam = new GradCam(model, ['features'])
    using explanation = await cam.explain(image)
    results.push([...explanation.maps[0]!.map.toTypedArray()])
  }
  t.deepEqual(results[0], results[1])
})

test('the command line of the bundle writes the same files as that of lib', (t) => {
  const folder = temporaryFolder(t)
  const [first, second] = ['bundle', 'lib'].map((kind) => {
    const out = join(folder, kind)
    const main = join(packageRoot, 'dist', kind, 'cli', 'main.js')
    const image = join(packageRoot, 'samples', 'cat_dog.png')
    execFileSync(process.execPath, [
      main,
      'explain',
      '--model',
      sampleModel,
      '--layer',
      'features',
      '--out',
      out,
      image,
    ])
    return readdirSync(out).map((file) => [file, readFileSync(join(out, file), 'base64')])
  })
  t.true((first ?? []).length >= 2)
  t.deepEqual(first, second)
})
