#include "images.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convert.h"
#include "core/base/error.h"
#include "core/images/concepts.h"
#include "core/images/felzenszwalb.h"
#include "core/images/overlay.h"
#include "core/images/regions.h"
#include "core/images/render_map.h"
#include "core/images/resample.h"
#include "core/images/superpixels.h"
#include "core/images/unpack.h"
#include "handles.h"

namespace gradcam::node {

namespace {

// Keeps the typed arrays alive, among the arguments, whose memory a job reads or fills.
std::shared_ptr<const Environment::Kept> keep_arrays(const Napi::CallbackInfo& info,
                                                     std::initializer_list<size_t> arrays) {
  auto list = Napi::Array::New(info.Env(), arrays.size());
  uint32_t count = 0;
  for (const size_t index : arrays) list[count++] = info[index];
  return Environment::of(info.Env()).keep(list);
}

// Runs `work` on the executor of images; it reads or fills `arrays`.
Napi::Promise start(const Napi::CallbackInfo& info, std::initializer_list<size_t> arrays, std::function<void()> work) {
  auto& environment = Environment::of(info.Env());
  return environment.submit<bool>(
      environment.executors().images(), 0,
      [work = std::move(work), held = keep_arrays(info, arrays)](const CancelFlag&) {
        work();
        return true;
      },
      [](Napi::Env env, bool&) { return env.Undefined(); });
}

template <typename Element>
Element* elements(const Napi::Value& value, size_t count, const char* what) {
  auto array = value.As<Napi::TypedArrayOf<Element>>();
  if (array.ElementLength() != count)
    throw Error("ERR_SHAPE", std::string(what) + " has " + std::to_string(array.ElementLength()) + " elements, not " +
                                 std::to_string(count) + ".");
  return array.Data();
}

constexpr int64_t kLongest = 1 << 30;

std::pair<int, int> to_size(const Napi::Value& value, const char* what) {
  const auto sizes = to_integers(value, what);
  if (sizes.size() != 2 || sizes[0] < 1 || sizes[1] < 1 || sizes[0] > kLongest || sizes[1] > kLongest)
    throw Error("ERR_SHAPE", std::string(what) + " is not a [height, width].");
  return {static_cast<int>(sizes[0]), static_cast<int>(sizes[1])};
}

size_t area(std::pair<int, int> size) { return static_cast<size_t>(size.first) * static_cast<size_t>(size.second); }

Framing to_framing(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  const auto resized = to_size(object.Get("resized"), "resized");
  const auto window = to_size(object.Get("size"), "size");
  const auto offset = to_integers(object.Get("offset"), "offset");
  return {resized.first, resized.second, static_cast<int>(offset.at(0)), static_cast<int>(offset.at(1)),
          window.first,  window.second};
}

// A framing with the part of an image of that size that it shows.
SeenPart to_seen_part(const Napi::Value& value, std::pair<int, int> size) {
  const auto edges = to_integers(value.As<Napi::Object>().Get("region"), "region");
  if (edges.size() != 4 || edges[0] < 0 || edges[1] < 0 || edges[0] > edges[2] || edges[1] > edges[3] ||
      edges[2] > size.first || edges[3] > size.second)
    throw Error("ERR_SHAPE", "region is not [top, left, bottom, right] inside the image.");
  return {
      to_framing(value),
      {static_cast<int>(edges[0]), static_cast<int>(edges[1]), static_cast<int>(edges[2]), static_cast<int>(edges[3])}};
}

// The colours of 256 levels; NaN is black.
ColorTable to_colors(const Napi::Value& value) {
  const auto* given = elements<float>(value, size_t{3} * 256, "The colours");
  ColorTable colors{};
  for (size_t level = 0; level < 256; ++level) std::copy_n(given + 3 * level, 3, colors[level].begin());
  return colors;
}

std::vector<double> to_doubles(const Napi::Value& value) {
  const auto list = value.As<Napi::Float64Array>();
  return {list.Data(), list.Data() + list.ElementLength()};
}

// Runs `work` on the executor of images, for a promise of the tensor that it returns.
Napi::Promise submit_tensor(const Napi::CallbackInfo& info, const Napi::Value& ticket,
                            std::function<Tensor(const CancelFlag&)> work) {
  auto& environment = Environment::of(info.Env());
  return environment.submit<Tensor>(environment.executors().images(), ticket.ToNumber(), std::move(work),
                                    [](Napi::Env env, Tensor& found) { return TensorHandle::wrap(env, found); });
}

size_t count_of(const Napi::Object& object, const char* name) {
  return static_cast<size_t>(object.Get(name).ToNumber().Int64Value());
}

template <typename Element>
std::array<Element, 3> three_of(const Napi::Object& object, const char* name) {
  const auto list = to_integers(object.Get(name), name);
  return {static_cast<Element>(list.at(0)), static_cast<Element>(list.at(1)), static_cast<Element>(list.at(2))};
}

// What is wrong with the bytes of a file, if anything.
using Problem = std::optional<std::string>;

// How rows in this form are unpacked: see NativePackedForm in lib/addon/binding.ts.
std::function<Problem()> unpacker(const PackedRows& rows, const Napi::Object& form, uint8_t* levels) {
  const auto kind = to_text(form.Get("kind"), "The kind");
  if (kind == "samples") {
    const auto bits = static_cast<unsigned>(count_of(form, "bits"));
    const auto length = size_t{3} << bits;
    const PackedSamples samples{bits,
                                form.Get("bigEndian").ToBoolean(),
                                count_of(form, "perPixel"),
                                three_of<size_t>(form, "of"),
                                {elements<uint8_t>(form.Get("tables"), length, "The tables"), length}};
    return [=] { return unpack_samples(rows, samples, levels), Problem(); };
  }
  if (kind == "fields") {
    const PackedFields fields{count_of(form, "bytes"), three_of<uint32_t>(form, "masks")};
    return [=] { return unpack_fields(rows, fields, levels), Problem(); };
  }
  if (kind == "inks")
    return [=, per_pixel = count_of(form, "perPixel")] { return unpack_inks(rows, per_pixel, levels), Problem(); };
  const auto text = rows.bytes.subspan(std::min(rows.start, rows.bytes.size()));
  return [=, channels = count_of(form, "channels"), most = form.Get("most").ToNumber().DoubleValue()] {
    return unpack_text(text, rows.height * rows.width, channels, most, levels);
  };
}

}  // namespace

Napi::Value frame_image_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto size = to_size(info[1], "The image's size");
    const auto framing = to_framing(info[2]);
    const auto* kernel = find_kernel(to_text(info[3], "resample"));
    if (!kernel) throw Error("ERR_INVALID_ARGUMENT", "Unknown filter.", Remedy{"Use bilinear, bicubic or lanczos."});
    const auto fill = to_integers(info[4], "fill");
    const std::array<uint8_t, 3> color = {static_cast<uint8_t>(fill.at(0)), static_cast<uint8_t>(fill.at(1)),
                                          static_cast<uint8_t>(fill.at(2))};
    const auto list = info[0].As<Napi::Array>();
    std::vector<PixelsView> pages;
    for (uint32_t i = 0; i < list.Length(); ++i)
      pages.push_back({elements<uint8_t>(list.Get(i), 3 * area(size), "The image"), size.first, size.second});
    const bool grey = info[6].ToBoolean();
    const size_t channels = grey ? pages.size() : 3;
    const auto* table = elements<float>(info[5], channels * 256, "The table");
    if (!grey && pages.size() != 1) throw Error("ERR_SHAPE", "An image of colours has one page.");
    return submit_tensor(
        info, Napi::Number::New(info.Env(), 0), [=, held = keep_arrays(info, {0, 5})](const CancelFlag&) {
          auto planes = at::empty({static_cast<int64_t>(channels), framing.height, framing.width}, at::kFloat);
          auto* plane = planes.mutable_data_ptr<float>();
          if (!grey) frame_image(pages.front(), framing, *kernel, color, table, plane);
          for (size_t page = 0; grey && page < channels; ++page)
            frame_grey(pages[page], framing, *kernel, color, table + 256 * page,
                       plane + page * area({framing.height, framing.width}));
          return planes;
        });
  });
}

