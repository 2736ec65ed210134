// Sliders that show one value.

/**
 * Sliders that stand for the same value: whichever is moved, the others follow.
 *
 * @param {HTMLInputElement[]} inputs of the type range
 * @param {(value: number) => void} onChange called where a person moved one
 * @param {string} unit is read out after the value
 * @returns {(value: number) => void} sets the value, without a call back
 */
export function linkSliders(inputs, onChange, unit = '%') {
  const show = (value) => {
    for (const input of inputs) {
      input.value = String(value)
      input.setAttribute('aria-valuetext', `${value} ${unit}`)
      const shown = input.parentElement?.querySelector('output')
      if (shown) shown.textContent = `${value} ${unit}`
    }
  }
  for (const input of inputs)
    input.addEventListener('input', () => {
      show(Number(input.value))
      onChange(Number(input.value))
    })
  show(Number(inputs[0].value))
  return show
}
