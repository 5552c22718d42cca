// The part of the kernel emitter that deals with loads.
//
// A vector comes from one address where its elements are neighbours, from a few whole vectors where
// they are close together, and is gathered otherwise. A guard is taken apart: what is the same in
// all lanes chooses an address among zeros, without a branch, and in front of the innermost loop
// where it is the same at all of its steps; what differs from lane to lane is a mask.

#include <algorithm>

#include "compiler/codegen/kernel_emitter.h"
#include "ir/scalar/affine.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

namespace {

bool is_zero(const scalar::Arena& arena, Id id) {
  return arena.is_constant(id) && arena.bits(id).value == 0;
}

}  // namespace

std::vector<Id> conjuncts(const scalar::Arena& arena, Id condition) {
  std::vector<Id> parts, open{condition};
  while (!open.empty()) {
    Id id = open.back();
    open.pop_back();
    if (arena[id].primitive != Primitive::bit_and) {
      parts.push_back(id);
      continue;
    }
    for (Id operand : arena.operands(id)) open.push_back(operand);
  }
  return parts;
}

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
    if (reads_panel(id)) {
      llvm::Value* step =
          b_.CreateMul(axes_.at(schedule_.panel->axis), values_.at(stride_key(id))[0]);
      return b_.CreateGEP(type, first, b_.CreateAdd(step, position));
    }
    llvm::Value* inside = scalar_index(access.inside, lanes, row);
    if (auto stay = values_.find(stay_key(id)); stay != values_.end())
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
  if (!is_zero(kernel_.arena, alternative)) return std::nullopt;
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
  if (!step || !steps || *step < 0 || *step > kMostZeroBytes || *steps > kMostZeroBytes)
    return staying;
  elements += *step * std::max<std::int64_t>(*steps - 1, 0);
  if (elements * element_bytes > kMostZeroBytes) return staying;
  return LoopZeros{elements * element_bytes, false};
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
        first = b_.CreateSelect(guard, first, zeros(in_loop->bytes));
        if (in_loop->stays) stays.push_back(b_.CreateSExt(guard, b_.getInt64Ty()));
      }
      addresses.push_back(first);
    }
    keep(address_key(id), std::move(addresses));
    if (!stays.empty()) keep(stay_key(id), std::move(stays));
  }
}

