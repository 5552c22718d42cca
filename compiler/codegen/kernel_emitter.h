// Emits one scheduled kernel as an LLVM function: the loop emitter.
//
//   void kernel(frame* frame, i64 begin, i64 end, i32 worker)
//
// runs the units begin <= u < end. A unit is one point of the rows, or one block of the vector axis
// at such a point, or where rows are folded across, at all points of a chunk. A kernel with split
// folds has one function more for each of them, to be run before: its units are a chunk of the fold
// at one of the kernel's units, all units of a chunk one after the other where they are tiles, and
// it leaves chunk results in the fold's partials. The frame holds the parameters' addresses, then
// the values of the kernel's symbols, then how far what it touches reaches (Reach), and where the
// kernel has panels (choose_panel.h), the address of what all workers have of the workspace.
//
// Loops are explicit vectors of the schedule's width, several at once, then what remains: under a
// mask where the target has masked memory access, and otherwise by the same operations on scalars.
// Counters and accumulators are stack slots, which LLVM's SROA turns into registers.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/codegen/debug_info.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/primitive_emitter.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// How far away what a call of a kernel touches is: near, past Schedule::far, or past all caches.
enum class Reach : std::uint8_t { near, far, memory };

// The frame's layout: one pointer a parameter, one i64 a symbol, one i64 of Reach, and a pointer to
// panels, if any.
llvm::StructType* frame_type(llvm::LLVMContext& context, std::size_t parameters,
                             std::size_t symbols, bool has_panel);

// One function of a kernel, to be run over all units.
struct KernelPhase {
  llvm::Function* function;
  // The split fold whose chunk results it leaves; its units are the kernel's times the fold's
  // chunks. Null for the kernel itself.
  const Stage* split = nullptr;
};

// An i1 that tells whether a panel pays. `dimension` gives a size's value, an i64.
llvm::Value* emit_panel_pays(llvm::IRBuilder<>& builder, const Panel& panel,
                             const std::function<llvm::Value*(const Dim&)>& dimension);

// LLVM's attribute of a function that aligns its stack.
inline constexpr const char* kRealignsStack = "stackrealign";

// Declares the kernel's functions, in the order in which they have to run.
std::vector<KernelPhase> declare_phases(llvm::Module& module, const Kernel& kernel,
                                        const std::string& name);

// The conditions that all have to hold for one to do so.
std::vector<scalar::Id> conjuncts(const scalar::Arena& arena, scalar::Id condition);

// Whether it is the constant +0, or false.
bool is_positive_zero(const scalar::Arena& arena, scalar::Id id);

class KernelEmitter {
 public:
  KernelEmitter(llvm::Module& module, const Target& target, const Schedule& schedule,
                DebugInfo& debug);

  // Gives the kernel's functions their bodies.
  void emit(const std::vector<KernelPhase>& phases);

 private:
  // One, or one for each slot, or for each row, or for each slot of each row, the first row's
  // first.
  using Values = std::vector<llvm::Value*>;

  // What one point of emission works on: `slots` vectors of `width` elements from `start` on.
  struct Lanes {
    int width = 1;
    int slots = 1;
    llvm::Value* start = nullptr;
    llvm::Value* mask = nullptr;
    llvm::Value* last =
        nullptr;  // of a mask at the end of a loop: the number of its last lane, from 0
    std::int64_t early =
        0;  // elements by which the last slot begins before the slot before it ends

    // Of several slots only the last one has the mask.
    llvm::Value* mask_of(int slot) const { return slot + 1 == slots ? mask : nullptr; }

    // Elements from the first slot to this one.
    std::int64_t position(int slot) const {
      return std::int64_t{slot} * width - (slot > 0 && slot + 1 == slots ? early : 0);
    }
  };
  using LaneBody = std::function<void(const Lanes&)>;

