#include "error.h"

#include <c10/util/Exception.h>

namespace gradcam {

std::string concise_message(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  // The interpreter wraps a failing operator as "... Traceback of TorchScript ... RuntimeError: cause".
  const std::string marker = "RuntimeError: ";
  if (const auto at = text.rfind(marker); at != std::string::npos && text.find("Traceback of TorchScript") < at)
    text = text.substr(at + marker.size());
  if (const auto at = text.find("\nException raised from "); at != std::string::npos) text.resize(at);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) || dynamic_cast<const std::bad_alloc*>(&error)) return true;
  const std::string text = error.what();
  return text.find("can't allocate memory") != std::string::npos || text.find("out of memory") != std::string::npos;
}

}  // namespace gradcam
