#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace gradcam {

// Rows of red, green and blue bytes.
struct PixelsView {
  const uint8_t* data;
  int height, width;
};

// How an image becomes the input of a model: it is resized to `resized_height` x `resized_width` and cropped to the
// window. Where the window is larger than the resized image it is padded with `fill`.
struct Framing {
  int resized_height, resized_width;
  int top, left, height, width;
};

// Resampling kernels by Pillow's names, with their support at scale 1.
struct Kernel {
  const char* name;
  double support;
  double (*weight)(double distance);
};

// bilinear, bicubic or lanczos; null for any other name.
const Kernel* find_kernel(const std::string& name);

// The window as float32 planes [3, height, width]: `table` has, for each channel, the value of each of the 256 bytes.
// The bytes are those of Pillow's Image.resize, which is antialiased and rounds to bytes between its two passes.
void frame_image(const PixelsView& image, const Framing& framing, const Kernel& kernel,
                 const std::array<uint8_t, 3>& fill, const float* table, float* planes);

// The same for one plane [height, width] of grey: that of Pillow's convert('L'), before the image is resized. `table`
// has the value of each of the 256 bytes.
void frame_grey(const PixelsView& image, const Framing& framing, const Kernel& kernel,
                const std::array<uint8_t, 3>& fill, const float* table, float* plane);

}  // namespace gradcam