  // kernel_emitter.cc: the function, its units, and the stages.
  void emit_function(llvm::Function* function);
  bool is_map_only() const;
  bool units_join() const;
  void emit_units(llvm::Value* unit, llvm::Value* limit);
  void emit_row(llvm::Value* row, std::size_t axes);
  void emit_stages(const Lanes& lanes);
  void emit_map(const Stage& stage, const std::vector<Access>& accesses, const Lanes& lanes);
  void emit_stores(const Stage& stage, const std::vector<Access>& accesses, const Lanes& lanes);
  // tile_emitter.cc: units of several rows.
  void emit_tiles(llvm::Value* begin, llvm::Value* end);
  llvm::Value* quotient_mostly_0(llvm::Value* dividend, llvm::Value* divisor);
  // The rows that groups of rows are made of, and how many a group has: so many, or fewer by that.
  struct TileRows {
    llvm::Value* begin;  // null: 0
    llvm::Value* count;
    llvm::Value* groups;
    int most;
    int fewer;
  };
  // narrow_emitter.cc: columns that are found at the call to be less than a tile's.
  int rows_in_narrow() const;
  llvm::Value* are_narrow(llvm::Value* begin, llvm::Value* end);
  void narrow_tiles(llvm::Value* row, llvm::Value* begin, llvm::Value* end);
  void narrow_columns(llvm::Value* begin, llvm::Value* end, const LaneBody& body);
  void emit_tile(llvm::Value* first_row, llvm::Value* group, const TileRows& of, llvm::Value* begin,
                 llvm::Value* end, std::optional<std::int64_t> count);
  void emit_tile_rows(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count);
  void emit_tile_stages(const Lanes& lanes);
  void prefetch_behind_folds(const Lanes& lanes);
  void for_rows_of_tile(const std::function<void()>& body);
  void set_tile_row(llvm::Value* row);
  int rows_stored_together(const Lanes& lanes) const;

  // sum_emitter.cc: folds across rows.
  void for_chunks(llvm::Value* first, llvm::Value* last,
                  const std::function<void(llvm::Value* begin, llvm::Value* end)>& body);
  llvm::Value* chunks_of(llvm::Value* rows);
  llvm::Value* in_groups(llvm::Value* rows);
  llvm::Value* groups_of_chunks(llvm::Value* first, llvm::Value* last);
  std::vector<std::vector<int>> rows_by_sum() const;
  void emit_sums(const Lanes& lanes);
  void emit_sums_outside(const Lanes& lanes);
  std::vector<std::vector<int>> slots_by_sum(const Lanes& lanes) const;
  llvm::Value* begins_sum(llvm::Value* position);
  // A vector of accumulators.
  struct SumPlace {
    llvm::Type* type;
    llvm::Value* address;
    llvm::Align align;
    llvm::Constant* identity;
  };
  SumPlace place_of_sum(const RowFolds::Sum& sum, llvm::Value* offset, const Lanes& lanes);
  llvm::Value* load_sum(const SumPlace& place, const Lanes& lanes);
  void store_sum(const SumPlace& place, llvm::Value* total, const Lanes& lanes);

  // border_emitter.cc: columns that are free of guards.
  void columns(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count,
               const LaneBody& body);

  // panel_emitter.cc: what all rows of a tile share, copied.
  void find_panel(llvm::Value* memory);
  void copy_panel(llvm::Value* groups, llvm::Value* begin, llvm::Value* end,
                  std::optional<std::int64_t> count);
  void turn_panel(llvm::Value* begin, llvm::Value* end);
  llvm::Value* panel_address(llvm::Value* first_column);
  bool reads_panel(scalar::Id id) const;

  // stream_emitter.cc: what may be too large for the caches.
  llvm::Value* reaches(Reach reach);
  void stream_loop(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count,
                   const LaneBody& body);
  llvm::Value* stream_peel(llvm::Value* begin, llvm::Value* end, const LaneBody& body);
  llvm::Value* stream_lines(llvm::Value* begin, llvm::Value* end, const LaneBody& body);
  llvm::Value* lines_together(llvm::Value* begin, llvm::Value* end, int lines,
                              const LaneBody& body);
  void prefetch_ahead(const std::vector<scalar::Id>& loads, llvm::Value* element);
  void prefetch_result(const Lanes& lanes);
  llvm::Value* result_address(llvm::Value* element);

