// The part of the kernel emitter that deals with single elements: expressions, loads and stores.

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
  // Operands first: their debug lines are their own.
  if (!scalar::is_load(node.primitive))
    for (Id operand : kernel_.arena.operands(id))
      if (kernel_.arena[operand].primitive != Primitive::constant) values(operand, lanes);
  if (id.index < kernel_.locations.size()) debug_.set(b_, kernel_.locations[id.index]);
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
        llvm::Value* first = axes_.at(static_cast<std::uint32_t>(node.payload));
        for (int row = 0; row < rows; ++row)
          result.push_back(row == 0 ? first : b_.CreateAdd(first, i64(row)));
        return result;
      }
      for (int slot = 0; slot < slots; ++slot) {
        llvm::Value* first =
            b_.CreateAdd(lanes.start, i64(static_cast<std::int64_t>(slot) * width));
        result.push_back(width == 1 ? first
                                    : b_.CreateAdd(widened(first, width), lane_numbers(width)));
      }
      return result;
    case Primitive::load:
    case Primitive::load_if: {
      const Access& access = schedule_.loads.at(id.index);
      // A square of elements that lie along the rows.
      if (access.along_rows && rows == width && slots == 1 && !lanes.mask &&
          node.primitive == Primitive::load)
        return load_transposed(id, access, lanes);
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

llvm::Value* KernelEmitter::address(std::uint32_t parameter, llvm::Value* offset) {
  return b_.CreateGEP(memory_type(kernel_.parameters[parameter].type.dtype, 1),
                      pointers_[parameter], offset);
}

llvm::Value* KernelEmitter::lane_offsets(const Access& access, const Lanes& lanes, int slot,
                                         int row) {
  if (access.kind == Access::Kind::computed) return value(access.offset, lanes, slot, row);
  llvm::Value* base = scalar_index(access.offset, lanes, row);
  llvm::Value* first =
      b_.CreateAdd(lanes.start, i64(static_cast<std::int64_t>(slot) * lanes.width));
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* offset = b_.CreateAdd(base, b_.CreateMul(first, stride));
  if (lanes.width == 1) return offset;
  return b_.CreateAdd(widened(offset, lanes.width),
                      b_.CreateMul(lane_numbers(lanes.width), widened(stride, lanes.width)));
}

llvm::Value* KernelEmitter::emit_load(Id id, const Access& access, const Lanes& lanes, int slot,
                                      int row) {
  const scalar::Node& node = kernel_.arena[id];
  std::uint32_t parameter = static_cast<std::uint32_t>(node.payload);
  DType dtype = kernel_.parameters[parameter].type.dtype;
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  // A guard that is the same in all lanes chooses an address, and there is no branch and no mask.
  const bool guarded = node.primitive == Primitive::load_if;
  llvm::Value* guard = nullptr;
  llvm::Value* otherwise = nullptr;
  bool same_guard = false, otherwise_zero = false;
  if (guarded) {
    Id condition = kernel_.arena.operand(id, 0), alternative = kernel_.arena.operand(id, 1);
    same_guard = lanes.width == 1 || !schedule_.varies[condition.index];
    guard = value(condition, same_guard ? Lanes{1, lanes.slots, lanes.start, nullptr} : lanes, slot,
                  row);
    otherwise = value(alternative, lanes, slot, row);
    otherwise_zero =
        kernel_.arena.is_constant(alternative) && kernel_.arena.bits(alternative).value == 0;
  }
  // A bool is a byte in memory.
  auto from_memory = [&](llvm::Value* loaded) -> llvm::Value* {
    if (dtype != DType::boolean) return loaded;
    return b_.CreateICmpNE(loaded, llvm::Constant::getNullValue(loaded->getType()));
  };
  auto guarded_address = [&](llvm::Value* where) {
    return guarded && same_guard ? b_.CreateSelect(guard, where, zeros_) : where;
  };
  // What a load of a guarded address gives: zeros where the guard is false.
  auto chosen = [&](llvm::Value* loaded) {
    return guarded && !otherwise_zero ? b_.CreateSelect(guard, loaded, otherwise) : loaded;
  };
  bool single = lanes.width == 1 || access.kind == Access::Kind::uniform;
  if (single) {
    llvm::Value* offset =
        access.kind == Access::Kind::uniform ? scalar_index(access.offset, lanes, row)
        : access.kind == Access::Kind::contiguous
            ? b_.CreateAdd(b_.CreateAdd(scalar_index(access.offset, lanes, row), lanes.start),
                           i64(slot))
            : lane_offsets(access, lanes, slot, row);
    llvm::Value* where = address(parameter, offset);
    if (!guarded || lanes.width == 1)
      return chosen(
          from_memory(b_.CreateAlignedLoad(memory_type(dtype, 1), guarded_address(where), align)));
    // One address under a guard that varies: it may be touched if any lane may.
    llvm::Value* any = same_guard ? guard : b_.CreateOrReduce(guard);
    llvm::Value* loaded = from_memory(
        b_.CreateAlignedLoad(memory_type(dtype, 1), b_.CreateSelect(any, where, zeros_), align));
    llvm::Value* all = widened(loaded, lanes.width);
    return same_guard ? chosen(all) : b_.CreateSelect(guard, all, otherwise);
  }
  llvm::Type* type = memory_type(dtype, lanes.width);
  llvm::Value* mask = lanes.mask;
  const bool contiguous = access.kind == Access::Kind::contiguous;
  const bool address_guards = guarded && same_guard && contiguous;
  if (guarded && !address_guards) {
    llvm::Value* each = widened(guard, lanes.width);
    mask = mask ? b_.CreateAnd(mask, each) : each;
  }
  // Lanes that are masked off take the alternative on the way.
  const bool replaces = guarded && !address_guards && dtype != DType::boolean;
  llvm::Value* replacement = replaces ? otherwise : llvm::Constant::getNullValue(type);
  llvm::Value* loaded;
  if (contiguous) {
    llvm::Value* offset = b_.CreateAdd(scalar_index(access.offset, lanes, row), lanes.start);
    llvm::Value* where = address(
        parameter, b_.CreateAdd(offset, i64(static_cast<std::int64_t>(slot) * lanes.width)));
    if (address_guards) {
      std::int64_t bytes = std::int64_t{lanes.width} * byte_size(dtype);
      WEIR_CHECK(bytes <= static_cast<std::int64_t>(kZeroBytes), "a vector longer than the zeros");
      where = guarded_address(where);
    }
    loaded =
        mask ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(type, where, align, mask, replacement))
             : b_.CreateAlignedLoad(type, where, align);
    if (address_guards) return chosen(from_memory(loaded));
  } else {
    llvm::Value* where = address(parameter, lane_offsets(access, lanes, slot, row));
    if (!mask)
      mask = llvm::ConstantInt::getTrue(
          llvm::FixedVectorType::get(b_.getInt1Ty(), static_cast<unsigned>(lanes.width)));
    loaded = b_.CreateMaskedGather(type, where, align, mask, replacement);
  }
  if (dtype != DType::boolean) return loaded;
  loaded = from_memory(loaded);
  return guarded ? b_.CreateSelect(guard, loaded, otherwise) : loaded;
}

