#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace gradcam {

// Appends to a list of at most `most` values, which loses its oldest where it is full.
template <typename Value>
void append_bounded(std::vector<Value>& list, Value value, size_t most) {
  if (list.size() == most) list.erase(list.begin());
  list.push_back(std::move(value));
}

}  // namespace gradcam
