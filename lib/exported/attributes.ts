import { unsupported } from './unsupported.js'

/** Words that are not names of variables and attributes in TorchScript. */
const reserved = new Set(
  (
    'and as assert async await break class continue def del elif else except finally for from global if import in is ' +
    'lambda nonlocal not or pass raise return try while with yield None True False self torch annotate getattr int float ' +
    'bool str len print range list ops Tensor List Dict Optional Tuple'
  ).split(' '),
)

export const isReserved = (name: string): boolean => reserved.has(name)
const isIdentifier = (name: string): boolean => /^[A-Za-z_]\w*$/.test(name) && !isReserved(name)

/** A text as TorchScript writes it. Control characters and quotes cannot be in the names of a model. */
export function quoted(text: string): string {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f"\\\u007f]/.test(text)) throw unsupported(`has a name with a quote or a control character in it`)
  return `"${text}"`
}

/** `object.name`, or getattr where the name is not an identifier, as in a ModuleDict. */
export const attributeOf = (object: string, name: string): string =>
  isIdentifier(name) ? `${object}.${name}` : `getattr(${object}, ${quoted(name)})`

export const isBelow = (path: string, ancestor: string): boolean =>
  ancestor === '' || path === ancestor || path.startsWith(`${ancestor}.`)

/** The names from a module down to one below it. */
export const relativePath = (path: string, ancestor: string): string[] =>
  path === ancestor ? [] : (ancestor === '' ? path : path.slice(ancestor.length + 1)).split('.')

/** 'a.b.weight' as the path of its module and its own name. */
export function splitName(name: string): { path: string; own: string } {
  const dot = name.lastIndexOf('.')
  return dot < 0 ? { path: '', own: name } : { path: name.slice(0, dot), own: name.slice(dot + 1) }
}

/** The names of a method's variables. They depend on what the method does alone, so that equal calls have equal text. */
export class Variables {
  readonly #byValue = new Map<string, string>()
  readonly #taken = new Set<string>()
  readonly #next = new Map<string, number>()

  fresh(wish: string): string {
    const base = /^[A-Za-z_]\w*$/.test(wish) ? wish : `_${wish.replaceAll(/\W/g, '_')}`
    let name = base
    for (let n = this.#next.get(base) ?? 1; this.#taken.has(name) || isReserved(name); n++) {
      name = `${base}_${n}`
      this.#next.set(base, n)
    }
    this.#taken.add(name)
    return name
  }

  define(value: string, wish: string): string {
    const name = this.fresh(wish)
    this.#byValue.set(value, name)
    return name
  }

  find(value: string): string | undefined {
    return this.#byValue.get(value)
  }
}
