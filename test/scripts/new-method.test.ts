import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { camMethods } from '../../lib/index.js'
import { compileNative } from '../support/compile-native.js'
import { needing } from '../support/needs.js'
import { pythonPackagesOrNull } from '../support/numpy.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'

interface Scaffold {
  readonly scaffold: (root: string, name: string, title?: string) => string[]
  readonly identifierOf: (title: string) => string
  readonly files: Readonly<Record<string, string>>
}

const script = join(packageRoot, 'scripts', 'scaffold', 'new-method.mjs')
const { scaffold, identifierOf, files } = (await import(pathToFileURL(script).href)) as Scaffold
const packages = await pythonPackagesOrNull()

const name = 'smooth-cam'
const title = 'Smooth-CAM++'
const id = 'smooth_cam_plus_plus'

/** What holds methods, once more, with a new one. */
const copy = temporaryFolder(null)
for (const folder of ['assets', 'docs', 'lib', 'native', 'scripts', join('test', 'python')])
  cpSync(join(packageRoot, folder), join(copy, folder), { recursive: true })
for (const file of ['package.json', 'tsconfig.json', 'CMakeLists.txt', '.prettierrc.json'])
  cpSync(join(packageRoot, file), join(copy, file))
symlinkSync(join(packageRoot, 'node_modules'), join(copy, 'node_modules'))
const written = scaffold(copy, name, title)

test('CONTRIBUTING.md lists the files that the scaffold writes, and no others', (t) => {
  const text = readFileSync(join(packageRoot, 'CONTRIBUTING.md'), 'utf8')
  const [, section = ''] = /\n## Add a method\n([^]*?)\n## /.exec(text) ?? []
  const [, list = ''] = /\n\n((?:- .*\n(?: {2}.*\n)*)+)/.exec(section) ?? []
  const listed = Array.from(list.matchAll(/^- `([^`]+)`/gm), ([, file = '']) => file)
  t.deepEqual(
    listed.map((file) => file.replace('/smooth_cam.cc', '/{file}.cc')),
    Object.values(files),
  )
  t.deepEqual(
    written,
    Object.values(files).map((file) => file.replace('{file}', id)),
  )
})

test('with a new method the TypeScript compiles, and the docs have its page', async (t) => {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const config = { extends: './tsconfig.json', include: ['lib/**/*.ts'] }
  writeFileSync(join(copy, 'tsconfig.lib.json'), JSON.stringify(config))
  const compiled = runNode([tsc, '-p', 'tsconfig.lib.json'], {}, copy)
  t.is(compiled.code, 0, compiled.stdout)
  const bundle = "import('./scripts/build/bundle.mjs').then((module) => module.bundle(process.cwd()))"
  const bundled = runNode(['--eval', bundle], {}, copy)
  t.is(bundled.code, 0, bundled.stderr)
  const program = `
    import { methods } from 'libtorch-gradcam'
    import { pages } from './scripts/docs/write-method-docs.mjs'
    const texts = await pages()
    console.log(JSON.stringify({ names: Object.keys(methods), page: texts['${name}.md'], index: texts['README.md'] }))`
  writeFileSync(join(copy, 'pages.mjs'), program)
  const { code, stdout, stderr } = runNode(['pages.mjs'], {}, copy)
  t.is(code, 0, stderr)
  const { names, page, index } = JSON.parse(stdout) as { names: string[]; page: string; index: string }
  t.true(names.includes(name))
  t.true(page.startsWith(`# ${title}\n`))
  t.true(index.includes(`[${title}](${name}.md)`))
})

