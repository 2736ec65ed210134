import type { Preprocess } from './specification.js'
import { fromTimm } from './timm.js'

const imagenetScale = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const
const clipScale = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] } as const
const black = [0, 0, 0] as const

/** torchvision's `ImageClassification(crop_size, resize_size)`, which its classification weights name. */
function torchvision(crop: number, resize: number): Preprocess {
  return { resize, resample: 'bilinear', crop: [crop, crop], fill: black, ...imagenetScale }
}

function timm(size: number, cropPct: number, interpolation: string, cropMode = 'center'): Preprocess {
  const config = { input_size: [3, size, size], crop_pct: cropPct, interpolation, crop_mode: cropMode }
  return { ...fromTimm(config), ...imagenetScale }
}

/** The preprocessings that have names. */
export const presets = Object.freeze({
  /** torchvision's IMAGENET1K_V1 weights of nearly all models: shorter side 256, centre 224. */
  imagenet: torchvision(224, 256),
  /** torchvision's IMAGENET1K_V2 weights, e.g. of resnet50. */
  'imagenet-v2': torchvision(224, 232),
  /** torchvision's inception_v3. */
  inception: torchvision(299, 342),
  /** timm's usual ones, by crop_pct. */
  timm: timm(224, 0.875, 'bicubic'),
  'timm-0.9': timm(224, 0.9, 'bicubic'),
  'timm-0.95': timm(224, 0.95, 'bicubic'),
  'timm-1.0': timm(224, 1, 'bicubic'),
  'timm-bilinear': timm(224, 0.875, 'bilinear'),
  /** OpenAI's CLIP. */
  clip: { resize: 224, resample: 'bicubic', crop: [224, 224], fill: black, ...clipScale },
  /** The whole image, whatever its proportions. */
  squash: { resize: [224, 224], resample: 'bilinear', crop: null, fill: black, ...imagenetScale },
  /** The whole image in its proportions, with ImageNet's mean colour around it. */
  letterbox: { ...timm(224, 1, 'bilinear', 'border'), fill: [124, 116, 104] },
} satisfies Record<string, Preprocess>)

/** The name of a preset of {@link presets}. */
export type PresetName = keyof typeof presets

export function isPresetName(name: string): name is PresetName {
  return Object.hasOwn(presets, name)
}
