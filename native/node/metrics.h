#pragma once
#include <napi.h>

namespace gradcam::node {

// What metrics need besides operators. All run on an executor thread.

// randomizedModel(model, paths, seed, ticket) -> a model, which runs on the executor of the first
Napi::Value randomized_model_async(const Napi::CallbackInfo& info);

// impute(images, keep, ticket) -> the images with the pixels replaced that are not kept
Napi::Value impute_async(const Napi::CallbackInfo& info);

}  // namespace gradcam::node
