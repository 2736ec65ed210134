#include "stand_in_library.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <array>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace gradcam {

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
namespace {

// A shared library that holds its name and nothing else, as the loader reads it.
struct StandIn {
  Elf64_Ehdr header{};
  std::array<Elf64_Phdr, 3> segments{};
  std::array<Elf64_Dyn, 7> entries{};
  Elf64_Sym symbol{};                          // the first symbol of a table stands for none
  std::array<Elf64_Word, 4> hash{1, 1, 0, 0};  // one bucket, one symbol
  std::array<char, 64> names{};
};

StandIn make_stand_in(const std::string& name) {
  StandIn image;
  auto& header = image.header;
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
#ifdef __x86_64__
  header.e_machine = EM_X86_64;
#else
  header.e_machine = EM_AARCH64;
#endif
  header.e_version = EV_CURRENT;
  header.e_phoff = offsetof(StandIn, segments);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(image.segments.size());
  auto& [load, dynamic, stack] = image.segments;
  load.p_type = PT_LOAD;
  load.p_flags = PF_R | PF_W;  // the loader adds its address to the entries
  load.p_filesz = load.p_memsz = sizeof(StandIn);
  load.p_align = 0x10000;
  dynamic.p_type = PT_DYNAMIC;
  dynamic.p_flags = PF_R | PF_W;
  dynamic.p_offset = dynamic.p_vaddr = dynamic.p_paddr = offsetof(StandIn, entries);
  dynamic.p_filesz = dynamic.p_memsz = sizeof(image.entries);
  dynamic.p_align = 8;
  stack.p_type = PT_GNU_STACK;  // without it the loader would make the stacks of all threads executable
  stack.p_flags = PF_R | PF_W;
  std::memcpy(image.names.data() + 1, name.data(), name.size());
  image.entries = {{{DT_SONAME, {1}},
                    {DT_HASH, {offsetof(StandIn, hash)}},
                    {DT_STRTAB, {offsetof(StandIn, names)}},
                    {DT_SYMTAB, {offsetof(StandIn, symbol)}},
                    {DT_STRSZ, {sizeof(image.names)}},
                    {DT_SYMENT, {sizeof(Elf64_Sym)}},
                    {DT_NULL, {0}}}};
  return image;
}

}  // namespace

bool load_stand_in(const std::string& name) {
  const auto image = make_stand_in(name.substr(0, sizeof(StandIn::names) - 2));
  const int file = memfd_create(name.c_str(), MFD_CLOEXEC);
  if (file < 0) return false;
  const bool written = write(file, &image, sizeof(image)) == static_cast<ssize_t>(sizeof(image));
  const auto path = "/proc/self/fd/" + std::to_string(file);
  const bool loaded = written && dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE) != nullptr;
  close(file);
  return loaded;
}
#else
bool load_stand_in(const std::string&) { return false; }
#endif

}  // namespace gradcam