llvm::Value* KernelEmitter::emit_load(Id id, const Access& access, const Lanes& lanes, int slot,
                                      int row) {
  const scalar::Node& node = kernel_.arena[id];
  std::uint32_t parameter = static_cast<std::uint32_t>(node.payload);
  DType dtype = kernel_.parameters[parameter].type.dtype;
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  const bool single = lanes.width == 1 || access.kind == Access::Kind::uniform;
  // Whether all that lies between the first lane's element and the last one's is close by.
  const bool contiguous = access.kind == Access::Kind::contiguous || reads_panel(id);
  const bool is_run = contiguous || is_near(access);
  // What is the same in all lanes of a guard chooses an address, without a branch; the rest of it
  // is a mask.
  const bool guarded = node.primitive == Primitive::load_if;
  if (auto turned = turned_.find(id.index); turned != turned_.end() && lanes.width > 1) {
    const auto axis = static_cast<std::uint32_t>(kernel_.arena[access.inside].payload);
    llvm::Type* vector = memory_type(dtype, lanes.width);
    llvm::Value* step = b_.CreateSub(axes_.at(axis), turned->second.begin);
    llvm::Value* number = b_.CreateAdd(b_.CreateMul(step, i64(lanes.slots)), i64(slot));
    return b_.CreateLoad(vector, b_.CreateGEP(vector, turned->second.vectors, number));
  }
  const bool chosen_before =
      values_.contains(address_key(id)) && zeros_of_loop(id, access, lanes).has_value();
  llvm::Value *guard = nullptr, *guard_of_all = nullptr, *otherwise = nullptr;
  bool same_guard = false, otherwise_zero = false;
  if (guarded) {
    Id condition = kernel_.arena.operand(id, 0), alternative = kernel_.arena.operand(id, 1);
    auto is_same = [&](Id part) { return lanes.width == 1 || !schedule_.varies[part.index]; };
    same_guard = is_same(condition);
    otherwise = value(alternative, lanes, slot, row);
    otherwise_zero = is_zero(kernel_.arena, alternative);
    // Parts that are known at some steps are not looked at there.
    const std::vector<Id> parts = conjuncts(kernel_.arena, condition);
    const bool in_parts =
        same_guard
            ? std::any_of(parts.begin(), parts.end(),
                          [&](Id part) { return schedule_.step_bounds.contains(part.index); })
            : is_run && otherwise_zero;
    for (Id part : in_parts ? parts : std::vector<Id>{condition}) {
      if (chosen_before && is_same(part)) continue;
      llvm::Value* holds = value(
          part, is_same(part) ? Lanes{1, lanes.slots, lanes.start, nullptr} : lanes, slot, row);
      if (auto* always = llvm::dyn_cast<llvm::Constant>(holds); always && always->isAllOnesValue())
        continue;
      llvm::Value*& whole = is_same(part) && (single || is_run) ? guard_of_all : guard;
      whole = whole ? b_.CreateAnd(whole, holds) : holds;
    }
  }
  // A bool is a byte in memory.
  auto from_memory = [&](llvm::Value* loaded) -> llvm::Value* {
    if (dtype != DType::boolean) return loaded;
    return b_.CreateICmpNE(loaded, llvm::Constant::getNullValue(loaded->getType()));
  };
  auto guarded_address = [&](std::int64_t elements) {
    llvm::Value* where = element_address(id, access, lanes, slot, row);
    return guard_of_all ? b_.CreateSelect(guard_of_all, where, zeros(elements * byte_size(dtype)))
                        : where;
  };
  // What a load of a guarded address gives: zeros where the guard is false.
  auto chosen = [&](llvm::Value* loaded) {
    return guard_of_all && !otherwise_zero ? b_.CreateSelect(guard_of_all, loaded, otherwise)
                                           : loaded;
  };
  if (single) {
    if (!guard)
      return chosen(widened(
          from_memory(b_.CreateAlignedLoad(memory_type(dtype, 1), guarded_address(1), align)),
          lanes.width));
    // One address under a guard that varies: it may be touched if any lane may.
    llvm::Value* where =
        b_.CreateSelect(b_.CreateOrReduce(guard), element_address(id, access, lanes, slot, row),
                        zeros(byte_size(dtype)));
    llvm::Value* loaded = from_memory(b_.CreateAlignedLoad(memory_type(dtype, 1), where, align));
    return b_.CreateSelect(guard, widened(loaded, lanes.width), otherwise);
  }
  llvm::Type* type = memory_type(dtype, lanes.width);
  llvm::Value* mask = lanes.mask;
  auto restrict_to = [&](llvm::Value* condition) {
    llvm::Value* each = widened(condition, lanes.width);
    mask = mask ? b_.CreateAnd(mask, each) : each;
  };
  if (guard) restrict_to(guard);
  // Lanes that are masked off take the alternative on the way.
  const bool replaces = guard && dtype != DType::boolean;
  llvm::Value* replacement = replaces ? otherwise : llvm::Constant::getNullValue(type);
  llvm::Value* loaded;
  if (contiguous) {
    llvm::Value* where = guarded_address(lanes.width);
    loaded =
        mask ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(type, where, align, mask, replacement))
             : b_.CreateAlignedLoad(type, where, align);
  } else if (is_run && (!mask || masks_)) {
    const std::int64_t stride = access.stride.value();
    loaded = load_near(type, guarded_address(lanes.width * stride), static_cast<int>(stride), mask);
    if (replaces && !otherwise_zero) loaded = b_.CreateSelect(mask, loaded, otherwise);
  } else if (access.kind == Access::Kind::strided && mask && lanes.last && !guarded &&
             target_.vector_bytes != 64) {
    loaded = load_first_lanes(type, parameter, access, lanes, slot, row);
  } else {
    if (guard_of_all) restrict_to(guard_of_all);
    llvm::Value* where = address(parameter, lane_offsets(access, lanes, slot, row));
    if (!mask)
      mask = llvm::ConstantInt::getTrue(
          llvm::FixedVectorType::get(b_.getInt1Ty(), static_cast<unsigned>(lanes.width)));
    loaded = b_.CreateMaskedGather(type, where, align, mask, replacement);
  }
  loaded = from_memory(loaded);
  return guard && dtype == DType::boolean ? b_.CreateSelect(guard, loaded, otherwise)
                                          : chosen(loaded);
}

