#include "error.h"

#include <c10/util/Exception.h>

#include <cctype>

#include "cancel.h"

namespace gradcam {

namespace {

constexpr size_t kLongestMessage = 300;

// One line that ends with a full stop, as what follows it in a message expects.
std::string as_sentence(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const bool space = std::isspace(static_cast<unsigned char>(c));
    if (!space)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  if (line.size() > kLongestMessage) {
    size_t end = kLongestMessage;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
    line = line.substr(0, end) + " ...";
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == ':')) line.pop_back();
  if (!line.empty() && line.back() != '.') line += '.';
  return line;
}

}  // namespace

std::string concise_message(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  // The interpreter wraps a failing operator as "... Traceback of TorchScript ... RuntimeError: cause".
  const std::string marker = "RuntimeError: ";
  if (const auto at = text.rfind(marker); at != std::string::npos && text.find("Traceback of TorchScript") < at)
    text = text.substr(at + marker.size());
  if (const auto at = text.find("\nException raised from "); at != std::string::npos) text.resize(at);
  if (const auto at = text.find(" This is an internal miniz error"); at != std::string::npos) text.resize(at);
  if (text.starts_with("[enforce fail at "))
    if (const auto at = text.find("] . "); at != std::string::npos) text.erase(0, at + 4);
  return as_sentence(text);
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) || dynamic_cast<const std::bad_alloc*>(&error)) return true;
  const std::string text = error.what();
  // From LibTorch's allocators on the CPU and on devices, and from libraries with their own (cuBLAS, cuDNN).
  for (const auto* sign : {"can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED"})
    if (text.find(sign) != std::string::npos) return true;
  return false;
}

bool concerns_one_method(const std::exception& error) {
  const auto* own = dynamic_cast<const Error*>(&error);
  return !dynamic_cast<const Cancelled*>(&error) && !is_out_of_memory(error) && !(own && own->code() == kBatchSize);
}

bool may_run_in_parts(const std::exception& error) {
  if (is_out_of_memory(error)) return true;
  const auto* own = dynamic_cast<const Error*>(&error);
  if (own) return own->code() == kBatchSize;
  // The interpreter turns an error of LibTorch into one of several classes of its own.
  return dynamic_cast<const c10::Error*>(&error) ||
         std::string(error.what()).find("Traceback of TorchScript") != std::string::npos;
}

}  // namespace gradcam
