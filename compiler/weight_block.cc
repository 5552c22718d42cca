// Elements are moved in tiles: of the dimension that is innermost in the new order as many as a
// line holds, by a run of the tensor. Each of its runs is read once, line by line, into a buffer
// that stays in the first cache, and the tile is written from there in lines of the new order.
// Without the buffer the runs, which are often a multiple of 4 KB apart, would push each other out
// of that cache between one line and the next.

#include "compiler/weight_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "compiler/codegen/run_tasks.h"
#include "ir/diagnostic.h"

namespace weir {
namespace {

constexpr std::uint32_t kSign = 0x80000000u, kInfinity = 0x7f800000u;
// Elements that a loop of vectors is worth beginning for.
constexpr std::int64_t kSumsOfRow = 128;

// A dimension in the new order, and how far its neighbours are apart, in elements: in the tensor,
// and in the new order.
struct Dimension {
  std::int64_t size, stride, step;
};

// Outermost first. What goes in one stride in both is one dimension, and none has size 1.
std::vector<Dimension> dimensions_of(const Tensor& tensor, std::span<const std::uint32_t> order,
                                     std::int64_t panel) {
  std::vector<Dimension> of_tensor;
  for (std::int64_t size : tensor.sizes()) of_tensor.push_back({size, 1, 0});
  for (std::size_t i = of_tensor.size(); i-- > 1;)
    of_tensor[i - 1].stride = of_tensor[i].stride * of_tensor[i].size;
  std::vector<Dimension> all;
  if (order.empty()) all = of_tensor;
  for (std::uint32_t dimension : order) all.push_back(of_tensor[dimension]);
  if (panel != 0) {
    Dimension& cut = all.back();
    const Dimension panels{cut.size / panel, cut.stride * panel, 0};
    cut.size = panel;
    all.insert(all.begin(), panels);
  }
  std::vector<Dimension> result;
  for (const Dimension& next : all) {
    if (next.size == 1) continue;
    if (!result.empty() && result.back().stride == next.stride * next.size)
      result.back() = {result.back().size * next.size, next.stride, 0};
    else
      result.push_back(next);
  }
  if (result.empty()) result.push_back({1, 1, 0});
  std::int64_t step = 1;
  for (std::size_t i = result.size(); i-- > 0;) {
    result[i].step = step;
    step *= result[i].size;
  }
  return result;
}

enum class Way { put, take };

// Elements of type T between a tensor and memory in a new order.
template <class T, Way kWay>
class Mover {
 public:
  using InTensor = std::conditional_t<kWay == Way::put, const T, T>;
  using InOrder = std::conditional_t<kWay == Way::put, T, const T>;

  explicit Mover(std::vector<Dimension> dimensions) : columns_(dimensions.back()) {
    dimensions.pop_back();
    // A run of the tensor has all of its innermost dimensions, but for a part of the outermost of
    // them.
    if (columns_.stride != 1) {
      while (true) {
        auto next = std::ranges::find(dimensions, run_, &Dimension::stride);
        if (next == dimensions.end() || run_ * 2 > kRun) break;
        within_.push_back(*next);
        run_ *= next->size;
        dimensions.erase(next);
      }
      part_ =
          std::min(within_.back().size, std::max<std::int64_t>(kRun / within_.back().stride, 1));
    }
    loops_ = std::move(dimensions);
  }

  void move(InOrder* ordered, InTensor* tensor) { loop(0, ordered, tensor); }

 private:
  static constexpr std::int64_t kColumns = 16;
  static constexpr std::int64_t kRun = 256;
  // Runs in the buffer are not a power of two apart.
  static constexpr std::int64_t kPitch = kRun + 16;

  void loop(std::size_t level, InOrder* ordered, InTensor* tensor) {
    if (level < loops_.size()) {
      const Dimension& here = loops_[level];
      for (std::int64_t i = 0; i < here.size; ++i)
        loop(level + 1, ordered + i * here.step, tensor + i * here.stride);
      return;
    }
    if (columns_.stride == 1) return move_row(ordered, tensor, columns_.size);
    const Dimension& cut = within_.back();
    for (std::int64_t first = 0; first < cut.size; first += part_)
      for (std::int64_t column = 0; column < columns_.size; column += kColumns)
        move_tile(ordered + first * cut.step + column,
                  tensor + first * cut.stride + column * columns_.stride,
                  std::min(part_, cut.size - first), std::min(kColumns, columns_.size - column));
  }

