/**
 * The eight animals. Each is drawn in a square of 100 x 100 (y down) with the colours it is given: what tells them apart
 * is shape alone. `outline` is the convex hull of all that an animal may draw, measured on its pixels: its box after
 * turning follows from it.
 *
 * @typedef {{ body: string, dark: string, light: string, accent: string, trim: string, ink: string }} Palette
 * @typedef {{ outline: string, draw: (colours: Palette, random: import('./random.mjs').Random) => string }} Animal
 */

/** @type {(x: number, y: number, r: number, ink: string) => string} */
const eye = (x, y, r, ink) =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="#fff"/><circle cx="${x}" cy="${y}" r="${r * 0.68}" fill="${ink}"/>` +
  `<circle cx="${x + r * 0.25}" cy="${y - r * 0.28}" r="${r * 0.24}" fill="#fff"/>`

/** @type {(cx: number, cy: number, rx: number, ry: number, fill: string, turn?: number) => string} */
const ellipse = (cx, cy, rx, ry, fill, turn = 0) =>
  `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="${fill}"` +
  (turn ? ` transform="rotate(${turn} ${cx} ${cy})"/>` : '/>')

const shape = (/** @type {string} */ d, /** @type {string} */ fill) => `<path d="${d}" fill="${fill}"/>`

const line = (/** @type {string} */ d, /** @type {string} */ colour, width = 2) =>
  `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"/>`

/** The left half's markup, and its mirror image about x = 50. */
const both = (/** @type {string} */ half) => `${half}<g transform="translate(100 0) scale(-1 1)">${half}</g>`

