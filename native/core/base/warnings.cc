#include "warnings.h"

#include <algorithm>
#include <cctype>

namespace gradcam {

namespace {

constexpr size_t kMostTexts = 100;  // a model may make a new text in every turn of a loop

}  // namespace

void CollectedWarnings::process(const c10::Warning& warning) {
  auto text = warning.msg();
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  if (texts_.size() < kMostTexts && std::find(texts_.begin(), texts_.end(), text) == texts_.end())
    texts_.push_back(std::move(text));
}

}  // namespace gradcam
