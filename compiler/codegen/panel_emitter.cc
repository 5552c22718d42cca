// The part of the kernel emitter that deals with panels (see Panel): the copy, before the groups of
// rows of a block, of what all of them share.
//
// A step's columns are loaded where they lie, all of the block's while the line is near, and go to
// the runs of the tiles that they belong to. What is beyond the last column is left as it is: tiles
// load it and store nothing of it. What lies along the steps goes there in squares, of as many
// steps as a vector has elements, all of a line's at a time.

#include <algorithm>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/prefetch.h"
#include "compiler/lowering/cache_line.h"

namespace weir {

using scalar::Id;

namespace {

// What lies so many steps ahead is asked for: it is on another page, where nothing is read ahead.
constexpr std::int64_t kStepsAhead = 8;

}  // namespace

llvm::Value* emit_panel_pays(llvm::IRBuilder<>& builder, const Panel& panel,
                             const std::function<llvm::Value*(const Dim&)>& dimension) {
  llvm::Value* pays = builder.getTrue();
  for (const SizeWithin& within : panel.pays) {
    llvm::Value* size = dimension(within.size);
    auto limit = [&](std::int64_t value) {
      return builder.getInt64(static_cast<std::uint64_t>(value));
    };
    pays = builder.CreateAnd(pays, builder.CreateICmpSGE(size, limit(within.least)));
    if (within.most != INT64_MAX)
      pays = builder.CreateAnd(pays, builder.CreateICmpSLE(size, limit(within.most)));
  }
  return pays;
}

void KernelEmitter::find_panel(llvm::Value* memory) {
  auto size = [&](const Dim& dim) { return dimension(dim); };
  panel_pays_ = emit_panel_pays(b_, *schedule_.panel, size);
  llvm::Value* worker = b_.CreateZExt(function_->getArg(3), b_.getInt64Ty());
  llvm::Value* bytes = dimension(schedule_.panel->bytes);
  panel_ = b_.CreateGEP(b_.getInt8Ty(), memory, b_.CreateMul(worker, bytes));
  panel_->setName("panel");
}

// Whether a load is one from the panel or from where it lies, as has_panel_ says.
bool KernelEmitter::reads_panel(Id id) const {
  return has_panel_ != nullptr && rows_ > 1 && schedule_.panel->operand == id;
}

// Where the panel has a column, which is the first of a tile or of a vector, at step 0.
llvm::Value* KernelEmitter::panel_address(llvm::Value* first_column) {
  const Panel& panel = *schedule_.panel;
  const DType dtype = kernel_.arena[panel.operand].type;
  llvm::Value* column = b_.CreateSub(first_column, panel_begin_);
  llvm::Value* within = b_.CreateAnd(column, i64(panel.columns - 1));
  llvm::Value* run =
      b_.CreateMul(b_.CreateSub(column, within), dimension(kernel_.arena.axis_extent(panel.axis)));
  return b_.CreateGEP(memory_type(dtype, 1), panel_, b_.CreateAdd(run, within));
}

// Copies what columns begin ... end - 1 need where that pays for so many groups of rows.
void KernelEmitter::copy_panel(llvm::Value* groups, llvm::Value* begin, llvm::Value* end,
                               std::optional<std::int64_t> count) {
  const Panel& panel = *schedule_.panel;
  const Access& access = schedule_.loads.at(panel.operand.index);
  const auto parameter = static_cast<std::uint32_t>(kernel_.arena[panel.operand].payload);
  const DType dtype = kernel_.parameters[parameter].type.dtype;
  const llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  llvm::Type* element = memory_type(dtype, 1);
  panel_begin_ = begin;
  llvm::Value* pays = b_.CreateAnd(panel_pays_, b_.CreateICmpSGE(groups, i64(panel.groups)));
  has_panel_ = panel.turned ? b_.getTrue() : pays;
  auto* copies = llvm::BasicBlock::Create(module_.getContext(), "copies", function_);
  auto* after = llvm::BasicBlock::Create(module_.getContext(), "copied", function_);
  b_.CreateCondBr(pays, copies, after);
  b_.SetInsertPoint(copies);
  Scope scope(*this);
  rows_ = 1;
  if (panel.turned) {
    turn_panel(begin, end);
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
    return;
  }
  unroll_ = static_cast<int>(schedule_.block) / schedule_.width;
  Lanes none;
  none.start = begin;
  llvm::Value* outside = scalar_index(access.outside, none);
  llvm::Value* steps = dimension(kernel_.arena.axis_extent(panel.axis));
  llvm::Value* stride = dimension(panel.stride);
  vector_loop(begin, end, count, [&](const Lanes& lanes) {
    llvm::Value* from = address(parameter, b_.CreateAdd(outside, lanes.start));
    // By run of a tile's columns.
    Values runs;
    const std::int64_t columns = std::int64_t{lanes.width} * lanes.slots;
    for (std::int64_t column = 0; column < columns; column += panel.columns)
      runs.push_back(panel_address(b_.CreateAdd(lanes.start, i64(column))));
    loop(i64(0), steps, 1, [&](llvm::Value* step) {
      llvm::Value* source = b_.CreateGEP(element, from, b_.CreateMul(step, stride));
      llvm::Value* ahead = b_.CreateGEP(element, source, b_.CreateMul(stride, i64(kStepsAhead)));
      for (std::int64_t byte = 0; byte < columns * byte_size(dtype); byte += kLineBytes)
        emit_prefetch(
            b_, b_.CreateConstGEP1_64(b_.getInt8Ty(), ahead, static_cast<std::uint64_t>(byte)),
            PrefetchTo::read);
      llvm::Value* row = b_.CreateMul(step, i64(panel.columns));
      Values loaded;
      llvm::Type* vector = memory_type(dtype, lanes.width);
      for (int slot = 0; slot < lanes.slots; ++slot) {
        llvm::Value* where = b_.CreateGEP(element, source, i64(std::int64_t{slot} * lanes.width));
        loaded.push_back(lanes.mask ? static_cast<llvm::Value*>(
                                          b_.CreateMaskedLoad(vector, where, align, lanes.mask,
                                                              llvm::Constant::getNullValue(vector)))
                                    : b_.CreateAlignedLoad(vector, where, align));
      }
      for (int slot = 0; slot < lanes.slots; ++slot) {
        const std::int64_t column = std::int64_t{slot} * lanes.width;
        llvm::Value* run = runs[static_cast<std::size_t>(column / panel.columns)];
        llvm::Value* where =
            b_.CreateGEP(element, run, b_.CreateAdd(row, i64(column % panel.columns)));
        b_.CreateAlignedStore(loaded[static_cast<std::size_t>(slot)], where, align);
      }
    });
  });
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

// Likewise, of an operand along the steps.
void KernelEmitter::turn_panel(llvm::Value* begin, llvm::Value* end) {
  const Panel& panel = *schedule_.panel;
  const Access& access = schedule_.loads.at(panel.operand.index);
  const auto parameter = static_cast<std::uint32_t>(kernel_.arena[panel.operand].payload);
  const DType dtype = kernel_.parameters[parameter].type.dtype;
  const llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  llvm::Type *element = memory_type(dtype, 1), *vector = memory_type(dtype, schedule_.width);
  const std::int64_t width = schedule_.width;
  const std::int64_t line = std::max<std::int64_t>(width, kLineBytes / byte_size(dtype));
  Lanes none;
  none.start = begin;
  llvm::Value* outside = scalar_index(access.outside, none);
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* steps = dimension(kernel_.arena.axis_extent(panel.axis));
  auto columns_from = [&](llvm::Value* column, llvm::Value* step, std::int64_t count) {
    llvm::Value* first = b_.CreateAdd(b_.CreateAdd(outside, b_.CreateMul(column, stride)), step);
    llvm::Value* into =
        b_.CreateGEP(element, panel_address(column), b_.CreateMul(step, i64(panel.columns)));
    auto from = [&](std::int64_t lane) {
      return address(parameter, b_.CreateAdd(first, b_.CreateMul(stride, i64(lane))));
    };
    auto row = [&](std::int64_t number) {
      return b_.CreateConstGEP1_64(element, into,
                                   static_cast<std::uint64_t>(number * panel.columns));
    };
    if (count == 1) {
      for (std::int64_t lane = 0; lane < width; ++lane)
        b_.CreateAlignedStore(
            b_.CreateAlignedLoad(element, from(lane), align),
            b_.CreateConstGEP1_64(element, row(0), static_cast<std::uint64_t>(lane)), align);
      return;
    }
    for (std::int64_t done = 0; done < count; done += width) {
      Values square;
      for (std::int64_t lane = 0; lane < width; ++lane)
        square.push_back(b_.CreateAlignedLoad(
            vector, b_.CreateConstGEP1_64(element, from(lane), static_cast<std::uint64_t>(done)),
            align));
      transpose(square, static_cast<int>(width));
      for (std::int64_t i = 0; i < width; ++i)
        b_.CreateAlignedStore(square[static_cast<std::size_t>(i)], row(done + i), align);
    }
  };
  loop(begin, end, panel.columns, [&](llvm::Value* run) {
    llvm::Value* run_end =
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, b_.CreateAdd(run, i64(panel.columns)));
    auto for_steps = [&](llvm::Value* first, llvm::Value* limit, std::int64_t count) {
      loop(first, limit, count, [&](llvm::Value* step) {
        loop(run, run_end, width, [&](llvm::Value* column) { columns_from(column, step, count); });
      });
    };
    llvm::Value* whole = b_.CreateAnd(steps, i64(-line));
    for_steps(i64(0), whole, line);
    for_steps(whole, steps, 1);
  });
}

}  // namespace weir
