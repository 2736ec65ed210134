/** torchvision's classification and segmentation models, in the order of their families. */
export const torchvisionNames = [
  'alexnet',
  ...['121', '161', '169', '201'].map((n) => `densenet${n}`),
  ...['18', '34', '50', '101', '152'].map((n) => `resnet${n}`),
  ...['50_32x4d', '101_32x8d', '101_64x4d'].map((n) => `resnext${n}`),
  'wide_resnet50_2',
  'wide_resnet101_2',
  ...['11', '13', '16', '19'].flatMap((n) => [`vgg${n}`, `vgg${n}_bn`]),
  'squeezenet1_0',
  'squeezenet1_1',
  'mobilenet_v2',
  'mobilenet_v3_small',
  'mobilenet_v3_large',
  ...['0_5', '0_75', '1_0', '1_3'].map((n) => `mnasnet${n}`),
  ...['x0_5', 'x1_0', 'x1_5', 'x2_0'].map((n) => `shufflenet_v2_${n}`),
  ...['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'v2_s', 'v2_m', 'v2_l'].map((n) => `efficientnet_${n}`),
  ...['tiny', 'small', 'base', 'large'].map((n) => `convnext_${n}`),
  ...['400mf', '800mf', '1_6gf', '3_2gf', '8gf', '16gf', '32gf'].flatMap((n) => [`regnet_x_${n}`, `regnet_y_${n}`]),
  'regnet_y_128gf',
  ...['b_16', 'b_32', 'l_16', 'l_32', 'h_14'].map((n) => `vit_${n}`),
  ...['t', 's', 'b', 'v2_t', 'v2_s', 'v2_b'].map((n) => `swin_${n}`),
  'maxvit_t',
  'googlenet',
  'inception_v3',
  'fcn_resnet50',
  'fcn_resnet101',
  'deeplabv3_resnet50',
  'deeplabv3_resnet101',
  'deeplabv3_mobilenet_v3_large',
  'lraspp_mobilenet_v3_large',
]

/** The most used of timm's models, one or more of a family. */
export const timmNames = (
  'resnet18 resnet34 resnet50 resnet101 resnet152 resnet26d resnet50d resnext50_32x4d wide_resnet50_2 seresnet50 ecaresnet50d ' +
  'res2net50_26w_4s resnest14d resnest50d densenet121 vgg11_bn vgg16 inception_v3 inception_v4 inception_resnet_v2 xception41 ' +
  'mobilenetv2_100 mobilenetv3_small_100 mobilenetv3_large_100 mnasnet_100 efficientnet_b0 efficientnet_b1 efficientnet_b2 ' +
  'efficientnet_b3 efficientnet_b4 efficientnet_lite0 tf_efficientnet_b0 tf_efficientnet_b4 tf_efficientnet_b7 ' +
  'tf_efficientnet_lite0 tf_efficientnetv2_b0 tf_efficientnetv2_s tf_efficientnetv2_m convnext_atto convnext_tiny ' +
  'convnext_small convnext_base convnextv2_nano convnextv2_tiny convnextv2_base regnety_004 regnety_008 regnety_016 ' +
  'regnety_032 regnetx_032 nfnet_l0 ghostnet_100 hrnet_w18 hrnet_w18_small dla34 rexnet_100 repvgg_a0 repvgg_a2 edgenext_small ' +
  'mobilevit_s poolformer_s12 fastvit_t8 vit_tiny_patch16_224 vit_small_patch16_224 vit_base_patch16_224 vit_base_patch32_224 ' +
  'vit_large_patch16_224 deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 beit_base_patch16_224 ' +
  'swin_tiny_patch4_window7_224 swin_small_patch4_window7_224 swin_base_patch4_window7_224 cait_xxs24_224 pit_ti_224 pit_s_224 ' +
  'mixer_s32_224 mixer_b16_224 levit_128s coat_tiny crossvit_tiny_240 maxvit_tiny_tf_224 eva02_tiny_patch14_224'
)
  .split(' ')
  .map((name) => `timm:${name}`)
