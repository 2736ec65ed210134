#include "fingerprint.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <iomanip>
#include <sstream>

#include "core/base/mix_bits.h"

namespace gradcam {
namespace {

class Digest {
 public:
  void add(const void* data, size_t bytes) {
    const auto* from = static_cast<const unsigned char*>(data);
    add(bytes);
    for (; bytes >= sizeof(uint64_t); from += sizeof(uint64_t), bytes -= sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, from, sizeof word);
      add(word);
    }
    uint64_t rest = 0;
    std::memcpy(&rest, from, bytes);
    add(rest);
  }

  void add(const std::string& text) { add(text.data(), text.size()); }

  void add(uint64_t word) {
    first_ = mix_bits(first_ ^ word);
    // Another order of the same words gives another sum, too.
    second_ = second_ * 0x9e3779b97f4a7c15ULL + word;
  }

  std::string text() const {
    std::ostringstream out;
    out << std::hex << std::setfill('0') << std::setw(16) << first_ << std::setw(16) << mix_bits(second_);
    return out.str();
  }

 private:
  uint64_t first_ = 0, second_ = 1;
};

void add(Digest& digest, const std::string& name, const at::Tensor& tensor) {
  digest.add(name);
  digest.add(static_cast<uint64_t>(tensor.scalar_type()));
  for (const auto size : tensor.sizes()) digest.add(static_cast<uint64_t>(size));
  const auto values = tensor.detach().cpu().contiguous();
  digest.add(values.const_data_ptr(), values.nbytes());
}

}  // namespace

std::string fingerprint_of(const torch::jit::Module& module, const std::vector<std::string>& operators) {
  Digest digest;
  bool any = false;
  const auto add_all = [&](const auto& named) {
    for (const auto& [name, value] : named) {
      if (!value.defined() || value.layout() != at::kStrided) continue;
      add(digest, name, value);
      any = true;
    }
  };
  add_all(module.named_parameters());
  add_all(module.named_buffers());
  for (const auto& name : operators) digest.add(name);
  return any ? digest.text() : "";
}

}  // namespace gradcam
