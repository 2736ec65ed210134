#include "image_parts.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace gradcam {

namespace {

// Like `part`, with room for so many images.
Tensor make_room(const Tensor& part, int64_t images) {
  auto sizes = part.sizes().vec();
  sizes.at(0) = images;
  return at::empty(sizes, part.options(), part.suggest_memory_format());
}

}  // namespace

int64_t images_of_part(const Tensor& batch, int64_t usual) {
  constexpr int64_t kImage = int64_t{224} * 224, kPixelsOfThread = 2 * kImage;
  const auto images = batch.size(0);
  if (!batch.is_cpu() || images == 0) return images;
  const auto pixels = std::max<int64_t>(1, batch.size(2) * batch.size(3));
  const auto most = std::max<int64_t>(1, std::max(usual * kImage, kPixelsOfThread * at::get_num_threads()) / pixels);
  const auto parts = (images + most - 1) / most;
  return (images + parts - 1) / parts;
}

std::vector<IValue> run_in_parts(std::vector<IValue> inputs, size_t images,
                                 const std::function<std::vector<IValue>(std::vector<IValue>)>& run) {
  constexpr int64_t kUsual = 16;
  const auto& given = inputs.at(images);
  if (!given.isTensor() || given.toTensor().dim() != 4) return run(std::move(inputs));
  const auto batch = given.toTensor();
  const auto most = images_of_part(batch, kUsual);
  if (most == batch.size(0)) return run(std::move(inputs));
  std::vector<Tensor> whole;
  int64_t start = 0;
  for (const auto& part : batch.split(most)) {
    inputs[images] = part;
    const auto values = run(inputs);
    whole.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const auto value = values[i].toTensor();
      if (!whole[i].defined()) whole[i] = make_room(value, batch.size(0));
      whole[i].narrow(0, start, part.size(0)).copy_(value);
    }
    start += part.size(0);
  }
  return {whole.begin(), whole.end()};
}

}  // namespace gradcam
