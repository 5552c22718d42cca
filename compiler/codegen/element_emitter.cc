// The part of the kernel emitter that deals with single elements: expressions and stores.

#include <algorithm>
#include <cstdlib>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

KernelEmitter::Scope::~Scope() {
  while (emitter_.defined_.size() > first_) {
    emitter_.values_.erase(emitter_.defined_.back());
    emitter_.defined_.pop_back();
  }
}

llvm::Value* KernelEmitter::widened(llvm::Value* value, int width) {
  if (width == 1 || value->getType()->isVectorTy()) return value;
  return b_.CreateVectorSplat(static_cast<unsigned>(width), value);
}

const KernelEmitter::Values& KernelEmitter::values(Id id, const Lanes& lanes) {
  auto found = values_.find(id.index);
  if (found == values_.end()) {
    Values made = emit_node(id, lanes);
    found = values_.emplace(id.index, std::move(made)).first;
    defined_.push_back(id.index);
  }
  return found->second;
}

llvm::Value* KernelEmitter::value(Id id, const Lanes& lanes, int slot, int row) {
  const scalar::Node& node = kernel_.arena[id];
  if (node.primitive == Primitive::constant)
    return primitives_.constant(node.type, node.payload, lanes.width);
  const Values& all = values(id, lanes);
  int slots = schedule_.varies[id.index] && all.size() > 1 ? lanes.slots : 1;
  int at =
      (slots == 1 ? 0 : slot) + (rows_ > 1 && schedule_.varies_by_row[id.index] ? row * slots : 0);
  return widened(all[static_cast<std::size_t>(at)], lanes.width);
}

// Whether a row of a tile of several axes has the value of a row before it.
bool KernelEmitter::repeats_row(Id id, int row) const {
  if (schedule_.tile_axes == 1) return false;
  std::vector<bool> depends(static_cast<std::size_t>(schedule_.tile_axes));
  for (Id reached : scalar::reachable(kernel_.arena, std::span(&id, 1))) {
    const scalar::Node& node = kernel_.arena[reached];
    if (node.primitive != Primitive::axis) continue;
    if (auto axis = schedule_.tile_axis(static_cast<std::uint32_t>(node.payload)))
      depends[*axis] = true;
  }
  for (std::size_t axis = 0; axis < depends.size(); ++axis)
    if (!depends[axis] && schedule_.tile_position(axis, row) != 0) return true;
  return false;
}

llvm::Value* KernelEmitter::scalar_index(Id id, const Lanes& lanes, int row) {
  WEIR_CHECK(!schedule_.varies[id.index]);
  const scalar::Node& node = kernel_.arena[id];
  if (node.primitive == Primitive::constant)
    return primitives_.constant(node.type, node.payload, 1);
  return values(
      id,
      lanes)[rows_ > 1 && schedule_.varies_by_row[id.index] ? static_cast<std::size_t>(row) : 0];
}

