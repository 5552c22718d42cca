// The part of the kernel emitter that deals with maps whose operands may be too large for the
// caches.
//
// Where the program finds at the call that they are, results are stored past the caches: vectors
// that are aligned, for which elements in front of the first such address are computed one by one.
// Beside stores of that kind, what a processor reads ahead by itself comes late, and not across the
// end of a page; so each line that is read asks for one that follows some lines on.
//
// Where operands and result are far, but in a cache, a loop that reads several operands reads a few
// lines of each one after the other, and may store some of them past the caches and the others not
// (choose_streams.h). Where that is no gain, lines of the result may be asked for ahead.

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/prefetch.h"
#include "compiler/lowering/cache_line.h"
#include "compiler/lowering/choose_streams.h"

namespace weir {

using scalar::Id;

void KernelEmitter::stream_loop(llvm::Value* begin, llvm::Value* end,
                                std::optional<std::int64_t> count, const LaneBody& body) {
  auto* after = llvm::BasicBlock::Create(module_.getContext(), "after", function_);
  llvm::AllocaInst* done = slot(b_.getInt64Ty(), "done");
  auto loop_for = [&](Reach reach, const char* name, auto emit) {
    auto* loop = llvm::BasicBlock::Create(module_.getContext(), name, function_, after);
    auto* other = llvm::BasicBlock::Create(module_.getContext(), "plain", function_, after);
    b_.CreateCondBr(reaches(reach), loop, other);
    b_.SetInsertPoint(loop);
    b_.CreateStore(emit(), done);
    b_.CreateBr(after);
    b_.SetInsertPoint(other);
  };
  loop_for(Reach::memory, "streaming", [&] {
    llvm::Value* aligned = stream_peel(begin, end, body);
    together_ = true;
    streaming_ = unroll_;
    llvm::Value* at = stream_lines(aligned, end, body);
    streaming_ = 0;
    together_ = false;
    return at;
  });
  if (schedule_.lines_together > 0)
    loop_for(Reach::far, "together", [&] {
      together_ = true;
      llvm::Value* at = lines_together(begin, end, schedule_.lines_together, body);
      together_ = false;
      return masks_ ? at : whole_vectors(at, end, 1, body);
    });
  if (schedule_.result_lines_ahead > 0)
    loop_for(Reach::far, "asking", [&] {
      return whole_steps(begin, end, count, [&](const Lanes& lanes) {
        prefetch_result(lanes);
        body(lanes);
      });
    });
  b_.CreateStore(whole_steps(begin, end, count, body), done);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  remainder(b_.CreateLoad(b_.getInt64Ty(), done), end, std::nullopt, body);
}

llvm::Value* KernelEmitter::reaches(Reach reach) {
  return b_.CreateICmpEQ(reach_, i64(static_cast<std::int64_t>(reach)));
}

// Element by element up to the first address that a whole vector may be stored at; returns where
// that is.
llvm::Value* KernelEmitter::stream_peel(llvm::Value* begin, llvm::Value* end,
                                        const LaneBody& body) {
  const std::uint32_t parameter = kernel_.stages[0].stores[0].parameter;
  std::int64_t size = byte_size(kernel_.parameters[parameter].type.dtype);
  std::int64_t vector_bytes = size * schedule_.width;
  llvm::Value* number = b_.CreatePtrToInt(result_address(begin), b_.getInt64Ty());
  llvm::Value* missing = b_.CreateAnd(b_.CreateNeg(number), i64(vector_bytes - 1));
  llvm::Value* first = b_.CreateAdd(begin, b_.CreateUDiv(missing, i64(size)));
  first = b_.CreateSelect(b_.CreateICmpSLT(first, end), first, end);
  loop(begin, first, 1, [&](llvm::Value* index) { body({1, 1, index, nullptr}); });
  return first;
}

// Where an element of the vector axis is stored.
llvm::Value* KernelEmitter::result_address(llvm::Value* element) {
  const Access& access = schedule_.stores[0][0];
  Lanes none;
  none.start = element;
  return address(kernel_.stages[0].stores[0].parameter,
                 b_.CreateAdd(scalar_index(access.offset, none), element));
}

// As many whole vectors as fit, a line at a time; returns where they end.
llvm::Value* KernelEmitter::stream_lines(llvm::Value* begin, llvm::Value* end,
                                         const LaneBody& body) {
  const std::vector<Id> loads = streamed_loads(schedule_);
  std::int64_t largest = 1;
  for (Id id : loads)
    largest = std::max<std::int64_t>(
        largest, byte_size(kernel_.parameters[kernel_.arena[id].payload].type.dtype));
  const auto line = static_cast<int>(kLineBytes / largest / schedule_.width);
  const int vectors = std::min(line, unroll_);
  if (vectors > 1)
    begin = whole_vectors(begin, end, vectors, [&](const Lanes& lanes) {
      prefetch_ahead(loads, lanes.start);
      body(lanes);
    });
  return whole_vectors(begin, end, 1, [&](const Lanes& lanes) {
    if (vectors <= 1) prefetch_ahead(loads, lanes.start);
    body(lanes);
  });
}

// Steps of a few lines, some of which may go past the caches; returns where they end.
llvm::Value* KernelEmitter::lines_together(llvm::Value* begin, llvm::Value* end, int lines,
                                           const LaneBody& body) {
  const std::vector<Id> loads = streamed_loads(schedule_);
  if (schedule_.lines_past_caches == 0)
    return whole_vectors(begin, end, lines, [&](const Lanes& lanes) {
      loads_in_order_ = true;
      body(lanes);
      loads_in_order_ = false;
    });
  begin = stream_peel(begin, end, body);
  return whole_vectors(begin, end, lines, [&](const Lanes& lanes) {
    for (int slot = 0; slot < lines; ++slot)
      prefetch_ahead(loads, b_.CreateAdd(lanes.start, i64(lanes.position(slot))));
    streaming_ = schedule_.lines_past_caches;
    body(lanes);
    streaming_ = 0;
  });
}

void KernelEmitter::prefetch_ahead(const std::vector<Id>& loads, llvm::Value* element) {
  Scope scope(*this);
  const Lanes first{1, 1, element, nullptr};
  for (Id id : loads) {
    llvm::Value* where = element_address(id, schedule_.loads.at(id.index), first, 0, 0);
    where = b_.CreateGEP(b_.getInt8Ty(), where, i64(schedule_.lines_ahead * kLineBytes));
    emit_prefetch(b_, where, schedule_.asks_second ? PrefetchTo::read_later : PrefetchTo::read);
  }
}

// For each vector that is stored, the line that is some lines behind it.
void KernelEmitter::prefetch_result(const Lanes& lanes) {
  llvm::Value* where = result_address(lanes.start);
  for (int slot = 0; slot < lanes.slots; ++slot)
    emit_prefetch(b_,
                  b_.CreateGEP(b_.getInt8Ty(), where,
                               i64((schedule_.result_lines_ahead + slot) * kLineBytes)),
                  PrefetchTo::write);
}

}  // namespace weir
