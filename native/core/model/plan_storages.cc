#include "plan_storages.h"

#include <array>
#include <cstring>
#include <fstream>

#include "core/base/error.h"

namespace gradcam {

namespace {

[[noreturn]] void refuse_weights(const std::string& what) {
  throw Error("ERR_MODEL_CORRUPT", "The weights cannot be read: " + what + ".",
              Remedy{"The file is incomplete or damaged, or changed while it was read: copy or export it again."});
}

// CRC-32 of zip archives (ISO 3309), eight bytes at a time: the tables give the remainder of a byte that seven or fewer
// others follow.
using Crc32Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Crc32Tables make_crc32_tables() {
  Crc32Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ (remainder & 1 ? 0xEDB88320U : 0U);
    tables[0][byte] = remainder;
  }
  for (size_t table = 1; table < tables.size(); ++table)
    for (size_t byte = 0; byte < 256; ++byte) {
      const auto before = tables[table - 1][byte];
      tables[table][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  return tables;
}

uint32_t crc32(const char* bytes, uint64_t count) {
  static constexpr auto kTables = make_crc32_tables();
  uint32_t remainder = 0xFFFFFFFFU;
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);  // little-endian, as all platforms of this package are
    word ^= remainder;
    remainder = 0;
    for (size_t byte = 0; byte < 8; ++byte) remainder ^= kTables[7 - byte][(word >> (8 * byte)) & 0xFF];
  }
  for (; count > 0; ++bytes, --count)
    remainder = (remainder >> 8) ^ kTables[0][(remainder ^ static_cast<unsigned char>(*bytes)) & 0xFF];
  return ~remainder;
}

void read_part(const ModelPlan::File& file, uint64_t position, uint64_t count, char* to) {
  if (file.path.empty()) {
    if (position > file.bytes.size() || count > file.bytes.size() - position)
      refuse_weights("a storage reaches past the buffer");
    std::memcpy(to, file.bytes.data() + position, count);
    return;
  }
  std::ifstream stream(file.path, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(position));
  stream.read(to, static_cast<std::streamsize>(count));
  if (!stream || static_cast<uint64_t>(stream.gcount()) != count)
    refuse_weights("'" + file.path + "' ends before a storage does");
}

uint64_t size_of(const ModelPlan::File& file) {
  if (file.path.empty()) return file.bytes.size();
  std::ifstream stream(file.path, std::ios::binary | std::ios::ate);
  return stream ? static_cast<uint64_t>(stream.tellg()) : 0;
}

// Whether the elements of a view lie inside a storage of so many elements. Checked without overflow: a file may lie.
bool fits(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, int64_t offset, int64_t elements) {
  if (sizes.size() != strides.size() || offset < 0) return false;
  int64_t last = offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || strides[i] < 0) return false;
    if (sizes[i] == 0) return true;
    int64_t reach = 0;
    if (__builtin_mul_overflow(sizes[i] - 1, strides[i], &reach) || __builtin_add_overflow(last, reach, &last))
      return false;
  }
  return last < elements;
}

}  // namespace

const at::Tensor& PlanStorages::storage(size_t index) {
  if (index >= plan_.storages.size()) refuse_weights("a storage does not exist");
  storages_.resize(plan_.storages.size());
  auto& bytes = storages_[index];
  if (bytes.defined()) return bytes;
  const auto& [file, position, count, checksum] = plan_.storages[index];
  const auto& from = plan_.files.at(file);
  const auto size = size_of(from);  // before memory is taken for it
  if (position > size || count > size - position) refuse_weights("a storage reaches past the end of its file");
  bytes = at::empty({static_cast<int64_t>(count)}, at::kByte);
  auto* to = static_cast<char*>(bytes.mutable_data_ptr());
  if (count > 0) read_part(from, position, count, to);
  if (checksum && crc32(to, count) != *checksum) refuse_weights("the checksum of a storage does not match its bytes");
  if (!device_.is_cpu()) bytes = bytes.to(device_);
  return bytes;
}

at::Tensor PlanStorages::tensor(const ModelPlan::TensorEntry& entry) {
  const auto [first, last] = made_of_.equal_range(entry.storage);
  for (auto at = first; at != last; ++at) {
    const auto& [known, tensor] = made_[at->second];
    if (known->dtype == entry.dtype && known->offset == entry.offset && known->sizes == entry.sizes &&
        known->strides == entry.strides && known->converted == entry.converted)
      return tensor;
  }
  const auto& bytes = storage(entry.storage);
  const auto elements = bytes.numel() / static_cast<int64_t>(c10::elementSize(entry.dtype));
  if (!fits(entry.sizes, entry.strides, entry.offset, elements))
    refuse_weights("tensor '" + entry.name + "' reaches past its storage");
  auto tensor = at::empty({0}, bytes.options().dtype(entry.dtype))
                    .set_(bytes.storage(), entry.offset, entry.sizes, entry.strides);
  if (entry.converted) tensor = tensor.to(*entry.converted);
  made_of_.emplace(entry.storage, made_.size());
  made_.emplace_back(&entry, tensor);
  return tensor;
}

}  // namespace gradcam
