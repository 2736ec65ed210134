import { GradCamError } from '../base/errors.js'
import { checkModel, type Model } from '../model/model.js'

/**
 * The blocks of a transformer, in order: of all rows of modules of one type side by side that with the most parameters, which is most of
 * the model.
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
    .sort((a, b) => b.parameters - a.parameters || b.paths.length - a.paths.length)
  if (best) return best.paths
  throw new GradCamError(
    'ERR_NO_ATTENTION',
    'The model has no row of modules of one type, which blocks of a transformer are.',
    {
      remedy: 'Name them: `blocks`.',
    },
  )
}
