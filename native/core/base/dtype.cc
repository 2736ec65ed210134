#include "dtype.h"

#include <utility>

#include "error.h"

namespace gradcam {

namespace {

constexpr std::pair<const char*, at::ScalarType> kDtypes[] = {
    {"float32", at::kFloat}, {"float64", at::kDouble}, {"float16", at::kHalf}, {"bfloat16", at::kBFloat16},
    {"uint8", at::kByte},    {"int8", at::kChar},      {"int16", at::kShort},  {"int32", at::kInt},
    {"int64", at::kLong},    {"bool", at::kBool},
};

}  // namespace

at::ScalarType parse_dtype(const std::string& name) {
  std::string names;
  for (const auto& [known, dtype] : kDtypes) {
    if (name == known) return dtype;
    names += std::string(names.empty() ? "" : ", ") + known;
  }
  throw Error("ERR_DTYPE", "'" + name + "' is not a dtype. The dtypes are: " + names + ".");
}

std::string dtype_name(at::ScalarType dtype) {
  for (const auto& [name, known] : kDtypes)
    if (known == dtype) return name;
  return c10::toString(dtype);
}

}  // namespace gradcam
