#include "abandoned_threads.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <unistd.h>

namespace gradcam {

namespace {

std::atomic<int> abandoned{0};

#if defined(__GLIBC__)
// Handlers run in the opposite order of their registration: this one before the destructors of all static objects that
// existed when it was registered.
void end_at_once(int status, void*) {
  if (abandoned > 0) _exit(status);
}

void register_handler() { on_exit(end_at_once, nullptr); }
#else
// Other C libraries do not tell a handler the exit code.
void end_at_once() {
  if (abandoned > 0) _exit(EXIT_FAILURE);
}

void register_handler() { std::atexit(end_at_once); }
#endif

}  // namespace

void abandon_thread() {
  static std::once_flag once;
  ++abandoned;
  std::call_once(once, register_handler);
}

void abandoned_thread_ended() { --abandoned; }

}  // namespace gradcam
