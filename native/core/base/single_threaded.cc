// libstdc++ asks glibc (2.32 and newer) whether the process has one thread, to leave out atomic operations. This
// process never has, and with an answer of its own the addon also loads where glibc is older.
#if defined(__linux__)
extern "C" __attribute__((visibility("hidden"))) char __libc_single_threaded;
char __libc_single_threaded = 0;
#endif
