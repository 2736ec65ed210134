#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace gradcam {

// Bytes of a file that holds pixels without compression, row by row, and where its rows lie.
struct PackedRows {
  std::span<const uint8_t> bytes;
  size_t start, stride;
  bool bottom_up;
  size_t height, width;
};

// Samples of 1, 4, 8 or 16 bits, the first in the highest bits of a byte.
struct PackedSamples {
  unsigned bits;
  bool big_endian;  // of 16 bits
  size_t per_pixel;
  std::array<size_t, 3> of;         // which of them red, green and blue are made of
  std::span<const uint8_t> tables;  // 3 tables with the level of each value
};

// Little-endian numbers of 2 or 4 bytes a pixel, in which a mask says where a colour is. Each is scaled to 0..255.
struct PackedFields {
  size_t bytes;
  std::array<uint32_t, 3> masks;
};

// Each of these fills `levels` with red, green and blue of each pixel, from the top row down.
// ERR_SHAPE where the bytes end before the pixels do.
void unpack_samples(const PackedRows& rows, const PackedSamples& samples, uint8_t* levels);
void unpack_fields(const PackedRows& rows, const PackedFields& fields, uint8_t* levels);

// Cyan, magenta, yellow and black, 8 bits each, in the first 4 of `per_pixel` bytes: what each ink leaves of the light
// that black leaves, as Pillow's convert('RGB') has it.
void unpack_inks(const PackedRows& rows, size_t per_pixel, uint8_t* levels);

// Numbers in text, as Netpbm has them, of 1 or 3 channels and from 0 to `most`; or bits, where 1 is black, without
// white space between them, where `most` is 0. Grey of more than 8 bits is clipped at 255, anything else is scaled, as
// Pillow does.
//
// Returns what is wrong with the text, if anything.
std::optional<std::string> unpack_text(std::span<const uint8_t> text, size_t pixels, size_t channels, double most,
                                       uint8_t* levels);

}  // namespace gradcam
