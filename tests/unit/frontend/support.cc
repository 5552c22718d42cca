#include "support.h"

#include <zlib.h>

#include <array>

#include <gtest/gtest.h>

#include "tests/support/memory_meter.h"

namespace weir::test {

Tensor by_formula(DType dtype, Tensor::Sizes sizes) {
  // i / 4 - 1 in binary16, as IEEE 754 encodes it.
  constexpr std::array<std::uint16_t, 12> kHalves{0xBC00, 0xBA00, 0xB800, 0xB400, 0x0000, 0x3400,
                                                  0x3800, 0x3A00, 0x3C00, 0x3D00, 0x3E00, 0x3F00};
  Tensor result(dtype, std::move(sizes));
  for (std::int64_t i = 0; i < result.element_count(); ++i) {
    scalar::Bits bits = scalar::from_i64(3 * i - 4);
    if (dtype == DType::f32) bits = scalar::from_f32(static_cast<float>(i) / 4 - 1);
    if (dtype == DType::f64) bits = scalar::from_f64(static_cast<double>(i) / 4 - 1);
    if (dtype == DType::f16) bits = {kHalves.at(static_cast<std::size_t>(i))};
    if (dtype == DType::boolean) bits = scalar::from_bool(i % 3 == 0);
    result.set_bits(i, bits);
  }
  return result;
}

std::string gzip(std::string content) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string result(content.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::size_t peak_memory_of(const std::function<void()>& action) {
  MemoryMeter meter;
  action();
  return meter.peak();
}

}  // namespace weir::test
