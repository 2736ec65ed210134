import type { Judged } from './judged.js'
import type { Values } from './stored-tensor.js'

const sizes = ({ shape, data }: Values): Values => {
  const numbers = new Float64Array(data.length)
  for (let i = 0; i < data.length; i++) numbers[i] = Math.abs(Number(data[i]))
  return { shape, data: numbers }
}

/** What a saliency map is expected to be, of the gradient that is expected. */
export function absolute(gradient: Judged): Judged {
  const { judge } = gradient
  if (!judge) return sizes(gradient)
  return { ...sizes(gradient), judge: { exact: sizes(judge.exact), otherSide: sizes(judge.otherSide) } }
}