  // fold_emitter.cc: reductions.
  Values emit_fold(const Stage& stage, const Lanes& lanes);
  Values chain_partial(const Stage& stage, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                       int chunks = 1);
  Values lane_partial(const Stage& stage, llvm::Value* begin, llvm::Value* end,
                      std::optional<std::int64_t> count);
  int lanes_of(const Fold& fold, std::optional<std::int64_t> count) const;
  Values column_partial(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                        llvm::Value* end, std::optional<std::int64_t> count);
  void fold_block(const Stage& stage, const std::vector<Values>& accumulators, int first, int count,
                  const Lanes& lanes);
  Values in_chunks(const Fold& fold, const Dim& extent, int width, int slots,
                   const std::function<Values(llvm::Value* begin, llvm::Value* end,
                                              std::optional<std::int64_t> count)>& partial);
  Values merge_lanes(const Fold& fold, std::vector<Values> lanes, int width);
  std::vector<llvm::Value*> call(const std::vector<scalar::Id>& roots,
                                 const std::vector<llvm::Value*>& arguments, int width);
  DType accumulator_type(const Fold& fold, std::size_t i) const;

  // chunk_emitter.cc: split folds.
  void in_pieces(
      llvm::Value* begin, llvm::Value* end, llvm::Value* size,
      const std::function<void(llvm::Value* piece, llvm::Value* first, llvm::Value* last)>& body);
  void emit_chunks(llvm::Value* begin, llvm::Value* end);
  llvm::Value* tile_units(std::size_t axes);
  int most_chunks_at_once() const;
  void emit_chunks_at_once(llvm::Value* begin, llvm::Value* end);
  void emit_partial(const Stage& stage, const Lanes& lanes);
  Values merge_partials(const Stage& stage, const Lanes& lanes);
  llvm::Value* partial_address(const Fold& fold, std::size_t i, llvm::Value* chunk,
                               const Lanes& lanes, int number);
  llvm::Value* initial(const Fold& fold, std::size_t i, const Lanes& lanes, int number);

  // step_emitter.cc: the steps of a reduction in chain order.
  using Body = std::function<void(llvm::Value* index)>;
  void where_steps_count(const Stage& stage, Level level, const Lanes& lanes,
                         const std::function<void()>& body);
  void digit_loops(const Stage& stage, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                   const Body& step);
  void write_out_digits(const Stage& stage, const Lanes& lanes,
                        const std::function<void(int row, llvm::Value* index)>& step);
  void step_loop(const Stage& stage, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                 const Body& step);
  void ask_for_columns(const Lanes& lanes);
  void ask_for_next(const Stage& stage, const Lanes& lanes, llvm::Value* first, std::int64_t steps);
  bool takes_turns(const Lanes& lanes) const;
  bool is_large(const Lanes& lanes) const;
  void written_turns(const Stage& stage, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                     const Body& step);
  void loop_in_turns(const Stage& stage, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                     const Body& step);
  void loop_free_of_guards(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                           llvm::Value* end, const Body& step);
  llvm::Value* first_within(const IndexBound& bound, llvm::Value* offset);
  llvm::Value* end_within(const IndexBound& bound, llvm::Value* offset);

  // frame_emitter.cc: steps in a frame of zeros.
  void beside_frame(const Stage& stage, const Lanes& lanes, const std::function<void()>& steps);

