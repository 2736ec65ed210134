#include "shared_object.h"

#ifdef __linux__
#include <algorithm>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <functional>
#include <iterator>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace gradcam {

#ifdef __linux__
namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Entry = ElfW(Dyn);

// A shared library as the bytes of its file. Every access is checked: a file may be anything.
class SharedObject {
 public:
  explicit SharedObject(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    const auto* header = at<Header>(0, 1);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != kOwnClass ||
        header->e_phentsize != sizeof(Segment))
      return;
    const auto* segments = at<Segment>(header->e_phoff, header->e_phnum);
    if (!segments) return;
    segments_.assign(segments, segments + header->e_phnum);
    for (const auto& segment : segments_)
      if (segment.p_type == PT_DYNAMIC && at<Entry>(segment.p_offset, segment.p_filesz / sizeof(Entry))) {
        dynamic_ = segment.p_offset;
        entries_ = segment.p_filesz / sizeof(Entry);
      }
  }

  std::vector<std::string> needed() {
    std::vector<std::string> names;
    each_needed([&](size_t, const std::string& name) { names.push_back(name); });
    return names;
  }

  // Moves the entries after it to its place.
  void remove_needed(const std::string& name) {
    std::vector<size_t> removed;
    each_needed([&](size_t index, const std::string& each) {
      if (each == name) removed.push_back(index);
    });
    auto* entries = at<Entry>(dynamic_, entries_);
    for (auto index = removed.rbegin(); index != removed.rend(); ++index)
      std::move(entries + *index + 1, entries + entries_, entries + *index);
  }

  const std::vector<char>& bytes() const { return bytes_; }

 private:
  static constexpr unsigned char kOwnClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;

  template <typename T>
  T* at(size_t offset, size_t count) {
    if (offset > bytes_.size() || count > (bytes_.size() - offset) / sizeof(T) || offset % alignof(T) != 0)
      return nullptr;
    return reinterpret_cast<T*>(bytes_.data() + offset);
  }

  // Where in the file an address of the loaded library lies.
  size_t offset_of(size_t address) const {
    for (const auto& segment : segments_)
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
        return address - segment.p_vaddr + segment.p_offset;
    return std::string::npos;
  }

  void each_needed(const std::function<void(size_t, const std::string&)>& found) {
    const auto* entries = at<Entry>(dynamic_, entries_);
    size_t names = std::string::npos;
    for (size_t i = 0; i < entries_; ++i)
      if (entries[i].d_tag == DT_STRTAB) names = offset_of(entries[i].d_un.d_ptr);
    if (names == std::string::npos) return;
    for (size_t i = 0; i < entries_ && entries[i].d_tag != DT_NULL; ++i) {
      if (entries[i].d_tag != DT_NEEDED) continue;
      const auto from = names + entries[i].d_un.d_val;
      if (from >= bytes_.size()) continue;
      const auto end = std::find(bytes_.begin() + static_cast<std::ptrdiff_t>(from), bytes_.end(), '\0');
      found(i, std::string(bytes_.begin() + static_cast<std::ptrdiff_t>(from), end));
    }
  }

  std::vector<char> bytes_;
  std::vector<Segment> segments_;
  size_t dynamic_ = 0, entries_ = 0;
};

bool write_all(int file, const std::vector<char>& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const auto wrote = write(file, bytes.data() + done, bytes.size() - done);
    if (wrote <= 0) return false;
    done += static_cast<size_t>(wrote);
  }
  return true;
}

}  // namespace

std::vector<std::string> needed_libraries(const std::string& path) { return SharedObject(path).needed(); }

CopyWithout::CopyWithout(const std::string& path, const std::vector<std::string>& needed) {
  SharedObject library(path);
  for (const auto& name : needed) library.remove_needed(name);
  file_ = memfd_create("gradcam-library", MFD_CLOEXEC);
  if (file_ >= 0 && write_all(file_, library.bytes())) path_ = "/proc/self/fd/" + std::to_string(file_);
}

CopyWithout::~CopyWithout() {
  if (file_ >= 0) close(file_);
}
#else
std::vector<std::string> needed_libraries(const std::string&) { return {}; }
CopyWithout::CopyWithout(const std::string&, const std::vector<std::string>&) {}
CopyWithout::~CopyWithout() = default;
#endif

}  // namespace gradcam
