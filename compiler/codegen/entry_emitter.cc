#include "compiler/codegen/entry_emitter.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <optional>
#include <span>

#include "compiler/codegen/band_emitter.h"
#include "compiler/codegen/call_frames.h"
#include "compiler/codegen/call_memory.h"
#include "compiler/codegen/call_reach.h"
#include "compiler/codegen/exchanged_buffers.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/parallel_emitter.h"
#include "compiler/codegen/primitive_emitter.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/codegen/size_functions.h"
#include "compiler/codegen/unit_count.h"
#include "compiler/codegen/units_emitter.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// What LLVM does to a function takes longer than its length, so the calls of a program with more
// kernels than this stand in functions of so many each, and so do the checks of more inputs and
// outputs than this.
constexpr std::size_t kCallsInOne = 24, kChecksInOne = 64;

static_assert(offsetof(weir_call, state) == kCallState * sizeof(void*) &&
              sizeof(weir_call) == kCallFields * sizeof(void*));

// Among how many functions so many things are parted; none if the entry has them itself.
std::size_t parts_of(std::size_t count, std::size_t in_one) {
  return count <= in_one ? 0 : (count + in_one - 1) / in_one;
}

std::vector<std::uint32_t> inputs_and_outputs(const Program& program) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < program.buffers.size(); ++i) {
    Buffer::Place place = program.buffers[i].place;
    if (place == Buffer::Place::input || place == Buffer::Place::output) found.push_back(i);
  }
  return found;
}

CallLists lists_of(const Program& program) {
  CallLists lists{0, 0, program.symbols.size()};
  for (const Buffer& buffer : program.buffers) {
    const std::size_t length = std::size_t{buffer.index} + 1;
    if (buffer.place == Buffer::Place::input) lists.inputs = std::max(lists.inputs, length);
    if (buffer.place == Buffer::Place::output) lists.outputs = std::max(lists.outputs, length);
  }
  return lists;
}

