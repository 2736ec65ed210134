// A second addon that uses LibTorch in the same process, as a host program might: what it sees of LibTorch must be what
// it would see without ours. Written against the C interface of Node-API: it needs no headers but LibTorch's and
// Node's.
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/CPUAllocator.h>
#include <node_api.h>

#include <string>

namespace {

// kernels(namespace) -> where each kernel of each operator in the namespace was registered, a line for each
napi_value kernels(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value argument = nullptr, result = nullptr;
  char space[64];
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_string_utf8(env, argument, space, sizeof space, &length);
  const auto prefix = std::string(space, length) + "::";
  std::string all;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames())
    if (name.name.rfind(prefix, 0) == 0)
      if (const auto found = c10::Dispatcher::singleton().findSchema(name)) all += found->dumpState();
  napi_create_string_utf8(env, all.data(), all.size(), &result);
  return result;
}

// usesDefaultAllocator() -> whether LibTorch's own allocator makes a block of 1 MiB for this thread, and would free it
napi_value uses_default_allocator(napi_env env, napi_callback_info) {
  const auto block = c10::GetCPUAllocator()->allocate(size_t{1} << 20);
  napi_value result = nullptr;
  napi_get_boolean(env, block.get_deleter() == c10::GetDefaultCPUAllocator()->raw_deleter(), &result);
  return result;
}

}  // namespace

NAPI_MODULE_INIT() {
  const auto add = [&](const char* name, napi_callback function) {
    napi_value value = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  };
  add("kernels", kernels);
  add("usesDefaultAllocator", uses_default_allocator);
  return exports;
}
