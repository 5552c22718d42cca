#include "compiler/cache/host_features.h"

#include <array>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

namespace weir {
namespace {

#if defined(__x86_64__) || defined(__i386__)
enum Register : unsigned { eax = 1, ebx = 2, ecx = 4, edx = 8 };

// Leaves of cpuid, and which of their registers hold features and nothing else.
struct Leaf {
  unsigned number, part;
  unsigned registers;
};
constexpr std::array<Leaf, 8> kLeaves{{
    {1, 0, ecx | edx},
    {7, 0, ebx | ecx | edx},
    {7, 1, eax | ebx | ecx | edx},
    {0xd, 1, eax},
    {0x19, 0, ebx},
    {0x24, 0, ebx},
    {0x80000001, 0, ecx | edx},
    {0x80000008, 0, ebx},
}};
constexpr unsigned kOperatingSystemSaves = 1U << 27;  // of ecx of leaf 1: xgetbv may be used

std::uint64_t saved_registers() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

std::string read_features() {
  std::string text = "x86";
  for (const Leaf& leaf : kLeaves) {
    std::array<unsigned, 4> words{};
    // A leaf that the processor does not have reads as zeros.
    __get_cpuid_count(leaf.number, leaf.part, &words[0], &words[1], &words[2], &words[3]);
    for (unsigned i = 0; i < words.size(); ++i)
      if (leaf.registers & 1U << i) fmt::format_to(std::back_inserter(text), " {:x}", words[i]);
    if (leaf.number == 1)
      fmt::format_to(std::back_inserter(text), " {:x}",
                     words[2] & kOperatingSystemSaves ? saved_registers() : 0);
  }
  return text;
}
#elif defined(__linux__)
std::string read_features() {
  return fmt::format("hwcap {:x} {:x}", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
}
#else
#error "host_features() has to read this machine's feature bits"
#endif

}  // namespace

VectorRegisters host_vectors() {
#if defined(__x86_64__) || defined(__i386__)
  // As target_machine.cc reads them from a subtarget.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    return {64, 32};
  return {__builtin_cpu_supports("avx2") ? 32 : 16, 16};
#elif defined(__aarch64__)
  return {16, 32};
#elif defined(__ARM_NEON)
  return {16, 16};
#else
  return {0, 16};
#endif
}

std::string host_features() {
  static const std::string features = read_features();
  return features;
}

}  // namespace weir
