const importLine = /^import \{([^}]*)\} from '\.\/([\w-]+\.js)'$/gm
const exported = /^export (?=(?:async function|function|const|class) (\w+))/gm
const otherSyntax = /^(?:import|export)\b.*$/m

/**
 * Joins ES modules into one script, for a page that is opened from a file: such a page cannot import other files. Each
 * module becomes a function that is called once, after those of the modules that it imports, and returns its exports.
 *
 * It reads `import { a, b as c } from './name.js'`, one statement a line, and `export` before a function, a constant or a
 * class; the modules must not import each other in a circle.
 *
 * @param entry the file name of the module to start with
 * @param read gives the text of a module by its file name
 * @throws Error for other forms of import and export
 */
export async function bundleModules(entry: string, read: (name: string) => Promise<string>): Promise<string> {
  const bundled = new Map<string, string>()
  await add(entry, read, bundled)
  return ['const modules = {}', ...bundled.values()].join('\n')
}

async function add(name: string, read: (name: string) => Promise<string>, bundled: Map<string, string>): Promise<void> {
  if (bundled.has(name)) return
  const text = await read(name)
  for (const [, , imported] of text.matchAll(importLine)) await add(imported as string, read, bundled)
  const names = Array.from(text.matchAll(exported), ([, exportedName]) => exportedName as string)
  const code = text
    .replace(importLine, (_, list: string, from: string) => {
      return `const {${list.replaceAll(/ as /g, ': ')}} = modules['${from}']`
    })
    .replace(exported, '')
  const left = otherSyntax.exec(code)?.[0]
  if (left !== undefined) throw new Error(`${name} has a line that cannot be bundled: ${left}`)
  bundled.set(name, `modules['${name}'] = (() => {\n${code}\nreturn { ${names.join(', ')} }\n})()`)
}
