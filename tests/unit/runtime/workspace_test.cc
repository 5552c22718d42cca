// The workspace: alignment, growth, and requests that no system grants.
#include "runtime/workspace.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "runtime/abi.h"

namespace weir {
namespace {

bool aligned(const void* data, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(data) % alignment == 0;
}

TEST(Workspace, StartsEmpty) {
  const Workspace workspace;
  EXPECT_EQ(workspace.data(), nullptr);
  EXPECT_EQ(workspace.bytes(), 0u);
}

TEST(Workspace, IsAlignedAndWritableAtEverySize) {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{65},
        std::size_t{100'000}, Workspace::huge_block - 1, Workspace::huge_block,
        Workspace::huge_block + 1, 3 * Workspace::huge_block + 12345}) {
    Workspace workspace;
    void* data = workspace.reserve(bytes);
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(data, workspace.data());
    EXPECT_GE(workspace.bytes(), bytes);
    EXPECT_TRUE(
        aligned(data, bytes >= Workspace::huge_block ? Workspace::huge_page : WEIR_ALIGNMENT))
        << bytes;
    std::memset(data, 0x5a, workspace.bytes());
  }
}

#ifdef __linux__
// The flags of the mapping that holds an address, as the system shows them; empty if it shows none.
std::string flags_of(const void* data) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(data);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
      inside = begin <= wanted && wanted < end;
    if (inside && line.rfind("VmFlags:", 0) == 0) return line + " ";
  }
  return {};
}

// Whether there are huge pages is the system's affair; that they are asked for is ours.
TEST(Workspace, AsksForHugePages) {
  if (!std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"))
    GTEST_SKIP() << "this system has no huge pages that a program could ask for";
  Workspace small, large;
  small.reserve(1000);
  large.reserve(Workspace::huge_block);
  const std::string flags = flags_of(large.data());
  if (flags.empty()) GTEST_SKIP() << "this system does not show the flags of mappings";
  EXPECT_NE(flags.find(" hg "), std::string::npos) << flags;
  EXPECT_EQ(flags_of(small.data()).find(" hg "), std::string::npos);
}
#endif

TEST(Workspace, KeepsItsBlockWhileItIsLargeEnough) {
  Workspace workspace;
  void* first = workspace.reserve(1000);
  EXPECT_EQ(workspace.reserve(1), first);
  EXPECT_EQ(workspace.reserve(workspace.bytes()), first);
}

TEST(Workspace, GrowsAcrossTheMappedSize) {
  Workspace workspace;
  std::size_t before = 0;
  for (std::size_t bytes = 1; bytes <= (std::size_t{64} << 20); bytes *= 4) {
    std::memset(workspace.reserve(bytes), 1, bytes);
    EXPECT_GE(workspace.bytes(), before);
    before = workspace.bytes();
  }
}

TEST(Workspace, AHugeRequestFailsAndLosesNothing) {
  constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
  for (const std::size_t kept : {std::size_t{256}, 2 * Workspace::huge_block}) {
    Workspace workspace;
    auto* data = static_cast<unsigned char*>(workspace.reserve(kept));
    std::memset(data, 7, kept);
    const std::size_t bytes = workspace.bytes();
    for (const std::size_t request :
         {largest, largest - 63, largest / 2, largest / 2 + 1, largest / 4}) {
      EXPECT_THROW(workspace.reserve(request), std::bad_alloc) << request;
      EXPECT_EQ(workspace.data(), data);
      EXPECT_EQ(workspace.bytes(), bytes);
    }
    for (std::size_t i = 0; i < kept; ++i) ASSERT_EQ(data[i], 7);
  }
}

TEST(Workspace, Moves) {
  Workspace first;
  void* small = first.reserve(100);
  Workspace second(std::move(first));
  EXPECT_EQ(second.data(), small);
  Workspace third;
  void* large = third.reserve(Workspace::huge_block);
  second = std::move(third);
  EXPECT_EQ(second.data(), large);
  EXPECT_GE(second.bytes(), Workspace::huge_block);
}

}  // namespace
}  // namespace weir
