import { join, parse, resolve } from 'node:path'

/** One explanation of an image: one or more files that begin with the same name. */
export interface Variant {
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  readonly target: string
  readonly method: string
  /** The endings of its files. */
  readonly kinds: readonly string[]
}

export interface OutputFiles {
  /** The path of a file. */
  path(image: number, variant: Omit<Variant, 'kinds'>, kind: string): string
}

/**
 * Names every file of a run before the first one is written: FOLDER/NAME-KIND.png, with the layer, the target and the method
 * after NAME where there are several of them. Where two names would be the same, or one would be that of an image to read,
 * the later one gets a number.
 */
export function nameOutputs(folder: string, images: readonly string[], variants: readonly Variant[]): OutputFiles {
  // For some file systems A.png and a.png are the same file.
  const key = (path: string): string => resolve(path).toLowerCase()
  const file = (stem: string, kind: string): string => join(folder, `${stem}-${kind}.png`)
  const several = (part: 'layer' | 'target' | 'method'): boolean =>
    new Set(variants.map((variant) => variant[part]).filter((value) => value !== null)).size > 1
  const distinct = (['layer', 'target', 'method'] as const).filter(several)
  const taken = new Set(images.map(key))
  const nameOf = ({ layer, target, method }: Omit<Variant, 'kinds'>): string => JSON.stringify([layer, target, method])
  const stems = images.map((image) => {
    const named = new Map<string, string>()
    for (const variant of variants) {
      const plain = [parse(image).name, ...distinct.map((part) => variant[part])]
        .filter((part) => part !== null)
        .join('-')
        .replace(/[/\\:*?"<>|\s]+/g, '_')
      const files = (stem: string) => variant.kinds.map((kind) => key(file(stem, kind)))
      let stem = plain
      for (let copy = 2; files(stem).some((path) => taken.has(path)); copy++) stem = `${plain}-${copy}`
      for (const path of files(stem)) taken.add(path)
      named.set(nameOf(variant), stem)
    }
    return named
  })
  return { path: (image, variant, kind) => file(stems[image]?.get(nameOf(variant)) ?? '', kind) }
}
