#pragma once

// Compiles a function of simple loops once for each of these instruction sets and once for any processor; the loader
// picks one.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define GRADCAM_CLONES(...) __attribute__((target_clones(__VA_ARGS__, "default")))
#else
#define GRADCAM_CLONES(...)
#endif

// Before a loop whose iterations are independent, although pointers in it may be the same.
#if defined(__clang__)
#define GRADCAM_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define GRADCAM_INDEPENDENT _Pragma("GCC ivdep")
#else
#define GRADCAM_INDEPENDENT
#endif
