import { GradCamError } from '../base/errors.js'

/** The flags of options that the library's remedies speak of. */
const hints: Readonly<Record<string, string>> = {
  ERR_IMAGE_TOO_LARGE: '--max-pixels',
  ERR_TARGET: '--target and --of',
  ERR_MODEL_OPERATOR: '--library',
  ERR_MODEL_IS_STATE_DICT: '--model NAME --weights FILE',
}

/** Options that have flags of their own names. */
const named = ['reshape', 'part', 'call', 'input']

/** For an error, or one as data: ' (here: --max-pixels)', ' (here: --part)'; '' for most. */
export function hintOf(error: unknown): string {
  const { code, message, details } = (error instanceof GradCamError ? error : (error ?? {})) as Partial<GradCamError>
  const hint = code !== undefined && Object.hasOwn(hints, code) ? hints[code] : undefined
  const architecture = details?.['architecture']
  // The library writes targets as JavaScript does; the command line takes JSON.
  const json = message?.includes("kind: 'element'") ? `, e.g. --target '{"kind":"element","at":[0]}'` : ''
  const plain = typeof architecture === 'string' ? hint?.replace('NAME', architecture) : hint
  const own = plain === undefined ? undefined : `${plain}${json}${libraryOf(details)}`
  const flags = named.filter((name) => message?.includes(`\`${name}\``)).map((name) => `--${name}`)
  const all = [...(own === undefined ? [] : [own]), ...flags]
  return all.length === 0 ? '' : ` (here: ${all.join(', ')})`
}

/** The library that a model requires, where its name is known. */
function libraryOf(details: GradCamError['details']): string {
  const { operator, library } = details ?? {}
  return operator !== undefined && typeof library === 'string' ? ` ${library}` : ''
}