KernelEmitter::Values KernelEmitter::emit_node(Id id, const Lanes& lanes) {
  const scalar::Node& node = kernel_.arena[id];
  bool varies = schedule_.varies[id.index];
  Values result;
  int slots = varies ? lanes.slots : 1;
  int width = varies ? lanes.width : 1;
  int rows = schedule_.varies_by_row[id.index] ? rows_ : 1;
  auto bound = schedule_.bounds.find(id.index);
  if (bound != schedule_.bounds.end()) return emit_bound(bound->second, lanes, rows);
  // Operands first: their debug lines are their own.
  if (!scalar::is_load(node.primitive))
    for (Id operand : kernel_.arena.operands(id))
      if (kernel_.arena[operand].primitive != Primitive::constant) values(operand, lanes);
  if (id.index < kernel_.locations.size()) debug_.set(b_, kernel_.locations[id.index]);
  // A fence within a thread is no instruction; no load is moved across it.
  if (loads_in_order_ && scalar::is_load(node.primitive))
    b_.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent, llvm::SyncScope::SingleThread);
  switch (node.primitive) {
    case Primitive::constant:
      return {primitives_.constant(node.type, node.payload, 1)};
    case Primitive::size:
      return {dimension(kernel_.arena.dim(node.payload))};
    case Primitive::local: {
      const Values& local = locals_[node.payload];
      WEIR_CHECK(!local.empty(), "a kernel-local value is used before it is computed");
      return local;
    }
    case Primitive::axis:
      if (!varies) {
        const auto number = static_cast<std::uint32_t>(node.payload);
        const std::optional<std::size_t> of_tile = schedule_.tile_axis(number);
        if (rows > 1 && schedule_.tile_axes > 1 && rows == schedule_.rows_at_once) {
          for (int row = 0; row < rows; ++row)
            result.push_back(i64(schedule_.tile_position(*of_tile, row)));
          return result;
        }
        llvm::Value* first = axes_.at(number);
        // Of the axes of a tile the innermost is that of a part of its rows.
        for (int row = 0; row < rows; ++row) {
          result.push_back(row == 0 || *of_tile != 0 ? first : b_.CreateAdd(first, i64(row)));
          if (row > 0 && last_row_ != nullptr)
            result.back() =
                b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, result.back(), last_row_);
        }
        return result;
      }
      for (int slot = 0; slot < slots; ++slot) {
        llvm::Value* first = b_.CreateAdd(lanes.start, i64(lanes.position(slot)));
        result.push_back(width == 1 ? first
                                    : b_.CreateAdd(widened(first, width), lane_numbers(width)));
      }
      return result;
    case Primitive::load:
    case Primitive::load_if: {
      const Access& access = schedule_.loads.at(id.index);
      // A square of elements that lie along the rows.
      if (access.along_rows && turns_rows(id, rows, width) && slots == 1 &&
          (!lanes.mask || lanes.last) && node.primitive == Primitive::load)
        return load_transposed(id, access, lanes);
      if (rows > 1 && varies) result = load_taps_of_rows(id, lanes);
      if (!result.empty()) return result;
      for (int row = 0; row < rows; ++row)
        for (int slot = 0; slot < slots; ++slot)
          result.push_back(
              emit_load(id, access, varies ? lanes : Lanes{1, 1, lanes.start, nullptr}, slot, row));
      return result;
    }
    default:
      break;
  }
  std::span<const Id> operands = kernel_.arena.operands(id);
  DType operand_type = kernel_.arena[operands[0]].type;
  Lanes own = lanes;
  own.width = width;
  for (int row = 0; row < rows; ++row) {
    for (int slot = 0; slot < slots; ++slot) {
      std::vector<llvm::Value*> arguments;
      for (Id operand : operands) arguments.push_back(value(operand, own, slot, row));
      result.push_back(primitives_.emit(node.primitive, operand_type, node.type, arguments));
    }
  }
  return result;
}

// Lane l holds offset + stride * (start + l) < 0: the lanes below a limit, or from one on. Where
// masks have registers of their own, those of all slots are a run of bits of one number, if they
// are no more than it has.
KernelEmitter::Values KernelEmitter::emit_bound(const IndexBound& bound, const Lanes& lanes,
                                                int rows) {
  const std::int64_t step = std::abs(bound.stride);
  const int width = lanes.width, all = width * lanes.slots;
  const bool in_registers = target_.vector_bytes == 64;
  const bool in_bits = masks_ && in_registers && width >= kLeastMaskBits && all <= 64;
  const bool in_vectors = masks_ && !in_registers;
  Values result;
  llvm::Value* always = width == 1 ? b_.getTrue()
                                   : llvm::ConstantInt::getTrue(llvm::FixedVectorType::get(
                                         b_.getInt1Ty(), static_cast<unsigned>(width)));
  if (within_ && bound.most) return Values(static_cast<std::size_t>(rows * lanes.slots), always);
  // Vectors whose place is known ahead may be within while others of the tile are not.
  auto is_within = [&](int slot) {
    auto* start = llvm::dyn_cast<llvm::ConstantInt>(lanes.start);
    if (!start || !bound.most) return false;
    const std::int64_t first = start->getSExtValue() + lanes.position(slot);
    return *bound.most + bound.stride * (bound.stride > 0 ? first + width - 1 : first) < 0;
  };
  // The limit as a number of lanes from the first slot on.
  auto limit_from = [&](llvm::Value* first) -> llvm::Value* {
    if (auto* known = llvm::dyn_cast<llvm::ConstantInt>(first)) {
      const std::int64_t offset = known->getSExtValue();
      const std::int64_t limit = bound.stride > 0 ? -offset : offset + 1;
      return i64((std::clamp<std::int64_t>(limit, 0, step * all) + step - 1) / step);
    }
    llvm::Value* limit = bound.stride > 0 ? b_.CreateNeg(first) : b_.CreateAdd(first, i64(1));
    limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, limit, i64(0));
    limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, limit, i64(step * all));
    if (step != 1) limit = b_.CreateUDiv(b_.CreateAdd(limit, i64(step - 1)), i64(step));
    return limit;
  };
  for (int row = 0; row < rows; ++row) {
    llvm::Value* base = scalar_index(bound.offset, lanes, row);
    llvm::Value* first = b_.CreateAdd(base, b_.CreateMul(lanes.start, i64(bound.stride)));
    if (width == 1) {
      for (int slot = 0; slot < lanes.slots; ++slot)
        result.push_back(b_.CreateICmpSLT(b_.CreateAdd(first, i64(slot * bound.stride)), i64(0)));
      continue;
    }
    llvm::Value* limit = limit_from(first);
    if (in_bits && !llvm::isa<llvm::ConstantInt>(limit)) {
      llvm::Value* from_limit = b_.CreateShl(i64(-1), b_.CreateAnd(limit, i64(63)));
      if (all == 64)
        from_limit = b_.CreateSelect(b_.CreateICmpEQ(limit, i64(64)), i64(0), from_limit);
      llvm::Value* bits = bound.stride > 0 ? b_.CreateNot(from_limit) : from_limit;
      for (int slot = 0; slot < lanes.slots; ++slot)
        result.push_back(is_within(slot)
                             ? always
                             : lanes_of_bits(bits, static_cast<int>(lanes.position(slot)), width));
      continue;
    }
    const bool in_words = in_vectors && !llvm::isa<llvm::ConstantInt>(limit);
    llvm::Value* words = in_words ? words_from(limit, all, bound.stride > 0) : nullptr;
    llvm::Value* limits = widened(b_.CreateTrunc(limit, b_.getInt32Ty()), width);
    for (int slot = 0; slot < lanes.slots; ++slot) {
      const auto position = static_cast<int>(lanes.position(slot));
      llvm::Value* numbers = short_lane_numbers(width, position);
      if (in_words) {
        llvm::Value* where =
            b_.CreateConstGEP1_64(b_.getInt32Ty(), words, static_cast<std::uint64_t>(position));
        llvm::Value* own = b_.CreateAlignedLoad(numbers->getType(), where, llvm::Align(4));
        result.push_back(b_.CreateICmpSLT(own, llvm::Constant::getNullValue(own->getType())));
      } else {
        result.push_back(bound.stride > 0 ? b_.CreateICmpULT(numbers, limits)
                                          : b_.CreateICmpUGE(numbers, limits));
      }
    }
  }
  return result;
}