// Elements some distance apart of the lanes up to where a loop ends, and the last of these in the
// lanes behind it: a mask would be a branch around each, where no instruction gathers.
llvm::Value* KernelEmitter::load_first_lanes(llvm::Type* type, std::uint32_t parameter,
                                             const Access& access, const Lanes& lanes, int slot,
                                             int row) {
  llvm::Type* element = type->getScalarType();
  const llvm::Align align(element->getScalarSizeInBits() / 8);
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* start = b_.CreateAdd(lanes.start, i64(lanes.position(slot)));
  llvm::Value* first = address(parameter, b_.CreateAdd(scalar_index(access.offset, lanes, row),
                                                       b_.CreateMul(start, stride)));
  llvm::Value* loaded = llvm::PoisonValue::get(type);
  for (int lane = 0; lane < lanes.width; ++lane) {
    llvm::Value* number = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, i64(lane), lanes.last);
    llvm::Value* where = b_.CreateGEP(element, first, b_.CreateMul(number, stride));
    loaded = b_.CreateInsertElement(loaded, b_.CreateAlignedLoad(element, where, align),
                                    static_cast<std::uint64_t>(lane));
  }
  return loaded;
}

// Every stride-th element from an address on, of those lanes that the mask has, and zeros in the
// others: whole vectors, of which the last one ends with the last lane's element, are loaded and
// their elements picked. Nothing before the first lane's element is touched, nothing behind the
// last one's, and under a mask no other elements than its lanes'.
llvm::Value* KernelEmitter::load_near(llvm::Type* type, llvm::Value* where, int stride,
                                      llvm::Value* mask) {
  auto* vector = llvm::cast<llvm::FixedVectorType>(type);
  llvm::Type* element = vector->getElementType();
  llvm::Align align(element->getScalarSizeInBits() / 8);
  const int width = static_cast<int>(vector->getNumElements());
  const int last = stride * (width - 1);
  constexpr int kNowhere = -1;
  // By lane: where its element is in `result`.
  std::vector<int> at(static_cast<std::size_t>(width), kNowhere);
  llvm::Value* result = nullptr;
  for (int begin = 0; begin <= last; begin += width) {
    const int first = std::min(begin, last + 1 - width);
    std::vector<int> picked = at, wanted(static_cast<std::size_t>(width), width);
    for (int lane = 0; lane < width; ++lane) {
      const int here = stride * lane - first;
      if (stride * lane < begin || here >= width) continue;
      picked[static_cast<std::size_t>(lane)] = result ? width + here : here;
      wanted[static_cast<std::size_t>(here)] = lane;
    }
    llvm::Value* from = b_.CreateConstGEP1_64(element, where, static_cast<std::uint64_t>(first));
    llvm::Value* piece;
    if (mask) {
      llvm::Value* none = llvm::Constant::getNullValue(mask->getType());
      piece = b_.CreateMaskedLoad(vector, from, align, b_.CreateShuffleVector(mask, none, wanted),
                                  llvm::Constant::getNullValue(vector));
    } else {
      piece = b_.CreateAlignedLoad(vector, from, align);
    }
    if (!result) {
      result = piece;
      at = std::move(picked);
      continue;
    }
    result = b_.CreateShuffleVector(result, piece, picked);
    for (int lane = 0; lane < width; ++lane)
      if (picked[static_cast<std::size_t>(lane)] != kNowhere)
        at[static_cast<std::size_t>(lane)] = lane;
  }
  return result;
}

}  // namespace weir
