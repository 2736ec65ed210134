#pragma once
#include <cstdint>

namespace gradcam {

// The finaliser of MurmurHash3 (public domain): each bit of the input changes half of those of the result.
inline uint64_t mix_bits(uint64_t value) {
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdULL;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return value ^ (value >> 33);
}

}  // namespace gradcam
