#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace gradcam {

// A refusal with a stable code (the list is in lib/base/errors.ts). Everything that a caller can do wrong ends in one
// of these; whatever else is thrown is LibTorch's own and is reported as ERR_TORCH.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// LibTorch's text for an exception as one sentence in one line, without its C++ backtrace and without the TorchScript
// traceback around the cause.
std::string concise_message(const std::exception& error);

// True where LibTorch ran out of host or device memory; on the host that is told by the text alone.
bool is_out_of_memory(const std::exception& error);

}  // namespace gradcam
