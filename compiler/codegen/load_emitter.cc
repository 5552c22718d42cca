// The part of the kernel emitter that deals with loads.
//
// A vector comes from one address where its elements are neighbours, from a few whole vectors where
// they are close together, and is gathered otherwise. A guard is taken apart: what is the same in
// all lanes chooses an address among zeros, without a branch; what differs from lane to lane is a
// mask.

#include <algorithm>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

bool is_positive_zero(const scalar::Arena& arena, Id id) {
  return arena.is_constant(id) && arena.bits(id).value == 0;
}

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

// What is the same in all lanes of a guard is for the address to say where the lanes are neighbours,
// or one; the rest is a mask.
KernelEmitter::LoadGuard KernelEmitter::guard_of(Id id, const Access& access, const Lanes& lanes,
                                                 int slot, int row) {
  LoadGuard guard;
  if (kernel_.arena[id].primitive != Primitive::load_if) return guard;
  const bool chosen_before =
      values_.contains(address_key(id)) && zeros_of_loop(id, access, lanes).has_value();
  const Id condition = kernel_.arena.operand(id, 0), alternative = kernel_.arena.operand(id, 1);
  auto is_same = [&](Id part) { return lanes.width == 1 || !schedule_.varies[part.index]; };
  guard.otherwise = value(alternative, lanes, slot, row);
  guard.zero_otherwise = is_positive_zero(kernel_.arena, alternative);
  const bool is_run = is_contiguous(id, access) || is_near(access);
  // Parts that are known at some steps are not looked at there.
  const std::vector<Id> parts = conjuncts(kernel_.arena, condition);
  const bool in_parts =
      is_same(condition)
          ? std::any_of(parts.begin(), parts.end(),
                        [&](Id part) { return schedule_.step_bounds.contains(part.index); })
          : is_run && guard.zero_otherwise;
  for (Id part : in_parts ? parts : std::vector<Id>{condition}) {
    if (chosen_before && is_same(part)) continue;
    llvm::Value* holds =
        value(part, is_same(part) ? Lanes{1, lanes.slots, lanes.start, nullptr} : lanes, slot, row);
    if (auto* always = llvm::dyn_cast<llvm::Constant>(holds); always && always->isAllOnesValue())
      continue;
    llvm::Value*& whole =
        is_same(part) && (is_single(access, lanes) || is_run) ? guard.of_all : guard.of_each;
    whole = whole ? b_.CreateAnd(whole, holds) : holds;
  }
  return guard;
}

llvm::Value* KernelEmitter::emit_load(Id id, const Access& access, const Lanes& lanes, int slot,
                                      int row) {
  if (auto turned = turned_.find(id.index); turned != turned_.end() && lanes.width > 1)
    return load_turned(id, access, turned->second, lanes, slot);
  const LoadGuard guard = guard_of(id, access, lanes, slot, row);
  return is_single(access, lanes) ? load_single(id, access, guard, lanes, slot, row)
                                  : load_lanes(id, access, guard, lanes, slot, row);
}

// One of the vectors that turn_steps left in memory.
llvm::Value* KernelEmitter::load_turned(Id id, const Access& access, const TurnedSteps& turned,
                                        const Lanes& lanes, int slot) {
  const auto axis = static_cast<std::uint32_t>(kernel_.arena[access.inside].payload);
  llvm::Type* vector = memory_type(loaded_type(id), lanes.width);
  llvm::Value* step = b_.CreateSub(axes_.at(axis), turned.begin);
  llvm::Value* number = b_.CreateAdd(b_.CreateMul(step, i64(lanes.slots)), i64(slot));
  return b_.CreateLoad(vector, b_.CreateGEP(vector, turned.vectors, number));
}

// An address that may be touched: that of so many elements, or of zeros.
llvm::Value* KernelEmitter::guarded_address(Id id, llvm::Value* guard, llvm::Value* where,
                                            std::int64_t elements) {
  return guard ? b_.CreateSelect(guard, where, zeros(elements * byte_size(loaded_type(id))))
               : where;
}