std::string identifier(const std::string& name) {
  std::string result;
  for (char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  if (result.empty() || std::isdigit(static_cast<unsigned char>(result[0])) != 0)
    result = "_" + result;
  return result;
}

class EntryEmitter {
 public:
  EntryEmitter(llvm::Module& module, const Program& program, const Target& target,
               const PhasesOf& phases_of, const std::vector<Schedule>& schedules,
               ModuleNumber place, DebugInfo& debug, bool shapes)
      : context_(module.getContext()),
        program_(program),
        phases_of_(phases_of),
        schedules_(schedules),
        place_(place),
        shapes_(shapes),
        b_(context_),
        word_(llvm::IntegerType::get(context_, static_cast<unsigned>(target.pointer_bits))),
        pointer_(llvm::PointerType::get(context_, 0)),
        status_(b_.getInt32Ty()),
        checked_(inputs_and_outputs(program)),
        exchanged_(exchanged_buffers(program, schedules)),
        cache_bytes_(target.core.second.bytes),
        single_(program.calls.size() == 1 && program.checks.empty() &&
                phases_of(program.calls[0].kernel).size() == 1),
        primitives_(b_, module, target),
        sizes_(b_, primitives_, program, word_),
        memory_(b_, sizes_, program, word_),
        frames_(b_, sizes_, memory_, schedules),
        parallel_(module, b_, primitives_, debug, word_,
                  single_ ? std::optional(lists_of(program)) : std::nullopt, place.whole()) {
    if (single_ && place.last()) {
      const std::uint32_t kernel = program.calls[0].kernel;
      units_.emplace(b_, program, schedules[kernel], phases_of(kernel).front().function, sizes_,
                     memory_, frames_, parallel_);
    }
  }

  void emit() {
    if (place_.last()) {
      if (units_) units_->declare();
      emit_workspace_size(b_, parallel_, sizes_, program_, schedules_, word_);
      if (shapes_) emit_shapes(b_, parallel_, sizes_, program_, word_);
      parallel_.emit(std::ranges::any_of(schedules_, has_reach_apart));
      emit_program();
      if (units_) units_->finish();
    }
    emit_share(call_parts_, [&](std::size_t part) { emit_part(part); });
    emit_share(check_parts_, [&](std::size_t part) { emit_presence(part); });
  }

 private:
  // Those parts that this module has.
  template <class EmitOne>
  void emit_share(std::size_t parts, EmitOne emit_one) {
    for (std::size_t part = 0; part < parts; ++part)
      if (part * place_.count / parts == place_.number) emit_one(part);
  }

  llvm::Value* i64(std::int64_t value) { return sizes_.i64(value); }

  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(context_, name, b_.GetInsertBlock()->getParent());
  }

  // Begins with what the function's first argument, a weir_call, points to.
  void read_call(llvm::Value* call) {
    memory_.read(call);
    sizes_.read(memory_.dims());
    frames_.clear();
  }

  void emit_program() {
    using Code = ParallelEmitter::Code;
    llvm::Function* made = parallel_.function(program_symbol(program_), status_, {pointer_},
                                              llvm::GlobalValue::ExternalLinkage,
                                              single_ ? Code::optimized : Code::plain);
    if (units_) made = units_->pass_from(*made);
    llvm::BasicBlock* invalid = block("invalid");
    llvm::Value* call = made->getArg(0);
    sizes_.require(b_.CreateIsNotNull(call), invalid);
    frames_.clear();
    memory_.read(call);
    if (llvm::Value* there = memory_.has_fields()) sizes_.require(there, invalid);
    sizes_.read(memory_.dims());
    sizes_.check(invalid);
    memory_.set_offsets(sizes_.slot_offsets(invalid));
    llvm::Value* needed =
        b_.CreateOr(memory_.offsets().back(), bytes_per_worker(b_, sizes_, program_, schedules_));
    sizes_.require(
        b_.CreateOr(b_.CreateIsNotNull(memory_.workspace()), b_.CreateICmpEQ(needed, i64(0))),
        invalid);
    if (check_parts_ == 0) {
      if (llvm::Value* present = memory_.are_present(checked_)) sizes_.require(present, invalid);
    }
    for (std::size_t part = 0; part < check_parts_; ++part) {
      llvm::Value* status = b_.CreateCall(presence_function(part), {call});
      sizes_.require(b_.CreateICmpEQ(status, b_.getInt32(WEIR_OK)), invalid);
    }
    if (!single_) {
      begun_ = entry_slot(b_, b_.getInt1Ty());
      b_.CreateStore(b_.getFalse(), begun_);
    }
    if (call_parts_ == 0) {
      emit_calls(0, program_.calls.size());
    } else {
      call_parts(call);
    }
    if (!single_) parallel_.end_run(memory_.executor(), begun_);
    b_.CreateRet(b_.getInt32(WEIR_OK));
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
  }

  llvm::Value* units_of(const Schedule& schedule) {
    return unit_count(b_, [&](const Dim& size) { return sizes_.dimension(size); }, schedule);
  }

  // i32 part(weir_call*, const i64* offsets, i1* begun): some of the program's calls. Returns a
  // weir_status.
  llvm::Function* part_function(std::size_t part) {
    auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {pointer_, pointer_, pointer_}, false);
    return parallel_.declare("weir.part" + std::to_string(part), type);
  }

  void call_parts(llvm::Value* call) {
    const std::vector<llvm::Value*>& offsets = memory_.offsets();
    auto* table_type = llvm::ArrayType::get(b_.getInt64Ty(), offsets.size());
    llvm::AllocaInst* table = entry_slot(b_, table_type);
    for (std::size_t i = 0; i < offsets.size(); ++i)
      b_.CreateStore(offsets[i], b_.CreateConstGEP2_64(table_type, table, 0, i));
    for (std::size_t part = 0; part < call_parts_; ++part) {
      llvm::Value* status = b_.CreateCall(part_function(part), {call, table, begun_});
      if (has_check(part * kCallsInOne, (part + 1) * kCallsInOne))
        return_unless(b_.CreateICmpEQ(status, b_.getInt32(WEIR_OK)), status);
    }
  }

  void emit_part(std::size_t part) {
    llvm::Function* made = part_function(part);
    parallel_.enter(*made);
    read_call(made->getArg(0));
    memory_.set_offsets(made->getArg(1));
    begun_ = made->getArg(2);
    std::size_t first = part * kCallsInOne;
    std::size_t last = std::min(first + kCallsInOne, program_.calls.size());
    in_part_ = true;
    emit_calls(first, last);
    b_.CreateRet(b_.getInt32(WEIR_OK));
  }

  void emit_calls(std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      if (const Bands* bands = bands_with(i))
        emit_bands(*bands, i);
      else
        emit_call(program_.calls[i]);
      for (std::size_t check = 0; check < program_.checks.size(); ++check)
        if (program_.checks[check].call == i) emit_check(check);
    }
  }

  // The bands that a call is in, if any.
  const Bands* bands_with(std::size_t call) const {
    const auto after = std::ranges::upper_bound(program_.bands, call, {}, &Bands::call);
    if (after == program_.bands.begin() || std::prev(after)->call + 1 < call) return nullptr;
    return &*std::prev(after);
  }

  // Whether one of these calls is followed by a check.
  bool has_check(std::size_t first, std::size_t last) const {
    return std::any_of(
        program_.checks.begin(), program_.checks.end(),
        [&](const IndexCheck& check) { return check.call >= first && check.call < last; });
  }

  // Ends the function, and with it the run if that is the program's, unless the condition holds.
  void return_unless(llvm::Value* condition, llvm::Value* status,
                     const std::function<void()>& before = {}) {
    llvm::Function* function = b_.GetInsertBlock()->getParent();
    auto* fault = llvm::BasicBlock::Create(b_.getContext(), "fault", function);
    auto* after = llvm::BasicBlock::Create(b_.getContext(), "in_range", function);
    b_.CreateCondBr(condition, after, fault);
    b_.SetInsertPoint(fault);
    if (before) before();
    if (!in_part_) parallel_.end_run(memory_.executor(), begun_);
    b_.CreateRet(status);
    b_.SetInsertPoint(after);
  }

  // Ends the run, with a weir_fault in the workspace, if a check has found an index out of range.
  void emit_check(std::size_t number) {
    const IndexCheck& check = program_.checks[number];
    llvm::Value* position = b_.CreateLoad(b_.getInt64Ty(), memory_.pointer(check.position));
    llvm::Value* index = b_.CreateLoad(b_.getInt64Ty(), memory_.pointer(check.index));
    llvm::Value* in_range = b_.CreateICmpEQ(position, i64(IndexCheck::kNoFault));
    return_unless(in_range, b_.getInt32(WEIR_DATA_FAULT), [&] {
      llvm::Value* parts[] = {i64(static_cast<std::int64_t>(number)), position, index};
      for (unsigned i = 0; i < std::size(parts); ++i)
        b_.CreateStore(within_word(parts[i]), b_.CreateConstGEP1_32(word_, memory_.workspace(), i));
    });
  }

  // The nearest number that the target's word holds.
  llvm::Value* within_word(llvm::Value* value) {
    unsigned bits = word_->getBitWidth();
    if (bits == 64) return value;
    std::int64_t most = (std::int64_t{1} << (bits - 1)) - 1;
    value = b_.CreateSelect(b_.CreateICmpSGT(value, i64(most)), i64(most), value);
    value = b_.CreateSelect(b_.CreateICmpSLT(value, i64(-most - 1)), i64(-most - 1), value);
    return b_.CreateTrunc(value, word_);
  }

  // i32 present(weir_call*): whether some of the inputs and outputs have memory, as a weir_status.
  llvm::Function* presence_function(std::size_t part) {
    auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {pointer_}, false);
    return parallel_.declare("weir.present" + std::to_string(part), type);
  }

  void emit_presence(std::size_t part) {
    llvm::Function* made = presence_function(part);
    parallel_.enter(*made);
    read_call(made->getArg(0));
    std::span<const std::uint32_t> all(checked_);
    std::size_t first = part * kChecksInOne;
    llvm::Value* present =
        memory_.are_present(all.subspan(first, std::min(kChecksInOne, all.size() - first)));
    b_.CreateRet(b_.CreateSelect(present, b_.getInt32(WEIR_OK), b_.getInt32(WEIR_INVALID_CALL)));
  }

  // The executor is asked only about calls for which it matters.
  llvm::Value* apart_where_asked(const Schedule& schedule) {
    if (!has_reach_apart(schedule)) return nullptr;
    llvm::BasicBlock* before = b_.GetInsertBlock();
    llvm::BasicBlock* ask = block("ask");
    llvm::BasicBlock* asked = block("asked");
    b_.CreateCondBr(asks_apart(b_, sizes_, schedule), ask, asked);
    b_.SetInsertPoint(ask);
    llvm::Value* told = parallel_.apart(memory_.executor());
    b_.CreateBr(asked);
    b_.SetInsertPoint(asked);
    llvm::PHINode* apart = b_.CreatePHI(b_.getInt1Ty(), 2);
    apart->addIncoming(b_.getFalse(), before);
    apart->addIncoming(told, ask);
    return apart;
  }

  llvm::Value* cost_of(const Schedule& schedule) {
    llvm::Value* cost = b_.CreateUDiv(sizes_.dimension(schedule.work), i64(schedule.width));
    if (schedule.is_tile())
      cost = b_.CreateBinaryIntrinsic(
          llvm::Intrinsic::umax, cost,
          b_.CreateUDiv(sizes_.dimension(schedule.bytes), i64(kBytesOfUnit)));
    return cost;
  }

  // Both calls where the first one stands.
  void emit_bands(const Bands& bands, std::size_t number) {
    if (number != bands.call) return;
    std::vector<BandedCall> calls;
    llvm::Value *cost = i64(0), *exchanged = i64(0);
    for (const KernelCall& call : std::span(program_.calls).subspan(number, 2)) {
      const Schedule& schedule = schedules_[call.kernel];
      // A band is near, however much both touch in all.
      WEIR_CHECK(!schedule.streams && phases_of_(call.kernel).size() == 1);
      cost = b_.CreateAdd(cost, cost_of(schedule));
      exchanged = b_.CreateAdd(exchanged, exchanged_bytes(call));
      calls.push_back({phases_of_(call.kernel).front().function,
                       frames_.filled(call, reach_value(b_, Reach::near), calls.size()),
                       frames_.type_of(call),
                       static_cast<unsigned>(std::ranges::find(call.buffers, bands.buffer) -
                                             call.buffers.begin()),
                       units_of(schedule)});
    }
    const BandEmitter::Run run =
        BandEmitter(b_, primitives_, sizes_, memory_, parallel_)
            .emit(bands, static_cast<std::size_t>(&bands - program_.bands.data()), calls[0],
                  calls[1]);
    parallel_.run(run.function, run.frame, run.units, cost, exchanged, memory_.executor(), begun_);
  }

  void emit_call(const KernelCall& call) {
    const Schedule& schedule = schedules_[call.kernel];
    llvm::Value* units = units_of(schedule);
    llvm::Value* cost = cost_of(schedule);
    if (units_) return units_->emit(units, cost);
    const Sharing sharing{
        schedule.streams ? parallel_.has_workers(memory_.executor()) : b_.getFalse(),
        apart_where_asked(schedule)};
    llvm::Value* frame = frames_.filled(call, reach_of(b_, sizes_, schedule, sharing));
    llvm::Value* exchanged = exchanged_bytes(call);
    for (const KernelPhase& phase : phases_of_(call.kernel)) {
      llvm::Value* count = units;
      llvm::Value* worth = cost;
      if (phase.split) {
        const Dim& extent = schedule.kernel.arena.axis_extent(*phase.split->axis);
        count = b_.CreateMul(units,
                             quotient_up(b_, sizes_.dimension(extent), phase.split->fold->chunk));
      }
      if (!phase.split && merges_only(schedule.kernel))
        worth = b_.CreateUDiv(cost, i64(schedule.kernel.stages.front().fold->chunk));
      parallel_.run(phase.function, frame, count, worth, exchanged, memory_.executor(), begun_);
    }
  }

  // Bytes that workers have from each other before or behind a call that is divided. A map of more
  // than a cache holds finds little of it in another one.
  llvm::Value* exchanged_bytes(const KernelCall& call) {
    Dim sum = 0;
    for (std::size_t i = 0; i < call.buffers.size(); ++i) {
      const std::uint32_t number = call.buffers[i];
      const TensorType& type = call.begins.empty()
                                   ? program_.buffers[number].type
                                   : program_.kernels[call.kernel].parameters[i].type;
      if (exchanged_[number]) sum = sum + element_count(type.shape) * Dim(byte_size(type.dtype));
    }
    llvm::Value* bytes = sizes_.dimension(sum);
    if (schedules_[call.kernel].is_tile()) return bytes;
    return b_.CreateSelect(b_.CreateICmpULE(bytes, i64(cache_bytes_)), bytes, i64(0));
  }

  // Whether what follows the chunks of split folds is little beside them: chunk results are merged,
  // and stored.
  static bool merges_only(const Kernel& kernel) {
    return std::ranges::all_of(kernel.stages,
                               [](const Stage& stage) {
                                 return stage.fold ? !stage.fold->partials.empty()
                                                   : !stage.axis.has_value();
                               }) &&
           kernel.stages.front().fold.has_value();
  }

  llvm::LLVMContext& context_;
  const Program& program_;
  const PhasesOf& phases_of_;
  const std::vector<Schedule>& schedules_;
  ModuleNumber place_;
  bool shapes_;
  llvm::IRBuilder<> b_;
  llvm::IntegerType* word_;
  llvm::PointerType* pointer_;
  llvm::IntegerType* status_;
  std::vector<std::uint32_t> checked_;  // buffers that the caller gives
  std::vector<bool> exchanged_;         // by buffer
  std::int64_t cache_bytes_;
  std::size_t call_parts_ = parts_of(program_.calls.size(), kCallsInOne);
  std::size_t check_parts_ = parts_of(checked_.size(), kChecksInOne);
  bool single_;
  bool in_part_ = false;  // the function being emitted is a part
  PrimitiveEmitter primitives_;
  SizeArithmetic sizes_;
  CallMemory memory_;
  CallFrames frames_;
  ParallelEmitter parallel_;
  std::optional<UnitsEmitter> units_;  // of a program that is a single kernel

  // Of the function that is being emitted.
  llvm::Value* begun_ = nullptr;  // whether the run has begun; null in a program of one phase
};

}  // namespace

llvm::StructType* call_type(llvm::LLVMContext& context) {
  std::vector<llvm::Type*> fields(kCallFields, llvm::PointerType::get(context, 0));
  return llvm::StructType::get(context, fields);
}

std::string program_symbol(const Program& program) { return "weir_" + identifier(program.name); }
std::string workspace_symbol(const Program& program) {
  return program_symbol(program) + "_workspace_size";
}

std::string shapes_symbol(const Program& program) { return program_symbol(program) + "_shapes"; }

void emit_entry(llvm::Module& module, const Program& program, const Target& target,
                const PhasesOf& phases_of, const std::vector<Schedule>& schedules,
                ModuleNumber place, DebugInfo& debug, bool shapes) {
  EntryEmitter(module, program, target, phases_of, schedules, place, debug, shapes).emit();
}

}  // namespace weir