// Where words begin whose signs are the lanes below a limit, or those from it on, of so many. What
// is loaded stays a vector of words in front of a loop, while a comparison of lane numbers goes
// where its mask is used.
llvm::Value* KernelEmitter::words_from(llvm::Value* limit, int lanes, bool below) {
  const std::string name = "weir.lanes" + std::to_string(lanes);
  llvm::GlobalVariable* words = module_.getNamedGlobal(name);
  if (words == nullptr) {
    std::vector<std::uint32_t> pattern(static_cast<std::size_t>(3 * lanes), UINT32_MAX);
    std::fill_n(pattern.begin() + lanes, lanes, 0);
    llvm::Constant* value = llvm::ConstantDataArray::get(module_.getContext(), pattern);
    words = new llvm::GlobalVariable(module_, value->getType(), true,
                                     llvm::GlobalValue::PrivateLinkage, value, name);
    words->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    words->setAlignment(llvm::Align(64));
  }
  return b_.CreateGEP(b_.getInt32Ty(), words, b_.CreateSub(i64(below ? lanes : 2 * lanes), limit));
}

// The lanes whose bits are set, from one bit on.
llvm::Value* KernelEmitter::lanes_of_bits(llvm::Value* bits, int first, int width) {
  llvm::Value* own =
      b_.CreateTrunc(b_.CreateLShr(bits, i64(first)), b_.getIntNTy(static_cast<unsigned>(width)));
  return b_.CreateBitCast(own,
                          llvm::FixedVectorType::get(b_.getInt1Ty(), static_cast<unsigned>(width)));
}

llvm::Type* KernelEmitter::memory_type(DType type, int width) const {
  if (type != DType::boolean) return primitives_.type(type, width);
  llvm::Type* byte = llvm::Type::getInt8Ty(module_.getContext());
  return width == 1 ? byte : llvm::FixedVectorType::get(byte, static_cast<unsigned>(width));
}

llvm::Value* KernelEmitter::lane_numbers(int width) {
  std::vector<llvm::Constant*> numbers;
  for (int i = 0; i < width; ++i) numbers.push_back(b_.getInt64(static_cast<std::uint64_t>(i)));
  return llvm::ConstantVector::get(numbers);
}

llvm::Value* KernelEmitter::short_lane_numbers(int width, int first) {
  std::vector<llvm::Constant*> numbers;
  for (int i = 0; i < width; ++i)
    numbers.push_back(b_.getInt32(static_cast<std::uint32_t>(first + i)));
  return llvm::ConstantVector::get(numbers);
}

llvm::Value* KernelEmitter::first_lanes(int width, llvm::Value* count) {
  if (auto* known = llvm::dyn_cast<llvm::ConstantInt>(count))
    count = i64(std::min<std::int64_t>(known->getSExtValue(), width));
  else
    count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, count, i64(width));
  return b_.CreateICmpULT(short_lane_numbers(width),
                          widened(b_.CreateTrunc(count, b_.getInt32Ty()), width));
}

