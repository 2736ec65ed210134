#pragma once
#include <napi.h>

namespace gradcam::node {

// Work on the pixels of images. What gives a promise runs on the environment's executor of images: it must not wait for
// a model. Its arrays belong to JavaScript, which must not change them until the promise settles.

// frameImage(pages: Uint8Array[], [height, width], framing, kernel, fill, table: Float32Array, grey): the three
// channels of one page, or each page as a plane of grey
Napi::Value frame_image_async(const Napi::CallbackInfo& info);

// unpackPixels(bytes, { start, stride, bottomUp, height, width }, form, result: Uint8Array) -> what is wrong with the
// bytes, or null: red, green and blue of each pixel of a file without compression, see core/images/unpack.h
Napi::Value unpack_pixels_async(const Napi::CallbackInfo& info);

// drawMap(map: Float32Array, [height, width], image: Uint8Array | null, [height, width], framing, colors: Float32Array,
// alpha, result: Uint8Array | Uint16Array): an overlay where there is an image, else grey of the depth of the result
Napi::Value draw_map_async(const Napi::CallbackInfo& info);

// overlay(images, maps, colors: Float32Array, alpha) and colorize(values, colors: Float32Array), of tensors and on the
// calling thread: see core/images/overlay.h
Napi::Value overlay_images(const Napi::CallbackInfo& info);
Napi::Value colorize_values(const Napi::CallbackInfo& info);

// superpixels(images, segments, compactness, iterations, ticket) -> labels, int64 [N, 1, H, W]: see
// core/images/superpixels.h
Napi::Value superpixels_async(const Napi::CallbackInfo& info);

// felzenszwalb(images, scale, sigma, least pixels, ticket) -> labels, int64 [N, 1, H, W]: see
// core/images/felzenszwalb.h
Napi::Value felzenszwalb_async(const Napi::CallbackInfo& info);

// regionGains(values, labels, dilation, least pixels, ticket) -> float64 [N, 1, H, W]: see core/images/regions.h
Napi::Value region_gains_async(const Napi::CallbackInfo& info);

// paintConcepts(image, maps, most: Float64Array, colors: Float64Array, alpha, ticket) -> uint8 [H, W, 3]: see
// core/images/concepts.h
Napi::Value paint_concepts_async(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
