// Lets an addon that was built on a new system load on an old one. PyTorch's wheels require glibc 2.28 and the
// libstdc++ of GCC 8. Of the functions below newer systems have a newer version, which the linker would take: the
// definitions here, hidden in the addon, call the old one. test/setup/prebuilt.test.ts checks which versions the
// addon asks for.
#if defined(__linux__) && defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
#include <pthread.h>
#include <string>
#include <time.h>

// The first version of glibc for this processor, which what it always had is of.
#if defined(__x86_64__)
#define GRADCAM_FIRST_GLIBC "GLIBC_2.2.5"
#else
#define GRADCAM_FIRST_GLIBC "GLIBC_2.17"
#endif

extern "C" {

// libstdc++ asks glibc (2.32 and newer) whether the process has one thread, to leave out atomic operations. Node never
// has.
__attribute__((visibility("hidden"))) char gradcam_single_threaded __asm__("__libc_single_threaded") = 0;

__asm__(".symver gradcam_old_once,pthread_once@" GRADCAM_FIRST_GLIBC);
int gradcam_old_once(int* control, void (*routine)());
__attribute__((visibility("hidden"))) int gradcam_once(int* control, void (*routine)()) __asm__("pthread_once");
int gradcam_once(int* control, void (*routine)()) { return gradcam_old_once(control, routine); }

// dlopen is called from within the addon here, too, so that the addon's own search path holds.
__asm__(".symver gradcam_old_dlopen,dlopen@" GRADCAM_FIRST_GLIBC);
void* gradcam_old_dlopen(const char* file, int mode);
__attribute__((visibility("hidden"))) void* gradcam_dlopen(const char* file, int mode) __asm__("dlopen");
void* gradcam_dlopen(const char* file, int mode) { return gradcam_old_dlopen(file, mode); }

__asm__(".symver gradcam_old_dlerror,dlerror@" GRADCAM_FIRST_GLIBC);
char* gradcam_old_dlerror();
__attribute__((visibility("hidden"))) char* gradcam_dlerror() __asm__("dlerror");
char* gradcam_dlerror() { return gradcam_old_dlerror(); }

__asm__(".symver gradcam_old_dladdr,dladdr@" GRADCAM_FIRST_GLIBC);
int gradcam_old_dladdr(const void* address, void* info);
__attribute__((visibility("hidden"))) int gradcam_dladdr(const void* address, void* info) __asm__("dladdr");
int gradcam_dladdr(const void* address, void* info) { return gradcam_old_dladdr(address, info); }

// Newer ones (glibc 2.29) do not call an error handler of the program's own (matherr), which Node.js does not have.
#define GRADCAM_OLD_FUNCTION(name, parameters, arguments)                                \
  __asm__(".symver gradcam_old_" #name "," #name "@" GRADCAM_FIRST_GLIBC);               \
  double gradcam_old_##name parameters;                                                  \
  __attribute__((visibility("hidden"))) double gradcam_##name parameters __asm__(#name); \
  double gradcam_##name parameters { return gradcam_old_##name arguments; }
GRADCAM_OLD_FUNCTION(pow, (double base, double exponent), (base, exponent))
GRADCAM_OLD_FUNCTION(exp, (double value), (value))
GRADCAM_OLD_FUNCTION(exp2, (double value), (value))
GRADCAM_OLD_FUNCTION(log, (double value), (value))
GRADCAM_OLD_FUNCTION(log2, (double value), (value))
#undef GRADCAM_OLD_FUNCTION
#undef GRADCAM_FIRST_GLIBC

// Came with glibc 2.30. A wait that ends a little early or late when somebody sets the clock does no harm here.
__attribute__((visibility("hidden"))) int gradcam_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                                            clockid_t clock,
                                                            const timespec* until) __asm__("pthread_cond_clockwait");
int gradcam_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  timespec now{}, wall{};
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &wall);
  constexpr long kSecond = 1000000000;
  wall.tv_sec += until->tv_sec - now.tv_sec;
  wall.tv_nsec += until->tv_nsec - now.tv_nsec;
  if (wall.tv_nsec < 0) {
    wall.tv_nsec += kSecond;
    --wall.tv_sec;
  } else if (wall.tv_nsec >= kSecond) {
    wall.tv_nsec -= kSecond;
    ++wall.tv_sec;
  }
  return pthread_cond_timedwait(condition, mutex, &wall);
}

// std::condition_variable::wait(std::unique_lock<std::mutex>&)
__asm__(
    ".symver gradcam_old_wait,"
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
void gradcam_old_wait(void* condition, void* lock);
__attribute__((visibility("hidden"))) void gradcam_wait(void* condition, void* lock) __asm__(
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE");
void gradcam_wait(void* condition, void* lock) { gradcam_old_wait(condition, lock); }

}  // extern "C"

// std::stringbuf::str() of C++20, which an lvalue has of its own (GCC 11), as the one before.
std::string gradcam_old_str(const void* buffer) __asm__(
    "_ZNKSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
__attribute__((visibility("hidden"))) std::string gradcam_str(const void* buffer) __asm__(
    "_ZNKRSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
std::string gradcam_str(const void* buffer) { return gradcam_old_str(buffer); }
#endif