  // element_emitter.cc: expressions and stores.
  const Values& values(scalar::Id id, const Lanes& lanes);
  llvm::Value* value(scalar::Id id, const Lanes& lanes, int slot, int row = 0);
  llvm::Value* widened(llvm::Value* value, int width);
  Values emit_node(scalar::Id id, const Lanes& lanes);
  Values emit_bound(const IndexBound& bound, const Lanes& lanes, int rows);
  llvm::Value* words_from(llvm::Value* limit, int lanes, bool below);
  llvm::Value* lanes_of_bits(llvm::Value* bits, int first, int width);
  void emit_store(std::uint32_t parameter, const Access& access, llvm::Value* value,
                  const Lanes& lanes, int slot, int row);
  void emit_interleaved(const Store& store, const Access& access, const Lanes& lanes,
                        int first_row);
  llvm::Value* lane_offsets(const Access& access, const Lanes& lanes, int slot, int row = 0);
  llvm::Value* address(std::uint32_t parameter, llvm::Value* offset);
  llvm::Value* scalar_index(scalar::Id id, const Lanes& lanes, int row = 0);
  bool repeats_row(scalar::Id id, int row) const;
  llvm::Value* dimension(const Dim& dim);
  void hoist(const Stage& stage, const std::vector<Access>& accesses, Level below,
             const Lanes& lanes);
  llvm::Type* memory_type(DType type, int width) const;
  llvm::Value* lane_numbers(int width);
  llvm::Value* short_lane_numbers(int width, int first = 0);  // of 32 bits
  // The first of the lanes, as many as are given, or all.
  llvm::Value* first_lanes(int width, llvm::Value* count);

  // address_emitter.cc: where the elements of loads are.
  llvm::Value* element_address(scalar::Id id, const Access& access, const Lanes& lanes, int slot,
                               int row);
  // Where `values_` keeps what hoist_addresses worked out for a load: addresses, and of those that
  // stay where they are if the guard does not hold, the bits of an offset that count.
  std::uint32_t address_key(scalar::Id id) const;
  std::uint32_t stay_key(scalar::Id id) const;
  // And of a load from a panel or from where it lies: how far it is from a step to the next.
  std::uint32_t stride_key(scalar::Id id) const { return stay_key(id); }
  // How a load whose guard does not hold looks at zeros, in all steps of the innermost loop.
  struct LoopZeros {
    std::int64_t bytes;
    bool stays;              // at one address
    std::int64_t first = 0;  // where steps that go backwards begin, in elements
  };
  std::optional<LoopZeros> zeros_of_loop(scalar::Id id, const Access& access,
                                         const Lanes& lanes) const;
  void hoist_addresses(const Stage& stage, const Lanes& lanes);
  // How far the one address that all rows of a tile have of a load goes on from step to step, in
  // elements, and the axis of the steps; nothing where an operand's scaled index says as much.
  struct Stride {
    std::uint32_t axis;
    llvm::Value* elements;
  };
  std::optional<Stride> stride_of_steps(scalar::Id id);
  void walking_loop(const Stage& stage, llvm::Value* begin, llvm::Value* end, std::int64_t step,
                    const Body& body);
  std::optional<std::int64_t> row_distance(const Access& access, int row) const;