Napi::Value unpack_pixels_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto given = info[0].As<Napi::Uint8Array>();
    // A copy: the bytes are the caller's, who may hand them to another thread meanwhile.
    auto bytes = std::make_shared<const std::vector<uint8_t>>(given.Data(), given.Data() + given.ElementLength());
    const auto place = info[1].As<Napi::Object>();
    const PackedRows rows{*bytes,
                          count_of(place, "start"),
                          count_of(place, "stride"),
                          place.Get("bottomUp").ToBoolean(),
                          count_of(place, "height"),
                          count_of(place, "width")};
    auto* levels = elements<uint8_t>(info[3], 3 * rows.height * rows.width, "The result");
    auto& environment = Environment::of(info.Env());
    return environment.submit<Problem>(
        environment.executors().images(), 0,
        [work = unpacker(rows, info[2].As<Napi::Object>(), levels), bytes,
         held = keep_arrays(info, {2, 3})](const CancelFlag&) { return work(); },
        [](Napi::Env env, Problem& problem) -> Napi::Value {
          if (!problem) return env.Null();
          return Napi::String::New(env, *problem);
        });
  });
}

Napi::Value draw_map_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto map_size = to_size(info[1], "The map's size"), size = to_size(info[3], "The image's size");
    const MapView map{elements<float>(info[0], area(map_size), "The map"), map_size.first, map_size.second};
    const auto seen = to_seen_part(info[4], size);
    const auto [height, width] = std::pair<int, int>(size);
    if (!info[2].IsNull()) {
      const PixelsView image{elements<uint8_t>(info[2], 3 * area(size), "The image"), size.first, size.second};
      const auto colors = to_colors(info[5]);
      const float alpha = info[6].ToNumber();
      auto* result = elements<uint8_t>(info[7], 3 * area(size), "The result");
      return start(info, {0, 2, 7}, [=] { draw_overlay(map, image, seen, colors, alpha, result); });
    }
    if (info[7].As<Napi::TypedArray>().TypedArrayType() == napi_uint16_array) {
      auto* result = elements<uint16_t>(info[7], area(size), "The result");
      return start(info, {0, 7}, [=, h = height, w = width] { draw_grey16(map, h, w, seen, result); });
    }
    auto* result = elements<uint8_t>(info[7], area(size), "The result");
    return start(info, {0, 7}, [=, h = height, w = width] { draw_grey(map, h, w, seen, result); });
  });
}

