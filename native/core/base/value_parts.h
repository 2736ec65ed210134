#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ivalues.h"

namespace gradcam {

// One step into a value: the name of a part, or its position.
using PartStep = std::variant<std::string, int64_t>;
using PartPath = std::vector<PartStep>;

// A key of a dict as text, as JavaScript has it: "out", "7", "0.5", "true". Empty for a key that has no text, such as a
// tensor: such parts are named by their positions.
std::string key_text(const IValue& key);

// The parts of a value by name and in order: of tuples and lists by position, of named tuples and objects by field, of
// dicts by key. None for a value that has no parts.
std::vector<std::pair<std::string, IValue>> parts_of(const IValue& value);

// The part at a path: the value itself for an empty one. Nothing where there is none.
std::optional<IValue> part_at(const IValue& value, const PartPath& path);

// The same value with another part at `path`, which must be there. Nothing is changed in place.
IValue with_part_at(const IValue& value, const PartPath& path, const IValue& part);

// The paths of all floating-point tensors in a value, in order.
std::vector<PartPath> paths_of_float_tensors(const IValue& value);

// "Tuple", "Dict", "float": what TorchScript calls a value of that kind, for messages.
std::string kind_text(const IValue& value);

// "'out'" or "1, 'a'": a path as it is written in an option.
std::string path_text(const PartPath& path);

}  // namespace gradcam