  // load_emitter.cc: loads.
  llvm::Value* emit_load(scalar::Id id, const Access& access, const Lanes& lanes, int slot,
                         int row);
  // The guard of a load in two parts, each null where there is nothing to look at, and what the
  // load gives where it does not hold: null for a load without a guard.
  struct LoadGuard {
    llvm::Value* of_all = nullptr;   // the same in all lanes: chooses an address among zeros
    llvm::Value* of_each = nullptr;  // by lane: a mask
    llvm::Value* otherwise = nullptr;
    bool zero_otherwise = false;
  };
  LoadGuard guard_of(scalar::Id id, const Access& access, const Lanes& lanes, int slot, int row);
  // The vectors of a load along the steps for a few of these, slot by slot, and the first of them.
  struct TurnedSteps {
    llvm::AllocaInst* vectors;
    llvm::Value* begin;
  };
  llvm::Value* load_turned(scalar::Id id, const Access& access, const TurnedSteps& turned,
                           const Lanes& lanes, int slot);
  llvm::Value* load_single(scalar::Id id, const Access& access, const LoadGuard& guard,
                           const Lanes& lanes, int slot, int row);
  llvm::Value* load_lanes(scalar::Id id, const Access& access, const LoadGuard& guard,
                          const Lanes& lanes, int slot, int row);
  llvm::Value* guarded_address(scalar::Id id, llvm::Value* guard, llvm::Value* where,
                               std::int64_t elements);
  llvm::Value* unless_zeros(const LoadGuard& guard, llvm::Value* loaded);
  llvm::Value* as_value(llvm::Value* loaded, DType dtype);
  DType loaded_type(scalar::Id load) const;
  // Whether all lanes read one element, and whether they read neighbours.
  static bool is_single(const Access& access, const Lanes& lanes);
  bool is_contiguous(scalar::Id load, const Access& access) const;
  llvm::Value* load_first_lanes(llvm::Type* type, std::uint32_t parameter, const Access& access,
                                const Lanes& lanes, int slot, int row);
  llvm::Value* load_near(llvm::Type* type, llvm::Value* where, int stride, llvm::Value* mask);
  // Neighbours in whole vectors, and where in the run each of these begins.
  struct Run {
    int width;
    std::vector<int> begins;
    Values vectors;
  };
  std::optional<std::vector<bool>> touched_by_taps(
      const Access& access, const Lanes& lanes, std::int64_t taps,
      const std::function<LoadGuard(std::int64_t tap)>& guard_at);
  std::vector<Values> load_taps(scalar::Id id, const Lanes& lanes, std::uint32_t axis);
  Values load_taps_of_rows(scalar::Id id, const Lanes& lanes);
  Values pick_taps(const Run& run, std::int64_t stride, std::int64_t taps);
  Run load_run(DType dtype, int width, llvm::Value* where, const std::vector<bool>& touched,
               bool needs_mask);
  llvm::Value* pick_tap(const Run& run, int stride, int tap, llvm::Value* earlier);
  bool turns_rows(scalar::Id load, int rows, int width) const;
  Values load_transposed(scalar::Id id, const Access& access, const Lanes& lanes);
  void transpose(Values& rows, int width);
  std::int64_t turned_steps(const std::vector<scalar::Id>& loads, const Lanes& lanes) const;
  void turn_steps(scalar::Id id, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                  std::int64_t most);

  // stage_emitter.cc: groups of rows, which go through one stage after the other.
  void emit_by_stages(llvm::Value* begin, llvm::Value* end);

  // loop_emitter.cc: loops over vectors, and what remains of them; branches.
  void either(llvm::Value* condition, const std::function<void()>& then,
              const std::function<void()>& otherwise);
  void loop(llvm::Value* begin, llvm::Value* end, std::int64_t step, const Body& body);
  // Covers [begin, end) with vectors; `count` is the length, where it is known.
  void vector_loop(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count,
                   const LaneBody& body);
  void in_turn(const Lanes& lanes, const LaneBody& body);
  llvm::Value* whole_vectors(llvm::Value* begin, llvm::Value* end, int slots, const LaneBody& body);
  llvm::Value* whole_steps(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count,
                           const LaneBody& body);
  bool fills_vectors(std::optional<std::int64_t> count) const;
  void remainder(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count,
                 const LaneBody& body);
  static std::optional<std::int64_t> known_distance(llvm::Value* begin, llvm::Value* end);
  // So many bytes of zeros, or more.
  llvm::Constant* zeros(std::int64_t bytes);
  llvm::AllocaInst* slot(llvm::Type* type, const char* name, std::int64_t count = 1);
  // Memory for the results of chunks; all folds of a function share it, one after the other.
  llvm::AllocaInst* tree_slot(llvm::Type* type, std::size_t number, std::int64_t count);
  llvm::Value* i64(std::int64_t value) { return b_.getInt64(static_cast<std::uint64_t>(value)); }

  // Values emitted while a Scope lives are forgotten when it ends.
  class Scope {
   public:
    explicit Scope(KernelEmitter& emitter) : emitter_(emitter), first_(emitter.defined_.size()) {}
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    KernelEmitter& emitter_;
    std::size_t first_;
  };

