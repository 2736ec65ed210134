import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { command as concepts } from '../../lib/cli/commands/concepts.js'
import { command } from '../../lib/cli/commands/explain.js'
import * as api from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { peersOrNull } from '../support/peer-maps.js'
import { runPython } from '../support/python.js'
import { smallNets } from '../support/models.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const { methods } = api
const script = pathToFileURL(join(packageRoot, 'scripts', 'docs', 'write-method-docs.mjs')).href
const { folder, pages } = (await import(script)) as { folder: string; pages: () => Promise<Record<string, string>> }
const texts = await pages()
const files = Object.keys(texts).sort()
const peers = await peersOrNull()

test('docs/methods says what the tables of methods say, and has nothing else', (t) => {
  for (const file of files)
    t.is(
      readFileSync(join(folder, file), 'utf8'),
      texts[file] as string,
      `${file}: run node scripts/docs/write-method-docs.mjs`,
    )
  t.deepEqual(readdirSync(folder).sort(), [...files, 'images'].sort())
  for (const { title } of Object.values(methods))
    t.true(
      Object.values(texts).some((text) => text.startsWith(`# ${title}\n`)),
      title,
    )
})

test('README counts the methods that there are', (t) => {
  const [, all, layers] = /\[(\d+) of them\]\(docs\/methods\/README\.md\): (\d+) of layers/.exec(
    readFileSync(join(packageRoot, 'README.md'), 'utf8'),
  ) ?? [undefined, undefined, undefined]
  t.is(Number(all), Object.keys(api.methods).length)
  t.is(Number(layers), Object.keys(api.camMethods).length)
})

test('what the pages link to is there, and every image is on a page', (t) => {
  const shown = new Set<string>()
  for (const file of files) {
    const text = texts[file] as string
    for (const [, address = ''] of text.matchAll(/(?:\]\(|src=")([^)"]+)[)"]/g)) {
      if (address.startsWith('https:')) continue
      t.true(existsSync(join(folder, address)), `${file}: ${address} (run node scripts/docs/write-method-docs.mjs)`)
      shown.add(address)
    }
  }
  for (const image of readdirSync(join(folder, 'images'))) t.true(shown.has(`images/${image}`), image)
})

/** The lines of code of a language on a page. */
const code = (text: string, language: string): string[] =>
  Array.from(text.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g')), ([, lines = '']) => lines)

test('what the pages tell to run on the command line has the options that there are', (t) => {
  for (const file of files)
    for (const line of code(texts[file] as string, 'sh')) {
      const { options } = /gradcam concepts /.test(line) ? concepts : command
      for (const [, option = ''] of line.matchAll(/--([a-z]+(?:-[a-z]+)*)/g))
        t.true(option in options, `${file}: ${line}`)
      const [, named = 'gradcam'] = /--method (\S+)/.exec(line) ?? []
      for (const method of named.split(',')) t.true(method in methods, `${file}: ${line}`)
    }
})

test.serial('the TypeScript of the pages runs', async (t) => {
  using model = await api.ScriptModule.load(join(packageRoot, 'samples', 'animals-densenet.pt'))
  using input = api.Tensor.from(
    Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => Math.sin(i / 7)),
    [1, 3, 64, 64],
  )
  const nets = await smallNets()
  using transformer = await api.ScriptModule.load(nets.file('vit'))
  using image = toTensor(nets.input('vit'))
  const ofAttention = api.attentionMethods.map((name) => `${name}.md`)
  const names = Object.keys(api)
  for (const file of files)
    for (const lines of code(texts[file] as string, 'ts')) {
      // Node before 24 has no `using`; the image is smaller here, and samples are few.
      const disposed: string[] = []
      const plain = lines
        .replace(/^using (\w+)/gm, (_, name: string) => `const ${(disposed.unshift(name), name)}`)
        .replace('[224, 224], [28, 28]', '[64, 64], [8, 8]')
        .replace(/'(lime|kernel-shap|shapley-sampling)' }/, "'$1', segments: 8, samples: 4 }")
      const results = Array.from(plain.matchAll(/^(found\.[^/\n]*)/gm), ([, result = '']) => result.trim())
      const statements = plain.replace(/^found\..*$/gm, '')
      const source = `return (async () => {${statements}
        const results = [${results.join(', ')}].map((one) => one?.shape ?? one)
        for (const one of [${disposed.join(', ')}]) one.dispose()
        return results
      })()`
      // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
      const run = new Function('model', 'input', ...names, source) as (...args: unknown[]) => Promise<unknown[]>
      const given = ofAttention.includes(file) ? [transformer, image] : [model, input]
      const found = await run(...given, ...names.map((name) => (api as Record<string, unknown>)[name]))
      t.true(found.length > 0, file)
      for (const one of found) t.true(Array.isArray(one) || typeof one === 'number', `${file}: ${String(one)}`)
      t.true(Array.isArray(found[0]) && found[0].length === 4, `${file}: ${String(found[0])}`)
    }
})

needing('peers', peers)('the peers have the classes that the tables name', async (t) => {
  const asked: Record<string, string[]> = {
    'pytorch-grad-cam': ['FinerCAM'],
    Captum: ['NoiseTunnel', 'FeaturePermutation'],
    'torch-cam': [],
  }
  for (const facts of Object.values(methods))
    for (const [library, name] of Object.entries(facts.peers)) asked[library]?.push(name)
  t.true((asked['Captum'] ?? []).length > 8)
  t.deepEqual(JSON.parse(await runPython(peers!, 'peer_classes.py', [JSON.stringify(asked)])), [])
})