// One vector for each row, of elements that are contiguous along the rows: for each lane one is
// loaded, and the square is transposed. In step d, vectors whose numbers differ in bit d exchange
// the halves of each of their pieces of 2 d elements.
KernelEmitter::Values KernelEmitter::load_transposed(Id id, const Access& access,
                                                     const Lanes& lanes) {
  std::uint32_t parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
  DType dtype = kernel_.parameters[parameter].type.dtype;
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  const int width = lanes.width;
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* first =
      b_.CreateAdd(scalar_index(access.offset, lanes), b_.CreateMul(lanes.start, stride));
  Values square;
  for (int lane = 0; lane < width; ++lane)
    square.push_back(b_.CreateAlignedLoad(
        memory_type(dtype, width),
        address(parameter, b_.CreateAdd(first, b_.CreateMul(stride, i64(lane)))), align));
  for (int d = 1; d < width; d *= 2) {
    std::vector<int> low, high;
    for (int lane = 0; lane < width; ++lane) {
      low.push_back(lane & d ? width + lane - d : lane);
      high.push_back(lane & d ? width + lane : lane + d);
    }
    for (int i = 0; i < width; ++i) {
      if (i & d) continue;
      llvm::Value *&a = square[static_cast<std::size_t>(i)],
                  *&b = square[static_cast<std::size_t>(i + d)];
      llvm::Value* exchanged = b_.CreateShuffleVector(a, b, low);
      b = b_.CreateShuffleVector(a, b, high);
      a = exchanged;
    }
  }
  if (dtype == DType::boolean)
    for (llvm::Value*& row : square)
      row = b_.CreateICmpNE(row, llvm::Constant::getNullValue(row->getType()));
  return square;
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
    llvm::Value* where = address(
        parameter, b_.CreateAdd(offset, i64(static_cast<std::int64_t>(slot) * lanes.width)));
    if (lanes.mask) {
      b_.CreateMaskedStore(value, where, align, lanes.mask);
    } else if (streaming_ && lanes.width > 1) {
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