llvm::Value* KernelEmitter::address(std::uint32_t parameter, llvm::Value* offset) {
  return b_.CreateGEP(memory_type(kernel_.parameters[parameter].type.dtype, 1),
                      pointers_[parameter], offset);
}

llvm::Value* KernelEmitter::lane_offsets(const Access& access, const Lanes& lanes, int slot,
                                         int row) {
  if (access.kind == Access::Kind::computed) return value(access.offset, lanes, slot, row);
  llvm::Value* base = scalar_index(access.offset, lanes, row);
  llvm::Value* first = b_.CreateAdd(lanes.start, i64(lanes.position(slot)));
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* offset = b_.CreateAdd(base, b_.CreateMul(first, stride));
  if (lanes.width == 1) return offset;
  return b_.CreateAdd(widened(offset, lanes.width),
                      b_.CreateMul(lane_numbers(lanes.width), widened(stride, lanes.width)));
}

void KernelEmitter::emit_store(std::uint32_t parameter, const Access& access, llvm::Value* value,
                               const Lanes& lanes, int slot, int row) {
  DType dtype = kernel_.parameters[parameter].type.dtype;
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  if (dtype == DType::boolean) value = b_.CreateZExt(value, memory_type(dtype, lanes.width));
  if (access.kind == Access::Kind::uniform) {
    WEIR_CHECK(lanes.width == 1);
    b_.CreateAlignedStore(value, address(parameter, scalar_index(access.offset, lanes, row)),
                          align);
    return;
  }
  if (access.kind == Access::Kind::contiguous) {
    llvm::Value* offset = b_.CreateAdd(scalar_index(access.offset, lanes, row), lanes.start);
    llvm::Value* where = address(parameter, b_.CreateAdd(offset, i64(lanes.position(slot))));
    if (llvm::Value* mask = lanes.mask_of(slot)) {
      b_.CreateMaskedStore(value, where, align, mask);
    } else if (slot < streaming_ && lanes.width > 1) {
      auto* store = b_.CreateAlignedStore(value, where,
                                          llvm::Align(static_cast<std::uint64_t>(byte_size(dtype)) *
                                                      static_cast<std::uint64_t>(lanes.width)));
      store->setMetadata(
          llvm::LLVMContext::MD_nontemporal,
          llvm::MDNode::get(module_.getContext(), llvm::ConstantAsMetadata::get(b_.getInt32(1))));
    } else {
      b_.CreateAlignedStore(value, where, align);
    }
    return;
  }
  llvm::Value* where = address(parameter, lane_offsets(access, lanes, slot, row));
  if (lanes.width == 1) {
    b_.CreateAlignedStore(value, where, align);
  } else {
    b_.CreateMaskedScatter(value, where, align, lanes.mask);
  }
}

llvm::Value* KernelEmitter::dimension(const Dim& dim) {
  return primitives_.dimension(dim, [&](const std::string& symbol) { return symbols_.at(symbol); });
}

void KernelEmitter::hoist(const Stage& stage, const std::vector<Access>& accesses, Level below,
                          const Lanes& lanes) {
  std::vector<Id> pending;
  std::vector<bool> seen(kernel_.arena.size());
  auto visit = [&](Id id) {
    if (seen[id.index]) return;
    seen[id.index] = true;
    pending.push_back(id);
  };
  if (stage.fold)
    for (Id id : stage.fold->elements) visit(id);
  for (const Store& store : stage.stores) visit(store.value);
  for (const Access& access : accesses) visit(access.offset);
  while (!pending.empty()) {
    Id id = pending.back();
    pending.pop_back();
    const scalar::Node& node = kernel_.arena[id];
    if (node.primitive == Primitive::constant) continue;
    // A local is there only once its stage has run.
    bool ready = node.primitive != Primitive::local || !locals_[node.payload].empty();
    if (schedule_.levels[id.index] < below && ready) {
      bool waits = false;
      std::vector<Id> roots{id};
      for (Id reached : scalar::reachable(kernel_.arena, roots)) {
        const scalar::Node& inner = kernel_.arena[reached];
        waits = waits || (inner.primitive == Primitive::local && locals_[inner.payload].empty());
      }
      if (!waits) {
        values(id, lanes);
        continue;
      }
    }
    if (auto bound = schedule_.bounds.find(id.index); bound != schedule_.bounds.end()) {
      visit(bound->second.offset);
      continue;
    }
    auto access = schedule_.loads.find(id.index);
    if (access == schedule_.loads.end()) {
      for (Id operand : kernel_.arena.operands(id)) visit(operand);
      continue;
    }
    visit(access->second.offset);
    for (Id operand : kernel_.arena.value_operands(id)) visit(operand);
  }
}

}  // namespace weir
