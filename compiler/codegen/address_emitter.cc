// The part of the kernel emitter that works out where loads' elements are.
//
// What of an address or a guard is the same at all steps of the innermost loop is worked out in
// front of it, and where a guard does not hold there, an address among zeros is chosen.

#include <cstdlib>

#include "compiler/codegen/kernel_emitter.h"
#include "ir/scalar/affine.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

// The address of a load's element in the first lane of a slot, which is that of all lanes where
// they are the same.
llvm::Value* KernelEmitter::element_address(Id id, const Access& access, const Lanes& lanes,
                                            int slot, int row) {
  const auto parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
  if (access.kind == Access::Kind::computed)
    return address(parameter, lane_offsets(access, lanes, slot, row));
  llvm::Type* type = memory_type(kernel_.parameters[parameter].type.dtype, 1);
  llvm::Value* position = i64(lanes.position(slot));
  auto along = [&](llvm::Value* at) -> llvm::Value* {
    if (access.kind == Access::Kind::uniform) return i64(0);
    return access.kind == Access::Kind::contiguous ? at
                                                   : b_.CreateMul(at, dimension(access.stride));
  };
  if (auto found = values_.find(address_key(id)); found != values_.end()) {
    const Values& addresses = found->second;
    const bool is_shared = addresses.size() == 1;
    llvm::Value* first = addresses[is_shared ? 0 : static_cast<std::size_t>(row)];
    const auto walked = walked_to_.find(id.index);
    const bool walks = walked != walked_to_.end();
    auto steps_on = [&](const Stride& stride) {
      llvm::Value* steps = axes_.at(stride.axis);
      return b_.CreateMul(walks ? b_.CreateSub(steps, walked->second) : steps, stride.elements);
    };
    if (reads_panel(id)) {
      llvm::Value* step = steps_on({schedule_.panel->axis, values_.at(stride_key(id))[0]});
      return b_.CreateGEP(type, first, b_.CreateAdd(step, position));
    }
    llvm::Value* inside =
        walks ? steps_on(*stride_of_steps(id)) : scalar_index(access.inside, lanes, row);
    if (auto stay = values_.find(stay_key(id)); !walks && stay != values_.end())
      inside = b_.CreateAnd(inside, stay->second[is_shared ? 0 : static_cast<std::size_t>(row)]);
    llvm::Value* where = b_.CreateGEP(type, first, inside);
    if (is_shared && schedule_.varies_by_row[id.index])
      where = b_.CreateGEP(type, where, i64(row_distance(access, row).value_or(0)));
    return b_.CreateGEP(type, where, along(position));
  }
  llvm::Value* base = scalar_index(access.offset, lanes, row);
  if (access.kind == Access::Kind::uniform) return address(parameter, base);
  return address(parameter, b_.CreateAdd(base, along(b_.CreateAdd(lanes.start, position))));
}

// How far the element of a row of a tile is from that of its first row, where that is known ahead
// and the same at all steps: rows that are need no address each.
std::optional<std::int64_t> KernelEmitter::row_distance(const Access& access, int row) const {
  if (rows_ == 1 || last_row_ != nullptr) return std::nullopt;
  std::int64_t distance = 0;
  for (const auto& [atom, coefficient] : scalar::decompose(kernel_.arena, access.outside).terms) {
    if (!schedule_.varies_by_row[atom.index]) continue;
    const scalar::Node& node = kernel_.arena[atom];
    if (node.primitive != Primitive::axis || !coefficient.is_constant()) return std::nullopt;
    const std::size_t axis = *schedule_.tile_axis(static_cast<std::uint32_t>(node.payload));
    distance +=
        coefficient.value() * (schedule_.tile_axes == 1 ? row : schedule_.tile_position(axis, row));
  }
  return distance;
}

std::uint32_t KernelEmitter::address_key(Id id) const {
  return static_cast<std::uint32_t>(kernel_.arena.size()) + id.index;
}

std::uint32_t KernelEmitter::stay_key(Id id) const {
  return static_cast<std::uint32_t>(2 * kernel_.arena.size()) + id.index;
}

