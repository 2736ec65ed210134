import { join, parse, resolve } from 'node:path'

/** What is made of each picture: a name for the file of each kind. */
export interface OutputFiles {
  readonly kinds: readonly string[]
  /** The path of a picture, before it is written. */
  path(image: number, layer: string | null, target: string, kind: string): string
}

/**
 * Names every file that a run writes, all before the first is written: FOLDER/NAME-KIND.png, with the layer and the target
 * between where there are several of them. Where two would be the same, or one would be an image that is still to be read,
 * the later one has a number.
 */
export function nameOutputs(
  folder: string,
  images: readonly string[],
  layers: readonly (string | null)[],
  targets: readonly string[],
  kinds: readonly string[],
): OutputFiles {
  // Some file systems take A.png and a.png for one file.
  const key = (path: string): string => resolve(path).toLowerCase()
  const file = (stem: string, kind: string): string => join(folder, `${stem}-${kind}.png`)
  const taken = new Set(images.map(key))
  const stems = images.map((image) =>
    layers.map((layer) =>
      targets.map((target) => {
        const parts = [parse(image).name, layers.length > 1 ? layer : null, targets.length > 1 ? target : null]
        const wanted = parts
          .filter((part) => part !== null)
          .join('-')
          .replace(/[/\\:*?"<>|\s]+/g, '_')
        let stem = wanted
        for (let copy = 2; kinds.some((kind) => taken.has(key(file(stem, kind)))); copy++) stem = `${wanted}-${copy}`
        for (const kind of kinds) taken.add(key(file(stem, kind)))
        return stem
      }),
    ),
  )
  return {
    kinds,
    path: (image, layer, target, kind) =>
      file(stems[image]?.[layers.indexOf(layer)]?.[targets.indexOf(target)] ?? '', kind),
  }
}
