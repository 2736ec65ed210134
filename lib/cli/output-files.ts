import { join, parse, resolve } from 'node:path'

/** One of the things that are made of each image: one or more files that begin with the same name. */
export interface Variant {
  /** Null for what looks at no layer. */
  readonly layer: string | null
  readonly target: string
  readonly method: string
  /** What the names of its files end in. */
  readonly kinds: readonly string[]
}

export interface OutputFiles {
  /** The path of an image, before it is written. */
  path(image: number, variant: Omit<Variant, 'kinds'>, kind: string): string
}

/**
 * Names every file that a run writes, all before the first is written: FOLDER/NAME-KIND.png, with the layer, the target and
 * the method between where there are several of them. Where two would be the same, or one would be an image that is still to
 * be read, the later one has a number.
 */
export function nameOutputs(folder: string, images: readonly string[], variants: readonly Variant[]): OutputFiles {
  // Some file systems take A.png and a.png for one file.
  const key = (path: string): string => resolve(path).toLowerCase()
  const file = (stem: string, kind: string): string => join(folder, `${stem}-${kind}.png`)
  const several = (part: 'layer' | 'target' | 'method'): boolean =>
    new Set(variants.map((variant) => variant[part]).filter((value) => value !== null)).size > 1
  const telling = (['layer', 'target', 'method'] as const).filter(several)
  const taken = new Set(images.map(key))
  const nameOf = ({ layer, target, method }: Omit<Variant, 'kinds'>): string => JSON.stringify([layer, target, method])
  const stems = images.map((image) => {
    const named = new Map<string, string>()
    for (const variant of variants) {
      const wanted = [parse(image).name, ...telling.map((part) => variant[part])]
        .filter((part) => part !== null)
        .join('-')
        .replace(/[/\\:*?"<>|\s]+/g, '_')
      const files = (stem: string) => variant.kinds.map((kind) => key(file(stem, kind)))
      let stem = wanted
      for (let copy = 2; files(stem).some((path) => taken.has(path)); copy++) stem = `${wanted}-${copy}`
      for (const path of files(stem)) taken.add(path)
      named.set(nameOf(variant), stem)
    }
    return named
  })
  return { path: (image, variant, kind) => file(stems[image]?.get(nameOf(variant)) ?? '', kind) }
}
