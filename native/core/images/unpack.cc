#include "unpack.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/base/error.h"

namespace gradcam {

namespace {

void check(bool fits, const char* what) {
  if (!fits) throw Error("ERR_SHAPE", std::string(what) + " do not fit the bytes of the file.");
}

// Calls `unpack` with the bytes of each row and where its pixels go.
template <typename Unpack>
void for_rows(const PackedRows& rows, size_t bits_per_pixel, uint8_t* levels, const Unpack& unpack) {
  const size_t length = (rows.width * bits_per_pixel + 7) / 8;
  check(rows.height > 0 && rows.width > 0 && length <= rows.stride && rows.start <= rows.bytes.size() &&
            (rows.bytes.size() - rows.start) / rows.stride >= rows.height - 1 &&
            rows.bytes.size() - rows.start - rows.stride * (rows.height - 1) >= length,
        "Rows");
  for (size_t row = 0; row < rows.height; ++row) {
    const size_t stored = rows.bottom_up ? rows.height - 1 - row : row;
    unpack(rows.bytes.data() + rows.start + rows.stride * stored, levels + 3 * rows.width * row);
  }
}

template <typename Sample>
void unpack_with(const PackedRows& rows, const PackedSamples& samples, uint8_t* levels, const Sample& sample) {
  const size_t values = size_t{1} << samples.bits;
  const auto* red = samples.tables.data();
  const auto* green = red + values;
  const auto* blue = green + values;
  const auto [r, g, b] = samples.of;
  for_rows(rows, samples.bits * samples.per_pixel, levels, [&](const uint8_t* row, uint8_t* to) {
    for (size_t x = 0, at = 0; x < rows.width; ++x, at += samples.per_pixel, to += 3) {
      to[0] = red[sample(row, at + r)];
      to[1] = green[sample(row, at + g)];
      to[2] = blue[sample(row, at + b)];
    }
  });
}

bool is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

constexpr size_t kMostDigits = 10;

// Numbers with white space between them, and comments from a # to the end of its line.
class Text {
 public:
  explicit Text(std::span<const uint8_t> text) : text_(text) {}

  bool ended() const { return at_ == text_.size(); }

  std::optional<double> number() {
    skip();
    const size_t from = at_;
    double value = 0;
    for (; !ended() && is_digit(text_[at_]) && at_ - from < kMostDigits; ++at_) value = value * 10 + (text_[at_] - '0');
    return at_ == from ? std::nullopt : std::optional(value);
  }

  // 0 or 1: anything else is passed over.
  std::optional<double> bit() {
    while (!ended() && text_[at_] != '0' && text_[at_] != '1') ++at_;
    return ended() ? std::nullopt : std::optional<double>(text_[at_++] - '0');
  }

 private:
  void skip() {
    while (!ended() && (is_space(text_[at_]) || text_[at_] == '#')) {
      if (text_[at_] == '#')
        while (!ended() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
      else
        ++at_;
    }
  }

  std::span<const uint8_t> text_;
  size_t at_ = 0;
};

}  // namespace

void unpack_samples(const PackedRows& rows, const PackedSamples& samples, uint8_t* levels) {
  check((samples.bits == 1 || samples.bits == 4 || samples.bits == 8 || samples.bits == 16) &&
            samples.tables.size() == size_t{3} << samples.bits &&
            std::ranges::all_of(samples.of, [&](size_t one) { return one < samples.per_pixel; }),
        "Samples");
  if (samples.bits == 8)
    unpack_with(rows, samples, levels, [](const uint8_t* row, size_t i) -> size_t { return row[i]; });
  else if (samples.bits == 16) {
    const size_t high = samples.big_endian ? 0 : 1;
    unpack_with(rows, samples, levels, [high](const uint8_t* row, size_t i) -> size_t {
      return static_cast<size_t>(row[2 * i + high]) << 8U | row[2 * i + 1 - high];
    });
  } else {
    const unsigned bits = samples.bits;
    unpack_with(rows, samples, levels, [bits](const uint8_t* row, size_t i) -> size_t {
      const size_t bit = i * bits;
      return (static_cast<unsigned>(row[bit / 8]) >> (8 - bits - bit % 8)) & ((1U << bits) - 1);
    });
  }
}

void unpack_fields(const PackedRows& rows, const PackedFields& fields, uint8_t* levels) {
  check(fields.bytes == 2 || fields.bytes == 4, "Fields");
  for_rows(rows, 8 * fields.bytes, levels, [&](const uint8_t* row, uint8_t* to) {
    for (size_t x = 0; x < rows.width; ++x, row += fields.bytes) {
      uint32_t value = 0;
      for (size_t byte = 0; byte < fields.bytes; ++byte) value |= static_cast<uint32_t>(row[byte]) << 8 * byte;
      for (const uint32_t mask : fields.masks) {
        const auto shift = mask == 0 ? 0U : static_cast<unsigned>(std::countr_zero(mask));
        const uint64_t most = mask >> shift;
        *to++ = most == 0 ? 0 : static_cast<uint8_t>(uint64_t{(value & mask) >> shift} * 255 / most);
      }
    }
  });
}

void unpack_inks(const PackedRows& rows, size_t per_pixel, uint8_t* levels) {
  check(per_pixel >= 4, "Inks");
  for_rows(rows, 8 * per_pixel, levels, [&](const uint8_t* row, uint8_t* to) {
    for (size_t x = 0; x < rows.width; ++x, row += per_pixel) {
      const int light = 255 - row[3];
      for (size_t ink = 0; ink < 3; ++ink) {
        const int product = row[ink] * light + 128;
        *to++ = static_cast<uint8_t>(std::max(0, light - ((product + (product >> 8)) >> 8)));
      }
    }
  });
}

std::optional<std::string> unpack_text(std::span<const uint8_t> text, size_t pixels, size_t channels, double most,
                                       uint8_t* levels) {
  Text rest(text);
  const bool is_bits = most == 0;
  const double range = channels == 1 && most > 255 ? 65535 : 255;
  for (size_t i = 0; i < pixels * channels; ++i) {
    const auto value = is_bits ? rest.bit() : rest.number();
    if (!value) return rest.ended() ? "pixels are missing" : "a number is expected in it";
    const double level = is_bits ? 255 * (1 - *value) : std::min(255.0, std::floor(*value * range / most + 0.5));
    levels = std::fill_n(levels, channels == 1 ? 3 : 1, static_cast<uint8_t>(level));
  }
  return std::nullopt;
}

}  // namespace gradcam
