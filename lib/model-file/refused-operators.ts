import type { SourceRecord } from './check.js'

/** Operators that reach files, other processes, or memory by its address. */
const refusedOperators: ReadonlySet<string> = new Set([
  'aten::from_file',
  'aten::save',
  'debugprims::load_tensor',
  'mkldnn::data_ptr',
  'prim::rpc_async',
  'prim::rpc_sync',
  'prim::rpc_remote',
])

/** The same of all operators whose names begin so: for several processes and devices, and for code that LibTorch compiles. */
const refusedFamilies: readonly string[] = [
  'c10d::',
  '_c10d_functional::',
  '_c10d_functional_autograd::',
  '_dtensor::',
  '_native::',
  'rpc::',
  'symm_mem::',
  'inductor::',
  'inductor_prims::',
  'aoti::',
  'profiler::',
  'cuda::',
]

/** Those of a model's operators that are refused in an untrusted model. */
export function refusedAmong(operators: readonly string[]): string[] {
  return operators.filter(
    (name) => refusedOperators.has(name) || refusedFamilies.some((start) => name.startsWith(start)),
  )
}

/**
 * The same as far as source shows it, which is before anything of it is compiled or run: a file's own code runs while it is
 * loaded. A method of the model's own that has the name of a refused operator is taken for it.
 */
export function refusedInSource(sources: readonly SourceRecord[]): string[] {
  const found = new Set<string>()
  for (const { text } of sources) {
    for (const [, name = ''] of text.matchAll(calls)) if (plainNames.has(name)) found.add(`aten::${name}`)
    // getattr(x, "save") is x.save
    if (/\bgetattr\b/.test(text))
      for (const [, name = ''] of text.matchAll(/["'](\w+)["']/g)) if (plainNames.has(name)) found.add(`aten::${name}`)
    for (const [, family = '', name = ''] of text.matchAll(/\bops\s*\.\s*(\w+)\s*\.\s*(\w+)/g))
      for (const refused of refusedAmong([`${family}::${name}`])) found.add(refused)
  }
  return [...found]
}

/** `.name(`, and a name alone where it follows a dot: a function may be kept in a variable first. */
const calls = /\.\s*(?:\\\n\s*)?(\w+)/g
const plainNames = new Set([...refusedOperators].map((name) => name.slice(name.indexOf('::') + 2)))
