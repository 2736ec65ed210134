#pragma once
#include <ATen/core/ivalue.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace gradcam {

// The facts of an error's message as data, by name: JavaScript gets them as an object.
using ErrorDetails = std::vector<std::pair<std::string, at::IValue>>;

// What to do about an error, in whole sentences: the end of its message.
struct Remedy {
  std::string text;
};

// An error with a stable code (the list is in lib/base). All mistakes that a caller can make are reported by one of
// these; whatever else is thrown is LibTorch's own and is reported as ERR_TORCH.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& problem, ErrorDetails details = {})
      : Error(std::move(code), problem, Remedy{}, std::move(details)) {}
  Error(std::string code, const std::string& problem, Remedy remedy, ErrorDetails details = {})
      : std::runtime_error(remedy.text.empty() ? problem : problem + " " + remedy.text),
        code_(std::move(code)),
        problem_(problem),
        remedy_(std::move(remedy.text)),
        details_(std::move(details)) {}
  const std::string& code() const { return code_; }
  // What was wrong: what() without the remedy.
  const std::string& problem() const { return problem_; }
  // Empty where there is none.
  const std::string& remedy() const { return remedy_; }
  const ErrorDetails& details() const { return details_; }

 private:
  std::string code_, problem_, remedy_;
  ErrorDetails details_;
};

// LibTorch's text for an exception as one sentence in one line, without its C++ backtrace and without the TorchScript
// traceback around the cause.
std::string concise_message(const std::exception& error);

// True where LibTorch ran out of host or device memory; on the host only the text shows it.
bool is_out_of_memory(const std::exception& error);

// Whether what one method of several threw concerns that method alone: not where the call was cancelled, or where fewer
// images at a time may do, which concerns all of them.
bool concerns_one_method(const std::exception& error);

// The code of an error about a batch for which the model does not give a row for each image.
inline constexpr const char* kBatchSize = "ERR_BATCH_SIZE";

// Whether fewer images at a time may do: memory ran out, or the model, or LibTorch, does not take a batch this large.
bool may_run_in_parts(const std::exception& error);

}  // namespace gradcam
