import { fitsChannels } from '../images/frame-channels.js'
import type { ExpectedInput } from '../model/expected-input.js'
import type { Preprocess } from './preprocess.js'

/**
 * What is unusual about the images that a model is given, for people: ', grey as Pillow makes L'; '' for most models.
 *
 * @param scaled false where it was asked for that images stay from 0 to 1
 */
export function describeInput(
  { channels, dimensions, dtype }: ExpectedInput,
  preprocess: Pick<Preprocess, 'mean' | 'std'>,
  scaled = true,
): string {
  if (dimensions !== null && dimensions !== 2) return ''
  const facts = [
    ...(channels === null || channels === 3
      ? []
      : channels === 1
        ? ['grey as Pillow makes L']
        : [`${channels} channels`]),
    ...(channels !== null && scaled && !fitsChannels(preprocess, channels)
      ? [`from 0 to 1, since mean and deviation are for ${preprocess.mean.length} channels`]
      : []),
    ...(dtype === null || dtype === 'float32' ? [] : [`in ${dtype}`]),
  ]
  return facts.map((fact) => `, ${fact}`).join('')
}
