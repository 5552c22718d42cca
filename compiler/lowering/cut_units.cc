#include "compiler/lowering/cut_units.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

// Rows of the tile's axis that a part keeps, at least. Tiles of 32 registers take these in one or
// two groups of a height; those of 16, of six rows, do not, so there another axis is cut first.
constexpr std::int64_t kRowsOfPart = 8;
constexpr int kManyRegisters = 32;
constexpr std::int64_t kMostParts = 1024;

std::optional<std::int64_t> parts_of(std::int64_t extent, std::int64_t least) {
  for (std::int64_t parts = least; parts <= std::min(extent, kMostParts); ++parts)
    if (extent % parts == 0) return parts;
  return std::nullopt;
}

Kernel cut(Kernel kernel, std::uint32_t axis, std::int64_t parts, std::int64_t extent) {
  cut_row(kernel, axis, {parts, extent / parts}, {extent / parts, 1});
  return kernel;
}

}  // namespace

std::optional<Kernel> cut_units(const Kernel& stores, std::uint32_t elements, std::int64_t lanes,
                                std::int64_t least_parts, const VectorRegisters& vectors) {
  const auto tile_axis = static_cast<std::uint32_t>(stores.rows.size() - 2);
  if (elements >= tile_axis) return std::nullopt;
  // Windows of several positions meet at the seams between parts of an image, which rows of the
  // tile do not have.
  const std::int64_t rows = stores.rows[tile_axis].constant().value_or(0);
  const auto tiles = parts_of(rows, least_parts);
  const bool has_tiles = tiles && rows / *tiles >= kRowsOfPart;
  if (has_tiles && vectors.count >= kManyRegisters) return cut(stores, tile_axis, *tiles, rows);
  for (std::uint32_t axis = elements + 1; axis < tile_axis; ++axis) {
    const std::int64_t extent = stores.rows[axis].constant().value_or(0);
    if (const auto parts = parts_of(extent, least_parts)) return cut(stores, axis, *parts, extent);
  }
  const std::int64_t extent = stores.rows[elements].constant().value_or(0);
  const auto parts = parts_of(lanes, least_parts);
  if (!parts || extent == 0 || extent % lanes != 0)
    return has_tiles ? std::optional(cut(stores, tile_axis, *tiles, rows)) : std::nullopt;
  Kernel by_lanes = stores;
  cut_row(by_lanes, elements, {extent / lanes, lanes}, {lanes, 1});
  return cut(std::move(by_lanes), elements + 1, *parts, lanes);
}

}  // namespace weir
