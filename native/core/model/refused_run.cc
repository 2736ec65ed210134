#include "refused_run.h"

#include <algorithm>
#include <functional>
#include <regex>
#include <string>

#include "core/base/dtype.h"
#include "core/base/error.h"
#include "core/base/value_parts.h"
#include "model.h"

namespace gradcam {

namespace {

std::string counted_channels(int64_t count) { return std::to_string(count) + (count == 1 ? " channel" : " channels"); }

std::vector<Tensor> tensors_of(const std::vector<IValue>& inputs) {
  std::vector<Tensor> tensors;
  for (const auto& input : inputs)
    for_each_tensor(input, [&](const Tensor& t) {
      if (t.defined()) tensors.push_back(t);
    });
  return tensors;
}

// Whether an input has that many channels and, after them, those sizes: then it is what the convolution was given.
bool is_input_of(const Tensor& input, int64_t channels, const std::vector<int64_t>& spatial) {
  const auto sizes = input.sizes();
  if (sizes.size() < spatial.size() + 1) return false;
  const auto first = sizes.size() - spatial.size();
  return sizes[first - 1] == channels && std::equal(spatial.begin(), spatial.end(), sizes.begin() + first);
}

void refuse_channels(const std::string& text, const std::vector<Tensor>& inputs) {
  static const std::regex kText(R"(expected input\[([\d, ]+)\] to have (\d+) channels?, but got (\d+) channels?)");
  std::smatch found;
  if (!std::regex_search(text, found, kText)) return;
  std::vector<int64_t> sizes;
  const auto list = found[1].str();
  static const std::regex kNumber(R"(\d+)");
  for (std::sregex_iterator at(list.begin(), list.end(), kNumber), end; at != end; ++at)
    sizes.push_back(std::stoll(at->str()));
  const int64_t expected = std::stoll(found[2].str()), given = std::stoll(found[3].str());
  const std::vector<int64_t> spatial(sizes.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(2, sizes.size())),
                                     sizes.end());
  for (const auto& input : inputs)
    if (is_input_of(input, given, spatial))
      throw Error("ERR_CHANNELS",
                  "The model takes " + counted_channels(expected) + ", but its input " + shape_text(input) + " has " +
                      std::to_string(given) + ".",
                  Remedy{"Give an input of " + counted_channels(expected) + "."},
                  {{"channels", expected}, {"given", given}});
}

bool is_about_types(const std::string& text) {
  static const std::regex kText(
      R"((should be the same|same dtype|same data type|expected scalar type|expected .* to have type|could not infer output dtype|not implemented for '))");
  return std::regex_search(text, kText);
}

void refuse_types(const std::string& text, const Model& model, const std::vector<Tensor>& inputs) {
  const auto dtype = model.dtype();
  if (!dtype || !is_about_types(text)) return;
  const auto integer =
      std::find_if(inputs.begin(), inputs.end(), [](const Tensor& t) { return !t.is_floating_point() && t.dim() > 2; });
  if (integer != inputs.end())
    throw Error("ERR_DTYPE",
                "The model's parameters are " + dtype_name(*dtype) + ", but its input " + shape_text(*integer) +
                    " is " + dtype_name(integer->scalar_type()) + ": " + text,
                Remedy{"Convert the input: input.to({ dtype: '" + dtype_name(*dtype) +
                       "' }), and divide pixels by 255 where the model takes 0 to 1."},
                {{"dtype", dtype_name(*dtype)}, {"given", dtype_name(integer->scalar_type())}});
  const bool all_match = std::all_of(inputs.begin(), inputs.end(), [&](const Tensor& t) {
    return !t.is_floating_point() || t.scalar_type() == *dtype;
  });
  static const std::regex kTwoTypes(R"((should be the same|same dtype|expected scalar type))");
  if (all_match && std::regex_search(text, kTwoTypes))
    throw Error("ERR_DTYPE",
                "The model's own code mixes types; its first parameters, and so its input, are " + dtype_name(*dtype) +
                    ": " + text,
                Remedy{"Export it in one type: model.float() before torch.jit.trace or torch.jit.script."},
                {{"dtype", dtype_name(*dtype)}});
}

// Every dict in a value.
void for_each_dict(const IValue& value, const std::function<void(const c10::Dict<IValue, IValue>&)>& found) {
  if (value.isGenericDict()) found(value.toGenericDict());
  for (const auto& [_, part] : parts_of(value)) for_each_dict(part, found);
}

// A dict of the inputs without the key that the model looked for. The key may have been meant for another dict, of the
// model's own: only what was seen is said.
void refuse_missing_key(const std::string& text, const Model& model, const std::vector<IValue>& inputs) {
  static const std::regex kText(R"(KeyError: ([^\n]+?)\.?$)");  // a message ends with a full stop, a key does not
  std::smatch found;
  if (!std::regex_search(text, found, kText)) return;
  const auto key = found[1].str();
  const auto& arguments = model.forward_schema().arguments();
  for (size_t i = 0; i < inputs.size() && i + 1 < arguments.size(); ++i)
    for_each_dict(inputs[i], [&](const c10::Dict<IValue, IValue>& dict) {
      std::string keys;
      for (const auto& entry : dict) {
        const auto name = key_text(entry.key());
        if (name == key) return;
        keys += (keys.empty() ? "'" : ", '") + name + "'";
      }
      const auto& name = arguments[i + 1].name();
      throw Error("ERR_INVALID_ARGUMENT",
                  "The model looked for the key '" + key + "' in a dict that does not have it. Its input '" + name +
                      "' has " + (keys.empty() ? "no keys" : "the keys " + keys) + ".",
                  Remedy{"Give the key in that input, if the model reads it there."}, {{"input", name}, {"key", key}});
    });
}

void refuse_device(const std::string& text, const Model& model) {
  const auto& named = model.code().devices;
  const auto own = model.device().str();
  const auto other = std::find_if(named.begin(), named.end(), [&](const auto& name) { return name != own; });
  static const std::regex kText(R"((cuda|device|backend))", std::regex::icase);
  if (other == named.end() || !std::regex_search(text, kText)) return;
  throw Error("ERR_MODEL_DEVICE",
              "The model's code names the device " + *other + ", and the model is on " + own + ": " + text,
              Remedy{"Load it on that device, or export it on the CPU: model.cpu() and a CPU input before "
                     "torch.jit.trace, which writes devices into the code."},
              {{"device", *other}});
}

}  // namespace

void refuse_run(const Model& model, const std::vector<IValue>& inputs, const std::exception& error) {
  // Only what LibTorch itself says is read.
  if (dynamic_cast<const Error*>(&error) || is_out_of_memory(error) || !may_run_in_parts(error)) return;
  const auto text = concise_message(error);
  const auto tensors = tensors_of(inputs);
  refuse_missing_key(text, model, inputs);
  refuse_channels(text, tensors);
  refuse_types(text, model, tensors);
  refuse_device(text, model);
}

}  // namespace gradcam
