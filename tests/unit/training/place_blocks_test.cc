// Blocks beside each other: those that are cut from one rectangle of calls and bytes fit into it
// again, which is the least there is.
#include "compiler/lowering/place_blocks.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

struct Blocks {
  std::vector<BlockLife> lives;
  std::vector<std::vector<std::uint64_t>> bytes;  // by size of the symbols
};

// Cuts a rectangle of calls and bytes into two, across the one or the other, until there are so
// many parts. With each size of the symbols a block has a part of its bytes that does not depend on
// it, and one that does.
class Rectangle {
 public:
  Rectangle(std::uint32_t seed, int parts, int sizes) : random_(seed), sizes_(sizes) {
    blocks_.bytes.resize(static_cast<std::size_t>(sizes));
    cut({0, 99}, 1 << 20, 1 << 20, parts);
    std::vector<std::size_t> order(blocks_.lives.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    Blocks shuffled = blocks_;
    for (std::size_t i = 0; i < order.size(); ++i) {
      shuffled.lives[i] = blocks_.lives[order[i]];
      for (std::size_t size = 0; size < blocks_.bytes.size(); ++size)
        shuffled.bytes[size][i] = blocks_.bytes[size][order[i]];
    }
    blocks_ = shuffled;
  }
  const Blocks& blocks() const { return blocks_; }

 private:
  std::int64_t draw(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }

  void cut(BlockLife life, std::int64_t fixed, std::int64_t varying, int parts) {
    if (parts == 1) {
      blocks_.lives.push_back(life);
      for (int size = 0; size < sizes_; ++size)
        blocks_.bytes[static_cast<std::size_t>(size)].push_back(
            static_cast<std::uint64_t>(fixed + (std::int64_t{1} << size) * varying));
      return;
    }
    const int left = static_cast<int>(draw((parts + 2) / 3, parts / 2));
    if (life.last > life.first && draw(0, 1) == 0) {
      const auto last = static_cast<std::size_t>(
          draw(static_cast<std::int64_t>(life.first), static_cast<std::int64_t>(life.last) - 1));
      cut({life.first, last}, fixed, varying, left);
      cut({last + 1, life.last}, fixed, varying, parts - left);
    } else {
      const std::int64_t below = draw(0, fixed), varying_below = draw(varying / 4, varying / 2);
      cut(life, below, varying_below, left);
      cut(life, fixed - below, varying - varying_below, parts - left);
    }
  }

  std::mt19937 random_;
  int sizes_;
  Blocks blocks_;
};

// What a plan comes to with one of the sizes: where blocks begin follows from what each lies above.
std::vector<std::uint64_t> addresses(const std::vector<PlacedBlock>& placed,
                                     const std::vector<std::uint64_t>& bytes) {
  std::vector<std::size_t> upward(placed.size());
  for (std::size_t i = 0; i < upward.size(); ++i) upward[i] = i;
  std::ranges::sort(upward, {}, [&](std::size_t i) { return placed[i].address; });
  std::vector<std::uint64_t> result(placed.size());
  for (std::size_t i : upward)
    for (std::uint32_t below : placed[i].below)
      result[i] = std::max(result[i], result[below] + bytes[below]);
  return result;
}

TEST(PlaceBlocks, WhatIsCutFromARectangleNeedsLittleMoreThanIt) {
  for (int sizes : {1, 4}) {
    double sum = 0, worst = 0;
    const int count = 20;
    for (int seed = 0; seed < count; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", sizes " << sizes);
      const Blocks blocks = Rectangle(static_cast<std::uint32_t>(seed), 40, sizes).blocks();
      const std::vector<PlacedBlock> placed = place_blocks(blocks.lives, blocks.bytes);
      double need = 0;
      for (std::size_t size = 0; size < blocks.bytes.size(); ++size) {
        const std::vector<std::uint64_t>& bytes = blocks.bytes[size];
        const std::vector<std::uint64_t> begin = addresses(placed, bytes);
        std::uint64_t end = 0;
        for (std::size_t i = 0; i < begin.size(); ++i) {
          end = std::max(end, begin[i] + bytes[i]);
          for (std::size_t k = 0; k < i; ++k)
            EXPECT_TRUE(blocks.lives[i].last < blocks.lives[k].first ||
                        blocks.lives[k].last < blocks.lives[i].first ||
                        begin[i] + bytes[i] <= begin[k] || begin[k] + bytes[k] <= begin[i]);
        }
        const double rectangle = (1 << 20) * static_cast<double>(1 + (1 << size));
        need = std::max(need, static_cast<double>(end) / rectangle);
      }
      EXPECT_GE(need, 1);
      sum += need;
      worst = std::max(worst, need);
    }
    EXPECT_LE(sum / count, 1.015);
    EXPECT_LE(worst, 1.1);
  }
}

}  // namespace
}  // namespace weir
