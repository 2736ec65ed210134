import { reference, type Reference } from './reference.js'

/** The two classes of the reference document, one for each image of the batch: tiger cat and boxer. */
export const twoClasses = [283, 243]

/** Both inside one dense block, the first feeding the second. */
export const blockLayers = ['features.denseblock4.denselayer15.conv2', 'features.denseblock4.denselayer16.conv2']

/** Each lies inside the last: containers, and a gradient that passes through one captured layer to reach another. */
export const nestedLayers = ['features.denseblock4.denselayer15', 'features.denseblock4', 'features']

/**
 * What eager PyTorch says of a seeded densenet121 on a batch of two, and its TorchScript files. The seed is one with
 * which none of the maps asked for is all zero.
 */
export function densenetReference(): Promise<Reference> {
  return reference('densenet121', {
    densenet121: {
      seed: 2,
      input_seed: 1,
      cases: {
        one_class: { method: 'gradcam', layers: ['features'], target: 283 },
        two_classes: { method: 'gradcam', layers: ['features'], target: twoClasses },
        block: { method: 'gradcam', layers: blockLayers, target: twoClasses },
        nested: { method: 'gradcam', layers: nestedLayers, target: twoClasses },
        guided_modules: { method: 'guided', scope: 'modules', target: twoClasses },
        guided_all: { method: 'guided', scope: 'all', target: twoClasses },
        gradient: { method: 'gradient', target: twoClasses },
        mixed: { method: 'mixed', layer: 'features', target: twoClasses },
      },
    },
  })
}

/**
 * Guided backprop of the same net in float64. At its usual size float32 cannot tell the side of hundreds of its 30 million
 * gates, so that there a gradient is right to within some thousandths; here it is to 1e-9.
 */
export function doubleDensenetReference(): Promise<Reference> {
  return reference('densenet121-double', {
    densenet121_double: {
      seed: 2,
      input_seed: 1,
      size: [2, 3, 96, 128],
      cases: {
        guided_modules: { method: 'guided', scope: 'modules', target: twoClasses },
        guided_all: { method: 'guided', scope: 'all', target: twoClasses },
      },
    },
  })
}
