#include "process_limits.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>
#include <sys/resource.h>

namespace gradcam {

namespace {

void lower(int resource, rlim_t most) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_cur, most);
  setrlimit(resource, &limit);  // where it is refused, the others still hold
}

// What RLIMIT_DATA counts on Linux: memory of its own that the process may write. 0 elsewhere.
size_t data_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  size_t kibibytes = 0;
  while (status >> word)
    if (word == "VmData:" && status >> kibibytes) return kibibytes * 1024;
  return 0;
}

}  // namespace

void limit_process(size_t bytes, size_t seconds) {
  std::signal(SIGXFSZ, SIG_IGN);  // a write fails instead
  lower(RLIMIT_FSIZE, 0);
  lower(RLIMIT_CORE, 0);
  lower(RLIMIT_CPU, static_cast<rlim_t>(seconds));
  lower(RLIMIT_DATA, static_cast<rlim_t>(data_bytes() + bytes));
}

}  // namespace gradcam
