// Put before every source of an addon that is built for other machines (GRADCAM_PORTABLE). PyTorch's wheels load where
// there are glibc 2.28 and the libstdc++ of GCC 8, and so must the addon: of functions that newer systems have in
// several versions it takes the oldest. test/setup/portable.test.ts checks the versions that the addon asks for.
#pragma once
#if defined(__linux__) && defined(__x86_64__)
__asm__(".symver pthread_once,pthread_once@GLIBC_2.2.5");
__asm__(
    ".symver _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE,"
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
#endif