// Nothing if the guard changes within the loop. Where its steps go too far for as many zeros, the
// address stays where it is.
std::optional<KernelEmitter::LoopZeros> KernelEmitter::zeros_of_loop(Id id, const Access& access,
                                                                     const Lanes& lanes) const {
  const scalar::Node& node = kernel_.arena[id];
  if (node.primitive != Primitive::load_if || !access.inside.valid()) return std::nullopt;
  Id condition = kernel_.arena.operand(id, 0), alternative = kernel_.arena.operand(id, 1);
  const bool uniform = access.kind == Access::Kind::uniform;
  const bool in_lanes = lanes.width > 1;
  if (!is_positive_zero(kernel_.arena, alternative)) return std::nullopt;
  const bool varies = schedule_.varies[condition.index];
  const bool is_strided = access.kind == Access::Kind::strided;
  // Each of these loads has a condition, or an address, of its own in every lane or slot.
  if (varies && (uniform || (in_lanes ? is_strided && !masks_ : lanes.slots > 1)))
    return std::nullopt;
  if (is_strided && !is_near(access)) return std::nullopt;
  bool any = false;
  for (Id part : conjuncts(kernel_.arena, condition)) {
    if (in_lanes && schedule_.varies[part.index]) continue;
    if (schedule_.levels[part.index] >= Level::stage) return std::nullopt;
    any = true;
  }
  if (!any) return std::nullopt;
  const std::uint32_t parameter = static_cast<std::uint32_t>(node.payload);
  const std::int64_t element_bytes = byte_size(kernel_.parameters[parameter].type.dtype);
  std::int64_t elements = 1;
  if (!uniform) elements += std::int64_t{lanes.width} * lanes.slots * access.stride.value();
  if (elements * element_bytes > kMostZeroBytes) return std::nullopt;
  // Rows with a guard each keep their choice in the loop: so many addresses and offsets are too
  // many.
  std::optional<LoopZeros> staying;
  if (rows_ == 1 || !schedule_.varies_by_row[condition.index])
    staying = LoopZeros{elements * element_bytes, true};
  scalar::Affine inside = scalar::decompose(kernel_.arena, access.inside);
  const scalar::Node& axis = kernel_.arena[inside.terms.front().first];
  if (inside.terms.size() != 1 || axis.primitive != Primitive::axis) return staying;
  std::optional<std::int64_t> step = inside.terms.front().second.constant();
  std::optional<std::int64_t> steps = kernel_.arena.axis_extent(axis.payload).constant();
  if (!step || !steps || std::abs(*step) > kMostZeroBytes || *steps > kMostZeroBytes)
    return staying;
  const std::int64_t way = std::abs(*step) * std::max<std::int64_t>(*steps - 1, 0);
  elements += way;
  if (elements * element_bytes > kMostZeroBytes) return staying;
  return LoopZeros{elements * element_bytes, false, *step < 0 ? way : 0};
}

// Works out where a fold's loads begin in its innermost loop, in front of that. Where a guard is
// the same at all of its steps, an address among zeros is chosen there, too, and the loop knows
// nothing of the guard.
void KernelEmitter::hoist_addresses(const Stage& stage, const Lanes& lanes) {
  if (!schedule_.vector_row) return;
  for (Id id : scalar::reachable(kernel_.arena, stage.fold->elements)) {
    if (!scalar::is_load(kernel_.arena[id].primitive)) continue;
    auto found = schedule_.loads.find(id.index);
    if (found == schedule_.loads.end() || schedule_.levels[id.index] < Level::stage) continue;
    const Access& access = found->second;
    if (!access.inside.valid()) continue;
    const auto parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
    const std::optional<LoopZeros> in_loop = zeros_of_loop(id, access, lanes);
    const bool by_row = schedule_.varies_by_row[id.index];
    const int rows = by_row && (in_loop || !row_distance(access, 0)) ? rows_ : 1;
    const Lanes one{1, lanes.slots, lanes.start, nullptr};
    auto keep = [&](std::uint32_t key, Values values) {
      values_[key] = std::move(values);
      defined_.push_back(key);
    };
    if (reads_panel(id) && schedule_.panel->turned) {
      keep(address_key(id), {panel_address(lanes.start)});
      keep(stride_key(id), {i64(schedule_.panel->columns)});
      continue;
    }
    if (reads_panel(id)) {
      llvm::Value* offset = b_.CreateAdd(scalar_index(access.outside, lanes), lanes.start);
      keep(address_key(id),
           {b_.CreateSelect(has_panel_, panel_address(lanes.start), address(parameter, offset))});
      keep(stride_key(id), {b_.CreateSelect(has_panel_, i64(schedule_.panel->columns),
                                            dimension(schedule_.panel->stride))});
      continue;
    }
    Values addresses, stays;
    for (int row = 0; row < rows; ++row) {
      llvm::Value* offset = scalar_index(access.outside, lanes, row);
      if (access.kind == Access::Kind::contiguous)
        offset = b_.CreateAdd(offset, lanes.start);
      else if (access.kind == Access::Kind::strided)
        offset = b_.CreateAdd(offset, b_.CreateMul(lanes.start, dimension(access.stride)));
      llvm::Value* first = address(parameter, offset);
      if (in_loop) {
        llvm::Value* guard = nullptr;
        for (Id part : conjuncts(kernel_.arena, kernel_.arena.operand(id, 0))) {
          if (lanes.width > 1 && schedule_.varies[part.index]) continue;
          llvm::Value* holds = value(part, one, 0, row);
          guard = guard ? b_.CreateAnd(guard, holds) : holds;
        }
        llvm::Value* among_zeros = b_.CreateConstGEP1_64(
            memory_type(kernel_.parameters[parameter].type.dtype, 1), zeros(in_loop->bytes),
            static_cast<std::uint64_t>(in_loop->first));
        first = b_.CreateSelect(guard, first, among_zeros);
        if (in_loop->stays) stays.push_back(b_.CreateSExt(guard, b_.getInt64Ty()));
      }
      addresses.push_back(first);
    }
    keep(address_key(id), std::move(addresses));
    if (!stays.empty()) keep(stay_key(id), std::move(stays));
  }
}

