// The machine that code is generated for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>

#include "ir/dtype.h"

namespace weir {

// What the caller asks for. Empty strings: this machine, with the features that the processor and
// the operating system report (not those that the processor's name promises), and schedules for its
// core.
struct TargetSpec {
  std::string triple;    // "aarch64-linux-gnu", "wasm32", ...
  std::string cpu;       // "x86-64-v3", "cortex-a72", ...
  std::string features;  // "+avx2,-fma": added to the CPU's

  bool is_given() const { return !triple.empty() || !cpu.empty() || !features.empty(); }
};

// The vector registers of a machine, which are what a register tile is made of.
struct VectorRegisters {
  int bytes = 64;  // of one; 0: there are none
  int count = 32;

  // Elements of one; 1 if there are none for the type.
  int lanes(DType type) const {
    int size = type == DType::boolean ? 4 : byte_size(type);
    return bytes > size ? bytes / size : 1;
  }
};

// A level of the caches.
struct Cache {
  std::int64_t bytes = 0, ways = 1;

  // Lines of memory so far apart share a set, of which there are as many as ways.
  std::int64_t bytes_of_way() const { return bytes / ways; }
  // How many lines so far apart it keeps: at a multiple of a part of a way they share as few sets as
  // the way has such parts, and each set has a line for each way.
  std::int64_t lines_kept(std::int64_t apart) const {
    return ways * bytes_of_way() / std::gcd(apart, bytes_of_way());
  }
  bool operator==(const Cache&) const = default;
};

// A core, as far as schedules depend on it. It follows from the processor's name (known_cores.h):
// the one asked for, or that of this machine where nothing is asked for. Without a name that is
// known all targets have this one.
// Which results of maps are stored past the caches: docs/decisions/streams.md.
enum class PastCaches : std::uint8_t {
  large,        // those that no cache holds
  early_apart,  // and, of threads that are far from each other, some that the last cache would hold
  late,         // those that even a last cache of hundreds of megabytes does not hold, but sooner
                // those that nobody reads soon
};

struct Core {
  Cache first{std::int64_t{32} << 10, 8};    // of data
  Cache second{std::int64_t{512} << 10, 8};  // or its part of one that cores share
  int fma_ports = 2;                         // multiply-adds of vectors that begin in a cycle
  int fma_cycles = 4;                        // how many cycles each takes
  int fma_bytes = 32;  // and how many bytes of a vector; a longer one takes several
  PastCaches past_caches = PastCaches::large;
  // So far ahead, in bytes, a product asks for columns that the second cache does not hold; 0: it
  // does not, and they are read ahead well enough.
  std::int64_t asks_ahead = 0;

  // Multiply-adds of vectors of so many bytes that are under way at a time.
  int fmas_under_way(int vector_bytes) const {
    return fma_ports * fma_cycles * fma_bytes / std::max(vector_bytes, fma_bytes);
  }
  bool operator==(const Core&) const = default;
};

// What schedules are chosen by: docs/decisions/cores.md.
struct Processor {
  VectorRegisters vectors = {};
  Core core = {};
};

// What code generation needs to know about it. Functions that the target lacks would become calls
// of a math or compiler library, which a compiled program must not need, so they are written out
// instead.
struct Target {
  std::string triple;
  std::string cpu;
  std::string features;
  int vector_bytes = 0;  // 0: no vectors
  int pointer_bits = 64;
  Core core = {};
  bool fma = false;          // fused multiply-add, f32 and f64
  bool masks_words = false;  // masked loads and stores of 32 and 64 bit elements
  bool masks_bytes = false;  // and of bytes
  bool rounds = false;       // floor, ceil, trunc, round to even
  bool chooses = false;      // x86: minimum and maximum; the second operand unless the first is it
  bool divides_32 = true;    // integer division
  bool divides_64 = true;
  bool converts_64 = true;            // between i64 and floats
  bool converts_f16 = false;          // between f16 and f32
  bool converts_f16_f64 = false;      // from f64 to f16, with one rounding
  bool converts_bf16 = false;         // from f32 to bf16, denormal numbers included
  bool converts_normal_bf16 = false;  // likewise, but denormal numbers become zeros: AVX512-BF16
  bool is_host = false;               // this architecture and operating system
  std::string missing;  // features that this machine lacks, if is_host: "avx512f, avx512vl"

  VectorRegisters vectors() const {
    return {vector_bytes, vector_bytes == 64 || triple.starts_with("aarch64") ? 32 : 16};
  }
  int lanes(DType type) const { return vectors().lanes(type); }
  Processor processor() const { return {vectors(), core}; }
};

}  // namespace weir