/** @satisfies {Record<string, Animal>} */
export const animals = {
  cat: {
    outline: '11,39 23,4 77,4 90,39 99,66 99,77 98,81 95,86 92,89 87,92 63,97 37,97 28,94 25,90 11,46',
    draw({ body, dark, light, accent, ink }, random) {
      const striped = random.chance(0.6)
      return (
        line('M70 89 C94 92 100 74 90 58', dark, 9) +
        line('M92.5 66 C92 62 91 60 90 58', light, 9) +
        shape('M50 44 C30 48 23 72 25 88 Q26 95 36 95 L64 95 Q74 95 75 88 C77 72 70 48 50 44Z', body) +
        ellipse(50, 72, 13, 17, light) +
        both(ellipse(39, 91, 9, 5.5, light) + line('M36.5 92 V95 M40.5 92 V95', dark, 1.3)) +
        line('M50 76 V94', dark, 1.6) +
        both(shape('M20 34 L23 5 Q24 3 26 5 L46 18Z', body) + shape('M24.5 25 L26.5 11 L37 18.5Z', accent)) +
        ellipse(50, 34, 31, 22, body) +
        (striped ? line('M50 13 V22 M43 14 L44.5 21 M57 14 L55.5 21', dark, 3) : '') +
        (striped ? both(line('M20 38 L27 38.5 M22 44 L28 43', dark, 2.4)) : '') +
        ellipse(50, 44, 12.5, 9, light) +
        eye(38, 33, 6, ink) +
        eye(62, 33, 6, ink) +
        shape('M46 39.5 H54 L50 44Z', accent) +
        line('M50 44 q-1 5 -6 4 M50 44 q1 5 6 4', ink, 1.5) +
        both(line('M35 43 L11 39 M35 45.5 L11 45.5', ink, 1.1))
      )
    },
  },

  dog: {
    outline:
      '10,29 13,22 19,14 24,11 29,9 53,7 71,9 76,11 84,17 87,22 91,32 97,60 95,68 92,77 85,85 74,94 67,97 34,97 26,93 24,91 9,48 8,41',
    draw({ body, dark, light, accent, trim, ink }, random) {
      const patched = random.chance(0.6)
      return (
        line('M72 86 C84 84 90 74 92 61', body, 9) +
        shape('M50 42 C30 46 21 70 23 88 Q24 95 35 95 L65 95 Q76 95 77 88 C79 70 70 46 50 42Z', body) +
        ellipse(50, 76, 14, 16, light) +
        both(ellipse(37, 90.5, 11, 6, light) + line('M34 92 V96 M39 92 V96', dark, 1.4)) +
        line('M50 80 V95', dark, 1.6) +
        shape('M31 54 Q50 66 69 54 L70 60 Q50 72 30 60Z', trim) +
        `<circle cx="50" cy="67" r="4" fill="${dark}"/>` +
        ellipse(50, 32, 27, 25, body) +
        (patched ? ellipse(62, 27, 9.5, 11, light, 15) : '') +
        both(shape('M33 9 C16 8 5 30 9 47 C11 55 23 55 26 45 C28 36 29 24 37 14Z', dark)) +
        ellipse(50, 42, 18, 12.5, light) +
        shape('M43 48 H57 V56 Q57 63 50 63 Q43 63 43 56Z', accent) +
        line('M50 50 V57', ink, 1) +
        eye(39, 27, 5, ink) +
        eye(61, 27, 5, ink) +
        ellipse(50, 36.5, 7.5, 5.2, ink) +
        ellipse(48, 35, 2.2, 1.3, '#fff') +
        line('M50 41 V46 M39 46 Q45 51 50 46.5 Q55 51 61 46', ink, 1.7)
      )
    },
  },

  rabbit: {
    outline: '24,13 27,7 33,1 67,1 73,7 76,13 88,78 88,82 80,96 71,98 29,98 21,96 19,94',
    draw({ body, dark, light, accent, ink }, random) {
      const folded = random.chance(0.35)
      const ear = ellipse(37, 22, 9, 21, body, -9) + ellipse(37.3, 23, 4.6, 15, accent, -9)
      const foldedEar =
        shape('M29 42 C22 26 22 6 32 4 C42 2 48 18 46 42Z', body) +
        shape('M24 14 C26 4 40 2 44 14 L40 27 C38 19 30 14 24 14Z', dark)
      return (
        `<circle cx="78" cy="80" r="9.5" fill="${light}"/>` +
        ellipse(50, 77, 26, 20, body) +
        ellipse(50, 78, 16, 15, light) +
        both(folded ? foldedEar : ear) +
        ellipse(50, 51, 26, 20, body) +
        both(ellipse(33, 93, 14, 5, light) + line('M24 93 h3 M24.5 95.5 h3', dark, 1.2)) +
        both(ellipse(41, 75, 5.5, 8, body, 20)) +
        both(ellipse(33, 57, 5.5, 3.6, accent)) +
        both(ellipse(45, 57, 7, 5.5, light)) +
        shape('M45.5 60 H54.5 V66 Q54.5 67.5 53 67.5 H47 Q45.5 67.5 45.5 66Z', '#fff') +
        line('M50 60 V67', dark, 1) +
        eye(39, 47, 4.8, ink) +
        eye(61, 47, 4.8, ink) +
        ellipse(50, 53, 3.8, 2.8, accent) +
        line('M50 55 V59 M44 60 Q47 62 50 59 Q53 62 56 60', ink, 1.4)
      )
    },
  },

  frog: {
    outline:
      '1,89 16,23 18,18 23,14 28,12 72,12 77,13 82,18 85,23 100,89 99,92 98,93 90,95 65,97 35,97 10,95 2,93 1,92',
    draw({ body, dark, light, accent, ink }, random) {
      const spotted = random.chance(0.6)
      const toes = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ colour) =>
        `<circle cx="${x - 7}" cy="${y}" r="3.4" fill="${colour}"/><circle cx="${x}" cy="${y + 1.5}" r="3.4" fill="${colour}"/>` +
        `<circle cx="${x + 7}" cy="${y}" r="3.4" fill="${colour}"/>`
      return (
        both(ellipse(20, 71, 13, 22, dark, 22) + ellipse(18, 88, 14, 4.5, dark) + toes(11, 90, dark)) +
        ellipse(50, 68, 31, 26, body) +
        ellipse(50, 78, 21, 16, light) +
        both(`<circle cx="30" cy="27" r="15" fill="${body}"/>`) +
        ellipse(50, 47, 38, 23, body) +
        both(eye(30, 27, 10.5, ink)) +
        both(ellipse(20, 51, 5, 3.6, accent)) +
        line('M19 46 Q50 72 81 46', ink, 2.4) +
        line('M46 42 v1.5 M54 42 v1.5', ink, 2.2) +
        (spotted ? ellipse(50, 33, 5, 3, dark) + ellipse(40, 38, 3, 2, dark) + ellipse(61, 37, 3.4, 2.2, dark) : '') +
        both(line('M37 68 Q33 80 36 91', dark, 7) + toes(36, 92, dark))
      )
    },
  },

  bird: {
    outline: '2,47 60,6 70,4 100,36 67,97 33,97 5,76 1,62',
    draw({ body, dark, light, accent, ink }, random) {
      const crested = random.chance(0.6)
      return (
        shape('M28 54 L2 47 L9 57 L1 62 L9 68 L5 76 L32 72Z', dark) +
        line('M44 80 L42 94 M34 95.5 L42 94 L49 95.5 M58 80 L58 94 M50 95.5 L58 94 L66 95.5', accent, 2.6) +
        (crested ? shape('M58 20 C54 14 56 9 60 6 C61 10 63 12 65 13 C65 9 67 6 70 4 C70 10 74 14 76 18Z', dark) : '') +
        shape('M22 60 C26 44 46 46 54 30 C58 14 84 12 87 34 C90 60 76 84 52 84 C34 84 22 76 22 60Z', body) +
        shape('M86 40 C88 62 76 82 54 82.5 C66 76 70 52 86 40Z', light) +
        shape(
          'M28 56 C34 42 60 46 62 58 C64 74 44 80 36 72 C40 72 42 70 42 68 C36 70 30 66 31 63 C34 64 36 62 36 60 C32 61 29 59 28 56Z',
          dark,
        ) +
        shape('M85 27 L99.5 36 L85.5 42 Q82 34 85 27Z', accent) +
        line('M84 35.5 L96 36.2', ink, 1.1) +
        ellipse(70, 40, 4.4, 3, accent) +
        eye(74, 29, 5.4, ink)
      )
    },
  },

  fish: {
    outline: '3,52 9,42 38,18 41,15 47,14 54,14 98,27 98,78 44,92 13,67 4,56',
    draw({ body, dark, light, accent, ink }, random) {
      const striped = random.chance(0.6)
      return (
        shape('M68 52 C78 46 88 28 98 27 C93 40 92 46 95 52 C92 58 93 66 98 78 C88 76 78 58 68 52Z', dark) +
        shape('M28 34 C32 14 50 10 60 16 C58 24 60 32 66 40Z', dark) +
        shape('M40 70 C40 80 38 86 44 92 C54 90 60 82 60 70Z', dark) +
        shape('M3 52 C14 24 52 20 78 52 C52 86 14 80 3 52Z', body) +
        shape('M5 56 C18 80 52 82 76 54 C56 64 30 70 5 56Z', light) +
        (striped ? shape('M43 30.5 C50 42 50 62 43 74.5 L51 72 C57 60 57 44 51 33.5Z', light) : '') +
        (striped ? shape('M60 38 C64 46 64 59 60 67 L66 62.5 C69 56 69 48 66 41.5Z', light) : '') +
        (striped
          ? ''
          : line(
              'M46 44 q4 3 0 6 M56 42 q4 3 0 6 M51 51 q4 3 0 6 M61 50 q4 3 0 6 M46 58 q4 3 0 6 M56 58 q4 3 0 6',
              dark,
              1.8,
            )) +
        line('M33 36 C39 45 39 58 33 68', dark, 2.2) +
        shape('M36 54 C44 52 50 56 50 62 C44 66 38 62 36 54Z', accent) +
        eye(20, 46, 6.6, ink) +
        line('M4.5 55 Q10 60 14 57', ink, 1.9)
      )
    },
  },

  turtle: {
    outline: '13,45 19,35 24,31 29,27 38,24 49,23 91,34 94,36 97,39 99,45 99,50 86,94 84,95 15,95 1,77',
    draw({ body, dark, light, accent, ink }, random) {
      const plates = random.chance(0.7)
      return (
        shape('M14 70 L1 77 Q6 81 18 78Z', light) +
        both(shape('M15 72 H33 L31 91 Q31 95 26 95 H18 Q13 95 14 90Z', light)) +
        line('M18 93 v1 M23 93 v1 M76 93 v1 M81 93 v1', ink, 1.6) +
        shape(
          'M68 78 C78 78 76 62 77 52 C76 38 84 33 90 34 C98 36 100 46 98 53 C96 60 90 60 89 66 C88 78 82 86 68 84Z',
          light,
        ) +
        shape('M8 73 C6 8 82 4 84 73Q46 80 8 73Z', body) +
        (plates
          ? shape('M46 29 L58 36 V50 L46 57 L34 50 V36Z', dark) +
            shape('M30 33 L31 52 L19 59 L12 57 C15 46 21 38 30 33Z', dark) +
            shape('M62 33 L61 52 L73 59 L80 57 C77 46 71 38 62 33Z', dark) +
            shape('M33 55 L45 61 V68 H22 L22 62Z', dark) +
            shape('M59 55 L48 61 V68 H70 V62Z', dark)
          : line('M46 26 V66 M28 30 C24 42 22 54 22 66 M64 30 C68 42 70 54 70 66 M14 50 C34 40 58 40 78 50', dark, 3)) +
        shape('M5 69 Q46 78 87 69 Q90 77 82 79 Q46 86 10 79 Q2 77 5 69Z', dark) +
        eye(89, 44, 4.6, ink) +
        line('M91 54 Q95 55 97 51', ink, 1.7) +
        ellipse(86, 51, 2.6, 1.8, accent)
      )
    },
  },

  butterfly: {
    outline:
      '2,22 3,15 5,12 9,9 35,3 65,3 91,9 95,12 97,15 99,22 99,29 88,80 85,86 81,91 75,94 25,94 20,91 15,86 13,80 2,29',
    draw({ body, dark, light, accent, ink }, random) {
      const ringed = random.chance(0.6)
      return (
        both(
          shape('M49 54 C40 42 22 46 14 60 C8 74 14 92 26 94 C40 95 48 78 49 62Z', dark) +
            shape('M46 59 C38 50 26 54 20 64 C16 74 20 86 28 87 C38 87 44 74 46 64Z', light) +
            shape('M49 52 C48 30 28 6 10 9 C-2 12 0 36 8 46 C18 58 40 58 49 54Z', dark) +
            shape('M45 49 C42 32 26 14 13 15 C5 18 7 34 13 42 C20 51 36 53 45 50Z', body) +
            (ringed
              ? `<circle cx="20" cy="29" r="8" fill="${light}"/><circle cx="20" cy="29" r="4.4" fill="${accent}"/>` +
                `<circle cx="28" cy="74" r="5" fill="${accent}"/>`
              : line('M44 48 C36 40 26 30 16 24 M44 50 C34 46 24 44 14 40', dark, 2) +
                ellipse(28, 72, 6, 9, accent, 30)),
        ) +
        both(line('M49 28 C46 16 42 10 36 6', ink, 1.6) + `<circle cx="35.5" cy="5.5" r="2.6" fill="${ink}"/>`) +
        shape('M50 34 C56 40 56 76 50 90 C44 76 44 40 50 34Z', ink) +
        line('M46.5 52 h7 M46.3 60 h7.4 M46.8 68 h6.4', light, 1.5) +
        `<circle cx="50" cy="31" r="6.4" fill="${ink}"/>` +
        `<circle cx="47.4" cy="30" r="1.7" fill="#fff"/><circle cx="52.6" cy="30" r="1.7" fill="#fff"/>`
      )
    },
  },
}