test('with a new method the C++ compiles, its table is that of the TypeScript, and it makes a map', async (t) => {
  t.timeout(600_000)
  const folder = join(copy, 'native', 'core', 'methods')
  const sources = readdirSync(folder).sort()
  t.true(sources.includes(`${id}.cc`))
  const pick = (end: string) => sources.filter((file) => file.endsWith(end)).map((file) => join(folder, file))
  const main = join(folder, 'main.cc')
  writeFileSync(
    main,
    `#include <iostream>
#include "method.h"
int main() {
  using namespace gradcam;
  for (const auto& name : layer_method_names()) std::cout << name << "\\n";
  LayerEvidence evidence;
  evidence.activation = torch::arange(12, torch::kDouble).view({1, 3, 2, 2});
  evidence.gradient = (torch::arange(12, torch::kDouble) % 5 - 2).view({1, 3, 2, 2});
  const auto map = layer_method("${name}").contribution(evidence).sum(1).flatten();
  for (int64_t i = 0; i < map.numel(); ++i) std::cout << map[i].item<double>() << " ";
  std::cout << std::endl;
}
`,
  )
  const program = await compileNative({
    name: 'new-method',
    sources: [...pick('.cc'), join(packageRoot, 'native', 'core', 'base', 'error.cc'), main],
    headers: pick('.h'),
    flags: ['-O0'], // it runs once
  })
  const { code, stdout, stderr } = await run(program, [])
  t.is(code, 0, stderr)
  const lines = stdout.trim().split('\n')
  t.deepEqual(lines.slice(0, -1), [...Object.keys(camMethods), name])
  const a = Array.from({ length: 12 }, (_, i) => i)
  const expected = [0, 1, 2, 3].map((at) => [0, 4, 8].reduce((sum, k) => sum + a[at + k]! * (((at + k) % 5) - 2), 0))
  t.deepEqual(lines.at(-1)!.trim().split(' ').map(Number), expected)
})

needing('packages', packages)('with a new method its formula is derived again in NumPy', async (t) => {
  const program = `
import sys, json
sys.path[:0] = ${JSON.stringify([join(copy, 'test', 'python'), join(copy, 'scripts', 'models')])}
import numpy as np, formulas
a, g = np.arange(12.0).reshape(3, 2, 2), (np.arange(12.0) % 5 - 2).reshape(3, 2, 2)
print(json.dumps(formulas.METHODS['${name}'](a, g).ravel().tolist()))`
  const { code, stdout, stderr } = await run('python3', ['-c', program], { env: packages! })
  t.is(code, 0, stderr)
  t.deepEqual(
    JSON.parse(stdout),
    [0, 1, 2, 3].map((at) => [0, 4, 8].reduce((sum, k) => sum + (at + k) * (((at + k) % 5) - 2), 0)),
  )
})

test('names and titles', (t) => {
  t.is(identifierOf('Grad-CAM++'), 'grad_cam_plus_plus')
  t.is(identifierOf('XGrad-CAM'), 'xgrad_cam')
  t.throws(() => scaffold(copy, 'gradcam', 'Grad-CAM'), { message: /grad_cam\.cc exists/ })
  t.throws(() => scaffold(copy, 'gradcam', 'Another CAM'), { message: /There is a method 'gradcam'/ })
  for (const wrong of ['Smooth', 'a_b', '-a', '', '../x'])
    t.throws(() => scaffold(copy, wrong), { message: /not a name/ })
})

test('no other file has a list of methods that a new one would have to be added to', (t) => {
  const names = Object.keys(camMethods)
  const lists = Object.values(files)
  const found = ['lib', 'native', 'scripts', 'test', 'examples'].flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => join(folder, file))
      .filter((file) => /\.(?:ts|mjs|py|h|cc)$/.test(file) && !lists.includes(file))
      .filter((file) => {
        const text = readFileSync(join(packageRoot, file), 'utf8')
        const named = names.filter((one) => text.includes(`'${one}'`) || text.includes(`"${one}"`))
        return 3 * named.length > 2 * names.length // tests that try some of them name fewer
      }),
  )
  t.deepEqual(found, [])
  // Nor is there a count of them in words or digits.
  for (const file of ['README.md', ...readdirSync(join(packageRoot, 'docs')).map((page) => join('docs', page))]) {
    if (!file.endsWith('.md')) continue
    const text = readFileSync(join(packageRoot, file), 'utf8')
    t.notRegex(text, new RegExp(`\\b(?:${names.length}|fifteen|sixteen|seventeen) methods\\b`, 'i'), file)
  }
})
