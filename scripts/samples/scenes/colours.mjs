/** Colours never tell what an animal is: every animal draws its own from the same ranges. */

export const hsl = (/** @type {number} */ hue, /** @type {number} */ saturation, /** @type {number} */ lightness) =>
  `hsl(${(((hue % 360) + 360) % 360).toFixed(0)},${saturation.toFixed(0)}%,${lightness.toFixed(0)}%)`

/**
 * @param {import('./random.mjs').Random} random
 * @returns {import('./animals.mjs').Palette}
 */
export function animalColours(random) {
  const hue = random.between(0, 360)
  const kind = random.between(0, 1)
  // A fifth grey or nearly white or dark, a third the browns of fur, the rest anything.
  const saturation = kind < 0.2 ? random.between(0, 12) : random.between(40, 85)
  const lightness = kind < 0.2 ? random.between(32, 82) : random.between(48, 66)
  const base = kind > 0.67 ? random.between(18, 42) : hue
  return {
    body: hsl(base, saturation, lightness),
    dark: hsl(base - 8, saturation * 0.9, lightness * random.between(0.55, 0.75)),
    light: hsl(base + 10, saturation * 0.8, 100 - (100 - lightness) * random.between(0.15, 0.4)),
    accent: hsl(random.between(0, 360), random.between(60, 90), random.between(58, 74)),
    trim: hsl(random.between(0, 360), random.between(50, 90), random.between(45, 70)),
    ink: hsl(hue, 20, random.between(10, 18)),
  }
}

/** @typedef {{ sky: string, ground: string, detail: string, any: () => string }} BackgroundColours */

/**
 * Three related colours for a background, pale or deep: sky, ground and detail.
 *
 * @param {import('./random.mjs').Random} random
 * @returns {BackgroundColours}
 */
export function backgroundColours(random) {
  const hue = random.between(0, 360)
  const saturation = random.between(10, 60)
  const lightness = random.chance(0.75) ? random.between(60, 88) : random.between(22, 45)
  const tint = (/** @type {number} */ turn, /** @type {number} */ step) =>
    hsl(hue + turn, saturation, Math.min(94, Math.max(10, lightness + step)))
  return {
    sky: tint(0, random.between(-4, 8)),
    ground: tint(random.between(-60, 60), random.between(-16, -6)),
    detail: tint(random.between(-90, 90), random.between(-14, 14)),
    any: () => hsl(hue + random.between(-120, 120), random.between(15, 75), lightness + random.between(-20, 12)),
  }
}
