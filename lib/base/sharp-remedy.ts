/**
 * What to do where sharp does not load: npm leaves its binary out with --omit=optional, and where node_modules was made on
 * another platform.
 */
export const sharpRemedy =
  'Install it for this platform: npm install --include=optional sharp (its binary is an optional dependency).'
