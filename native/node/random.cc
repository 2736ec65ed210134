#include "random.h"

#include <ATen/CPUGeneratorImpl.h>

#include <optional>

#include "convert.h"
#include "handles.h"

namespace gradcam::node {

namespace {

using Draw = Tensor (*)(at::IntArrayRef shape, std::optional<at::Generator> generator, at::TensorOptions options);

Napi::Value drawn(const Napi::CallbackInfo& info, Draw draw) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto shape = to_integers(info[0], "shape");
    const at::TensorOptions options(parse_dtype(to_text(info[1], "dtype")));
    const auto seed = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
    auto& environment = Environment::of(info.Env());
    return environment.submit<Tensor>(
        environment.executors().operators(), info[3].ToNumber(),
        [shape, options, seed, draw](const CancelFlag&) {
          return draw(shape, at::make_generator<at::CPUGeneratorImpl>(seed), options);
        },
        [](Napi::Env env, Tensor& tensor) -> Napi::Value { return TensorHandle::wrap(env, tensor); });
  });
}

}  // namespace

Napi::Value random_normal(const Napi::CallbackInfo& info) { return drawn(info, at::randn); }

Napi::Value random_uniform(const Napi::CallbackInfo& info) { return drawn(info, at::rand); }

}  // namespace gradcam::node
