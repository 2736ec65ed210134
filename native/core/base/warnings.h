#pragma once
#include <c10/util/Exception.h>

#include <string>
#include <utility>
#include <vector>

namespace gradcam {

// While it lives, what LibTorch and models warn of on this thread is kept here, and not printed. It lives on the stack.
class CollectedWarnings : private c10::WarningHandler {
 public:
  CollectedWarnings() : guard_(this) {}
  CollectedWarnings(const CollectedWarnings&) = delete;
  CollectedWarnings& operator=(const CollectedWarnings&) = delete;

  // Each text once, in the order in which they first came.
  std::vector<std::string> take() { return std::move(texts_); }

 private:
  void process(const c10::Warning& warning) override;

  std::vector<std::string> texts_;
  c10::WarningUtils::WarningHandlerGuard guard_;
};

}  // namespace gradcam
