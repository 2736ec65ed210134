// Makes calls of the system fail, or ends the process, at the n-th of those that concern one folder. Loaded by LD_PRELOAD;
// see faults.ts, which writes the control file that is mapped here.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kKill = 0, kMostFiles = 4096 };

/** faults.ts writes `at`, `error` and `sticky`, and reads `count` and `what`. */
struct Control {
  int32_t at;      // the call that fails, from 1; 0: none
  int32_t error;   // its errno; 0: the process is killed
  int32_t sticky;  // whether all later calls fail, too
  _Atomic int32_t count;
  char what[48];  // the name of the call that failed
};

static struct Control* control;
static const char* folder;
static _Atomic char concerned[kMostFiles];

__attribute__((constructor)) static void start(void) {
  const char* file = getenv("GRADCAM_FAULTS");
  folder = getenv("GRADCAM_FAULTS_FOLDER");
  if (!file || !folder) return;
  const int fd = open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) control = mapped;
}

static void* next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

static int isPath(const char* path) { return control && path && strncmp(path, folder, strlen(folder)) == 0; }

static int isFile(int fd) { return control && fd >= 0 && fd < kMostFiles && concerned[fd]; }

static void note(int fd, int isConcerned) {
  if (fd >= 0 && fd < kMostFiles) concerned[fd] = (char)isConcerned;
}

/** Counts a call. 1: it has to fail, and errno is set. */
static int fails(const char* name) {
  const int32_t number = atomic_fetch_add(&control->count, 1) + 1;
  if (control->at == 0 || number < control->at || (number > control->at && !control->sticky)) return 0;
  if (number == control->at) strncpy(control->what, name, sizeof control->what - 1);
  if (control->error == kKill) return 1;
  errno = control->error;
  return 1;
}

static void killIfAsked(void) {
  if (control->error == kKill) kill(getpid(), SIGKILL);
}

/** Fails a call that has no part that could be done. */
static int failsWhole(const char* name) {
  if (!fails(name)) return 0;
  killIfAsked();
  return 1;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))next(#name))

#define OPEN(name)                                              \
  int name(const char* path, int flags, ...) {                  \
    va_list list;                                               \
    va_start(list, flags);                                      \
    const mode_t mode = va_arg(list, mode_t);                   \
    va_end(list);                                               \
    const int isConcerned = isPath(path);                       \
    if (isConcerned && failsWhole(#name)) return -1;            \
    const int fd = REAL(int, name, const char*, int, ...)(path, flags, mode); \
    note(fd, isConcerned);                                      \
    return fd;                                                  \
  }
OPEN(open)
OPEN(open64)

/** A write that fails leaves half of its bytes, as on a disk that becomes full, or where the machine dies. */
#define WRITE(name, ...)                          \
  {                                               \
    if (isFile(fd) && fails("write")) {           \
      const int error = errno;                    \
      if (size > 1) {                             \
        size /= 2;                                \
        (void)!__VA_ARGS__;                       \
      }                                           \
      killIfAsked();                              \
      errno = error;                              \
      return -1;                                  \
    }                                             \
    return __VA_ARGS__;                           \
  }

ssize_t write(int fd, const void* bytes, size_t size)
WRITE(write, REAL(ssize_t, write, int, const void*, size_t)(fd, bytes, size))

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at)
WRITE(pwrite, REAL(ssize_t, pwrite, int, const void*, size_t, off_t)(fd, bytes, size, at))

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at)
WRITE(pwrite64, REAL(ssize_t, pwrite64, int, const void*, size_t, off64_t)(fd, bytes, size, at))

ssize_t writev(int fd, const struct iovec* parts, int size)
WRITE(writev, REAL(ssize_t, writev, int, const struct iovec*, int)(fd, parts, size))

ssize_t pwritev(int fd, const struct iovec* parts, int size, off_t at)
WRITE(pwritev, REAL(ssize_t, pwritev, int, const struct iovec*, int, off_t)(fd, parts, size, at))

ssize_t pwritev64(int fd, const struct iovec* parts, int size, off64_t at)
WRITE(pwritev64, REAL(ssize_t, pwritev64, int, const struct iovec*, int, off64_t)(fd, parts, size, at))

int fsync(int fd) { return isFile(fd) && failsWhole("fsync") ? -1 : REAL(int, fsync, int)(fd); }

int fdatasync(int fd) { return isFile(fd) && failsWhole("fdatasync") ? -1 : REAL(int, fdatasync, int)(fd); }

int ftruncate(int fd, off_t size) {
  return isFile(fd) && failsWhole("ftruncate") ? -1 : REAL(int, ftruncate, int, off_t)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
  return isFile(fd) && failsWhole("ftruncate") ? -1 : REAL(int, ftruncate64, int, off64_t)(fd, size);
}

int close(int fd) {
  note(fd, 0);
  return REAL(int, close, int)(fd);
}

int rename(const char* from, const char* to) {
  return isPath(to) && failsWhole("rename") ? -1 : REAL(int, rename, const char*, const char*)(from, to);
}

int link(const char* from, const char* to) {
  return isPath(to) && failsWhole("link") ? -1 : REAL(int, link, const char*, const char*)(from, to);
}

int mkdir(const char* path, mode_t mode) {
  return isPath(path) && failsWhole("mkdir") ? -1 : REAL(int, mkdir, const char*, mode_t)(path, mode);
}