// The element that all lanes read.
llvm::Value* KernelEmitter::load_single(Id id, const Access& access, const LoadGuard& guard,
                                        const Lanes& lanes, int slot, int row) {
  const DType dtype = loaded_type(id);
  const llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  // Under a guard that varies it may be touched if any lane may.
  llvm::Value* any = guard.of_each ? b_.CreateOrReduce(guard.of_each) : guard.of_all;
  llvm::Value* where = guarded_address(id, any, element_address(id, access, lanes, slot, row), 1);
  llvm::Value* loaded = widened(
      as_value(b_.CreateAlignedLoad(memory_type(dtype, 1), where, align), dtype), lanes.width);
  if (guard.of_each) return b_.CreateSelect(guard.of_each, loaded, guard.otherwise);
  return unless_zeros(guard, loaded);
}

// An element for each lane.
llvm::Value* KernelEmitter::load_lanes(Id id, const Access& access, const LoadGuard& guard,
                                       const Lanes& lanes, int slot, int row) {
  const auto parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
  const DType dtype = loaded_type(id);
  const llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  llvm::Type* type = memory_type(dtype, lanes.width);
  llvm::Value* mask = lanes.mask_of(slot);
  auto restrict_to = [&](llvm::Value* condition) {
    llvm::Value* each = widened(condition, lanes.width);
    mask = mask ? b_.CreateAnd(mask, each) : each;
  };
  if (guard.of_each) restrict_to(guard.of_each);
  auto address_of = [&](std::int64_t elements) {
    return guarded_address(id, guard.of_all, element_address(id, access, lanes, slot, row),
                           elements);
  };
  // Lanes that are masked off take the alternative on the way.
  const bool replaces = guard.of_each && dtype != DType::boolean;
  llvm::Value* replacement = replaces ? guard.otherwise : llvm::Constant::getNullValue(type);
  llvm::Value* loaded;
  if (is_contiguous(id, access)) {
    llvm::Value* where = address_of(lanes.width);
    loaded =
        mask ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(type, where, align, mask, replacement))
             : b_.CreateAlignedLoad(type, where, align);
  } else if (is_near(access) && (!mask || masks_)) {
    const std::int64_t stride = access.stride.value();
    loaded = load_near(type, address_of(lanes.width * stride), static_cast<int>(stride), mask);
    if (replaces && !guard.zero_otherwise) loaded = b_.CreateSelect(mask, loaded, guard.otherwise);
  } else if (access.kind == Access::Kind::strided && mask && lanes.last && !guard.otherwise &&
             target_.vector_bytes != 64) {
    loaded = load_first_lanes(type, parameter, access, lanes, slot, row);
  } else {
    if (guard.of_all) restrict_to(guard.of_all);
    llvm::Value* where = address(parameter, lane_offsets(access, lanes, slot, row));
    if (!mask)
      mask = llvm::ConstantInt::getTrue(
          llvm::FixedVectorType::get(b_.getInt1Ty(), static_cast<unsigned>(lanes.width)));
    loaded = b_.CreateMaskedGather(type, where, align, mask, replacement);
  }
  loaded = as_value(loaded, dtype);
  return guard.of_each && dtype == DType::boolean
             ? b_.CreateSelect(guard.of_each, loaded, guard.otherwise)
             : unless_zeros(guard, loaded);
}

// What was loaded from a guarded address, which is zeros where the guard is false.
llvm::Value* KernelEmitter::unless_zeros(const LoadGuard& guard, llvm::Value* loaded) {
  return guard.of_all && !guard.zero_otherwise
             ? b_.CreateSelect(guard.of_all, loaded, guard.otherwise)
             : loaded;
}

// A bool is a byte in memory.
llvm::Value* KernelEmitter::as_value(llvm::Value* loaded, DType dtype) {
  if (dtype != DType::boolean) return loaded;
  return b_.CreateICmpNE(loaded, llvm::Constant::getNullValue(loaded->getType()));
}

DType KernelEmitter::loaded_type(Id load) const {
  return kernel_.parameters[static_cast<std::uint32_t>(kernel_.arena[load].payload)].type.dtype;
}

bool KernelEmitter::is_single(const Access& access, const Lanes& lanes) {
  return lanes.width == 1 || access.kind == Access::Kind::uniform;
}

bool KernelEmitter::is_contiguous(Id load, const Access& access) const {
  return access.kind == Access::Kind::contiguous || reads_panel(load);
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