std::optional<KernelEmitter::Stride> KernelEmitter::stride_of_steps(Id id) {
  const auto addresses = values_.find(address_key(id));
  if (addresses == values_.end() || addresses->second.size() != 1) return std::nullopt;
  if (reads_panel(id)) return Stride{schedule_.panel->axis, values_.at(stride_key(id))[0]};
  const scalar::Affine inside =
      scalar::decompose(kernel_.arena, schedule_.loads.at(id.index).inside);
  if (inside.terms.size() != 1 || inside.constant != Dim(0)) return std::nullopt;
  const auto& [atom, coefficient] = inside.terms.front();
  const std::optional<std::int64_t> stride = coefficient.constant();
  if (!stride || kernel_.arena[atom].primitive != Primitive::axis) return std::nullopt;
  const std::int64_t bytes = *stride * byte_size(loaded_type(id));
  if (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) return std::nullopt;
  // An address among zeros stays where it is.
  llvm::Value* elements = i64(*stride);
  if (auto stay = values_.find(stay_key(id)); stay != values_.end())
    elements = b_.CreateAnd(elements, stay->second[0]);
  return Stride{static_cast<std::uint32_t>(kernel_.arena[atom].payload), elements};
}

// The innermost loop of a fold, in which addresses go on by an addition. As a base and an index
// that is shifted at each step, a Zen 5 reads vectors of 64 bytes a few percent slower, and
// multiplying the distance in a register takes an operation more.
void KernelEmitter::walking_loop(const Stage& stage, llvm::Value* begin, llvm::Value* end,
                                 std::int64_t step, const Body& body) {
  struct Walk {
    Id id;
    llvm::Type* type;
    Values first;
    llvm::Value* each;
    llvm::AllocaInst* place;
  };
  std::vector<Walk> walks;
  for (Id id : scalar::reachable(kernel_.arena, stage.fold->elements)) {
    if (!scalar::is_load(kernel_.arena[id].primitive) || turned_.contains(id.index)) continue;
    const std::optional<Stride> stride = stride_of_steps(id);
    if (!stride) continue;
    Walk walk{id, memory_type(loaded_type(id), 1), values_.at(address_key(id)), stride->elements,
              slot(b_.getPtrTy(), "walk")};
    b_.CreateStore(b_.CreateGEP(walk.type, walk.first[0], b_.CreateMul(begin, walk.each)),
                   walk.place);
    walks.push_back(std::move(walk));
  }
  loop(begin, end, step, [&](llvm::Value* index) {
    Values places;
    for (const Walk& walk : walks) {
      places.push_back(b_.CreateLoad(b_.getPtrTy(), walk.place));
      values_[address_key(walk.id)] = {places.back()};
      walked_to_[walk.id.index] = index;
    }
    body(index);
    for (std::size_t i = 0; i < walks.size(); ++i)
      b_.CreateStore(b_.CreateGEP(walks[i].type, places[i], b_.CreateMul(walks[i].each, i64(step))),
                     walks[i].place);
  });
  for (const Walk& walk : walks) {
    values_[address_key(walk.id)] = walk.first;
    walked_to_.erase(walk.id.index);
  }
}

}  // namespace weir
