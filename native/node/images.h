#pragma once
#include <napi.h>

namespace gradcam::node {

// Work on the pixels of images, on the environment's executor of images: it must not wait for a model. The arrays
// belong to JavaScript, which must not change them until the promise settles.

// frameImage(pixels: Uint8Array, [height, width], framing, kernel, fill, table: Float32Array, planes: Float32Array)
Napi::Value frame_image_async(const Napi::CallbackInfo& info);

// drawMap(map: Float32Array, [height, width], image: Uint8Array | null, [height, width], framing, colors: Float32Array,
// alpha, result: Uint8Array | Uint16Array): an overlay where there is an image, else grey of the depth of the result
Napi::Value draw_map_async(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