  llvm::Module& module_;
  const Target& target_;
  const Schedule& schedule_;
  const Kernel& kernel_;
  DebugInfo& debug_;
  llvm::IRBuilder<> b_;
  PrimitiveEmitter primitives_;
  bool masks_;    // masked access to all parameters is native
  bool narrows_;  // vectors may be narrower than the schedule's: nothing lies along the steps

  int rows_ = 1;    // points of the innermost of schedule_.rows that are worked on at once
  int unroll_ = 1;  // vectors along the vector axis at once
  llvm::Value* last_row_ = nullptr;  // the last of the rows, where a tile may reach beyond it
  bool narrow_ = false;              // all columns are one tile, and all steps of a fold one chunk
  llvm::Value* chunk_row_ =
      nullptr;  // the first of the rows of a chunk, where rows are folded across

  // Where the kernel has panels: this worker's, and whether it pays; while tiles of a block run,
  // whether there is one, and its first column.
  llvm::Value* panel_ = nullptr;
  llvm::Value* panel_pays_ = nullptr;
  llvm::Value* has_panel_ = nullptr;
  llvm::Value* panel_begin_ = nullptr;

  const Stage* split_ = nullptr;  // the fold whose chunk results are being computed
  llvm::Value* chunk_ = nullptr;  // its chunk, or the first of several
  int chunks_ = 1;                // that are worked on at once
  // While a part of the chunk is folded: its steps, and whether others of the chunk have been.
  struct ChunkPart {
    llvm::Value *begin, *end, *continues;
  };
  std::optional<ChunkPart> part_;
  // While a fold in chain order goes on: its accumulators, of each of its results those of all rows
  // of the tile, and the first of the rows that are worked on.
  struct ChainSums {
    std::vector<Values> accumulators;
    int first = 0;
  };
  ChainSums sums_;
  llvm::Value* row_ = nullptr;  // the point of the rows, as one number; of a tile, the first
  llvm::Function* function_ = nullptr;
  std::vector<llvm::Value*> pointers_;
  std::unordered_map<std::string, llvm::Value*> symbols_;
  llvm::Value* reach_ = nullptr;  // of a kernel that may use streaming stores
  bool within_ = false;    // all bounds along the vector axis hold whose greatest offset is known
  bool together_ = false;  // vectors of a map are done together, and not in turn
  int streaming_ = 0;      // so many of the stores being emitted of a step are streaming ones
  bool loads_in_order_ = false;  // all that a step loads of one operand, then all of the next
  std::unordered_map<std::uint32_t, llvm::Value*> axes_;  // scalar values of axes, by number
  std::vector<Values> locals_;
  std::unordered_map<std::uint32_t, Values> values_;  // by arena id, or a load's address_key
  std::vector<std::uint32_t> defined_;
  std::vector<llvm::AllocaInst*> trees_;
  std::unordered_map<std::uint32_t, TurnedSteps> turned_;  // by arena id of a load
  // In a walking_loop, by arena id of a load: the step at which its address is what `values_` has.
  std::unordered_map<std::uint32_t, llvm::Value*> walked_to_;
  // Counting, comparing and the address of a row that lies elsewhere are four operations, as many
  // as a third of the multiply-adds of a small tile: these steps go four in a turn. In a large one
  // they take the places of multiply-adds, too; two steps do as well as four there, and are half
  // the code. More fields leave no registers for that.
  static constexpr int kFieldsOfTurn = 24;
  static constexpr std::int64_t kStepsOfTurn = 4, kStepsOfLargeTurn = 2;
  // Of rows that share what they load at different steps (Schedule::slides), and of what that
  // leaves.
  static constexpr std::int64_t kStepsOfSlide = 12, kStepsOfShortSlide = 2;
  // Vectors of columns that are narrow, at most.
  static constexpr int kNarrowVectors = 3;
  // Narrower masks are no registers of their own.
  static constexpr int kLeastMaskBits = 8;
  // The most zeros that guarded loads look at from one address on, where the guard is false.
  static constexpr std::int64_t kMostZeroBytes = 4096;
};

}  // namespace weir