  static void move_row(InOrder* ordered, InTensor* tensor, std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if constexpr (kWay == Way::put)
      std::memcpy(ordered, tensor, bytes);
    else
      std::memcpy(tensor, ordered, bytes);
  }

  void move_tile(InOrder* ordered, InTensor* tensor, std::int64_t part, std::int64_t columns) {
    const std::int64_t run = within_.back().stride * part;
    if constexpr (kWay == Way::put)
      for (std::int64_t i = 0; i < columns; ++i)
        std::copy_n(tensor + i * columns_.stride, run, buffer_.data() + i * kPitch);
    move_runs(within_.size() - 1, part, ordered, buffer_.data(), columns);
    if constexpr (kWay == Way::take)
      for (std::int64_t i = 0; i < columns; ++i)
        std::copy_n(buffer_.data() + i * kPitch, run, tensor + i * columns_.stride);
  }

  // So many positions of one dimension of the run, and all of those within it.
  void move_runs(std::size_t level, std::int64_t size, InOrder* ordered, T* buffer,
                 std::int64_t columns) {
    const Dimension& here = within_[level];
    for (std::int64_t i = 0; i < size; ++i) {
      InOrder* to = ordered + i * here.step;
      T* from = buffer + i * here.stride;
      if (level > 0)
        move_runs(level - 1, within_[level - 1].size, to, from, columns);
      else if (columns == kColumns)
        move_columns(to, from, kColumns);
      else
        move_columns(to, from, columns);
    }
  }

  static void move_columns(InOrder* ordered, T* buffer, std::int64_t columns) {
    for (std::int64_t i = 0; i < columns; ++i) {
      if constexpr (kWay == Way::put)
        ordered[i] = buffer[i * kPitch];
      else
        buffer[i * kPitch] = ordered[i];
    }
  }