Napi::Value overlay_images(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& images = unwrap_tensor(info[0]);
    const auto& maps = unwrap_tensor(info[1]);
    return TensorHandle::wrap(info.Env(), overlay(images, maps, to_colors(info[2]), info[3].ToNumber()));
  });
}

Napi::Value colorize_values(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return TensorHandle::wrap(info.Env(), colorize(unwrap_tensor(info[0]), to_colors(info[1])));
  });
}

Napi::Value superpixels_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto images = unwrap_tensor(info[0]);
    SuperpixelOptions options;
    options.segments = info[1].ToNumber().Int64Value();
    options.compactness = info[2].ToNumber().DoubleValue();
    options.iterations = info[3].ToNumber().Int64Value();
    return submit_tensor(info, info[4],
                         [images, options](const CancelFlag& cancel) { return superpixels(images, options, cancel); });
  });
}

Napi::Value felzenszwalb_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto images = unwrap_tensor(info[0]);
    FelzenszwalbOptions options;
    options.scales = to_doubles(info[1]);
    options.sigma = info[2].ToNumber().DoubleValue();
    options.min_size = info[3].ToNumber().Int64Value();
    return submit_tensor(info, info[4],
                         [images, options](const CancelFlag& cancel) { return felzenszwalb(images, options, cancel); });
  });
}

Napi::Value region_gains_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto values = unwrap_tensor(info[0]), labels = unwrap_tensor(info[1]);
    RegionOptions options;
    options.dilation = info[2].ToNumber().Int64Value();
    options.least = info[3].ToNumber().DoubleValue();
    return submit_tensor(info, info[4], [values, labels, options](const CancelFlag& cancel) {
      return region_gains(values, labels, options, cancel);
    });
  });
}

Napi::Value paint_concepts_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto image = unwrap_tensor(info[0]), maps = unwrap_tensor(info[1]);
    const ConceptColors how{to_doubles(info[2]), to_doubles(info[3]), info[4].ToNumber().DoubleValue()};
    return submit_tensor(info, info[5], [image, maps, how](const CancelFlag& cancel) {
      return paint_concepts(image, maps, how, cancel);
    });
  });
}

}  // namespace gradcam::node
