import { GradCamError } from '../base/errors.js'
import { checkModel, type Model } from '../model/model.js'

/**
 * The blocks of a transformer, in order: the longest row of modules of one type side by side, of which none lies inside another of the
 * row's parts. Of rows as long as that it is the one with the most parameters.
 *
 * @throws GradCamError ERR_NO_ATTENTION where no two modules are side by side
 */
export function suggestBlocks(model: Model): readonly string[] {
  const rows = new Map<string, { readonly paths: string[]; parameters: number }>()
  for (const { path, typeName, hookable, parameters } of checkModel(model).namedModules()) {
    const [, parent, name] = /^(.*?)\.?([^.]+)$/.exec(path) ?? []
    if (!hookable || parent === undefined || !/\d+$/.test(name ?? '')) continue
    const key = `${parent} ${typeName}`
    const row = rows.get(key) ?? { paths: [], parameters: 0 }
    row.paths.push(path)
    row.parameters += parameters
    rows.set(key, row)
  }
  const [best] = [...rows.values()]
    .filter(({ paths }) => paths.length > 1)
    .sort((a, b) => b.paths.length - a.paths.length || b.parameters - a.parameters)
  if (best) return best.paths
  throw new GradCamError(
    'ERR_NO_ATTENTION',
    'The model has no row of modules of one type, which blocks of a transformer are.',
    {
      remedy: 'Name them: `blocks`.',
    },
  )
}