  Dimension columns_;              // innermost in the new order
  std::vector<Dimension> within_;  // of a run, innermost in the tensor first
  std::int64_t run_ = 1, part_ = 1;
  std::vector<Dimension> loops_;  // around tiles
  std::array<T, kColumns * kPitch> buffer_;
};

// Moves positions `begin` to `end` - 1 of the outermost dimension.
template <Way kWay, class InOrder, class InTensor>
void move(InOrder* ordered, InTensor* tensor, std::vector<Dimension> dimensions, std::int64_t size,
          std::int64_t begin, std::int64_t end) {
  ordered += begin * dimensions[0].step * size;
  tensor += begin * dimensions[0].stride * size;
  dimensions[0].size = end - begin;
  auto as = [&]<class T>(T) {
    using Moved = Mover<T, kWay>;
    Moved(std::move(dimensions))
        .move(reinterpret_cast<Moved::InOrder*>(ordered),
              reinterpret_cast<Moved::InTensor*>(tensor));
  };
  if (size == 1) return as(std::uint8_t());
  if (size == 2) return as(std::uint16_t());
  if (size == 4) return as(std::uint32_t());
  WEIR_CHECK(size == 8, "elements of weights of 1, 2, 4 or 8 bytes");
  as(std::uint64_t());
}

}  // namespace

void put_in_order(char* to, const Tensor& tensor, std::span<const std::uint32_t> order,
                  std::int64_t panel) {
  if (tensor.element_count() == 0) return;
  const std::vector<Dimension> dimensions = dimensions_of(tensor, order, panel);
  move<Way::put>(to, static_cast<const char*>(tensor.data()), dimensions, byte_size(tensor.dtype()),
                 0, dimensions[0].size);
}

void take_in_order(Tensor& tensor, const char* from, std::span<const std::uint32_t> order,
                   std::int64_t panel) {
  if (tensor.element_count() == 0) return;
  const std::vector<Dimension> dimensions = dimensions_of(tensor, order, panel);
  move<Way::take>(from, static_cast<char*>(tensor.mutable_data()), dimensions,
                  byte_size(tensor.dtype()), 0, dimensions[0].size);
}

Tensor sums_with_zero(const Tensor& tensor, std::uint32_t dimension) {
  Tensor::Sizes sizes = tensor.sizes();
  const std::int64_t count = sizes[dimension];
  std::int64_t outer = 1, inner = 1;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (i != dimension) (i < dimension ? outer : inner) *= sizes[i];
  sizes.erase(sizes.begin() + dimension);
  Tensor sums(DType::f32, std::move(sizes));
  const std::span<const float> elements = tensor.elements<float>();
  const std::span<float> results = sums.mutable_elements<float>();
  // Several positions of the dimension at a time are a row that vectors run along.
  std::int64_t together = 1;
  while (inner * together < kSumsOfRow && count % (together * 2) == 0) together *= 2;
  const auto row = static_cast<std::size_t>(inner * together);
  std::vector<std::uint32_t> signs(row), greatest(row);
  for (std::int64_t i = 0; i < outer; ++i) {
    std::ranges::fill(signs, kSign);
    std::ranges::fill(greatest, 0);
    for (std::int64_t k = 0; k < count / together; ++k) {
      const float* from = elements.data() + (i * count + k * together) * inner;
      for (std::size_t at = 0; at < row; ++at) {
        const auto bits = std::bit_cast<std::uint32_t>(from[at]);
        signs[at] &= bits;
        greatest[at] = std::max(greatest[at], bits & ~kSign);
      }
    }
    for (std::int64_t at = 0; at < inner; ++at) {
      std::uint32_t sign = kSign, most = 0;
      for (auto one = static_cast<std::size_t>(at); one < row;
           one += static_cast<std::size_t>(inner)) {
        sign &= signs[one];
        most = std::max(most, greatest[one]);
      }
      results[static_cast<std::size_t>(i * inner + at)] =
          most >= kInfinity ? std::numeric_limits<float>::quiet_NaN() : std::bit_cast<float>(sign);
    }
  }
  return sums;
}

void check_weights(std::span<const WeightEntry> entries, const Weights& weights) {
  std::string missing;
  for (const WeightEntry& entry : entries) {
    if (entry.value || !entry.order.empty()) continue;
    auto found = weights.find(entry.param);
    if (found == weights.end()) {
      missing += fmt::format("{}%{} ({})", missing.empty() ? "" : ", ", entry.param,
                             to_string(entry.type));
    } else if (!(found->second.type() == entry.type)) {
      throw Error(fmt::format("param %{} must be {}, and {} is given", entry.param,
                              to_string(entry.type),
                              to_string(found->second.dtype(), found->second.sizes())));
    }
  }
  if (!missing.empty()) throw Error("these params have no value: " + missing);
}

void fill_weight_block(std::span<const WeightEntry> entries, const Weights& weights,
                       std::span<char> block, const weir_executor* executor) {
  // Enough to be worth a task.
  constexpr std::int64_t kPieceBytes = std::int64_t{1} << 18;
  // Of entries that are sums.
  std::vector<const WeightEntry*> summed;
  for (const WeightEntry& entry : entries)
    if (entry.offset && entry.times_zero) summed.push_back(&entry);
  auto given = [&](const WeightEntry& entry) -> const Tensor& {
    return entry.value ? *entry.value : weights.find(entry.param)->second;
  };
  std::vector<Tensor> sums(summed.size());
  run_tasks(executor, summed.size(), [&](std::size_t i) {
    sums[i] = sums_with_zero(given(*summed[i]), *summed[i]->times_zero);
  });
  struct Piece {
    char* to;
    const Tensor& value;
    std::vector<Dimension> dimensions;
    std::int64_t begin, end;
  };
  std::vector<Piece> pieces;
  for (const WeightEntry& entry : entries) {
    if (!entry.offset) continue;
    const auto sum = std::ranges::find(summed, &entry);
    const Tensor& value =
        sum == summed.end() ? given(entry) : sums[static_cast<std::size_t>(sum - summed.begin())];
    WEIR_CHECK(*entry.offset + value.byte_count() <= block.size(), entry.param);
    if (value.element_count() == 0) continue;
    std::vector<std::uint32_t> order = entry.order;
    for (std::uint32_t& dimension : order)
      if (entry.times_zero && dimension > *entry.times_zero) --dimension;
    const std::vector<Dimension> dimensions = dimensions_of(value, order, entry.panel);
    const std::int64_t outer = dimensions[0].size;
    const std::int64_t each = std::max<std::int64_t>(
        outer * kPieceBytes / static_cast<std::int64_t>(value.byte_count()), 1);
    for (std::int64_t begin = 0; begin < outer; begin += each)
      pieces.push_back(
          {block.data() + *entry.offset, value, dimensions, begin, std::min(begin + each, outer)});
  }
  run_tasks(executor, pieces.size(), [&](std::size_t i) {
    const Piece& piece = pieces[i];
    move<Way::put>(piece.to, static_cast<const char*>(piece.value.data()), piece.dimensions,
                   byte_size(piece.value.dtype()), piece.begin, piece.end);
  });
}

}  // namespace weir
