// The part of the kernel emitter that deals with the steps of reductions in chain order.
//
// Steps go one by one, in loops over the digits of the stage's axis, of which the innermost is what
// counts. Most of its steps are free of guards: where a guard changes along the loop, it is cut
// into the steps at which all guards hold, for all rows of a tile, and those before and behind.
// What lies along the steps, while the vectors lie across, is loaded for a few steps at once,
// transposed in registers, and kept in memory for these steps.

#include <algorithm>
#include <bit>
#include <map>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/prefetch.h"
#include "compiler/lowering/choose_tile.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

// Runs a body of steps where they count, as far as that is known at a level: for all lanes and rows
// at once. Within, the condition is known to hold.
void KernelEmitter::where_steps_count(const Stage& stage, Level level, const Lanes& lanes,
                                      const std::function<void()>& body) {
  std::optional<Id> condition = step_condition(kernel_, *stage.fold);
  if (!condition || kernel_.arena[*condition].primitive == Primitive::constant ||
      schedule_.levels[condition->index] > level || schedule_.varies[condition->index] ||
      (rows_ > 1 && schedule_.varies_by_row[condition->index]))
    return body();
  Scope scope(*this);
  const Values known = values(*condition, lanes);
  if (llvm::isa<llvm::ConstantInt>(known[0])) return body();
  auto* inside = llvm::BasicBlock::Create(module_.getContext(), "counts", function_);
  auto* after = llvm::BasicBlock::Create(module_.getContext(), "after", function_);
  b_.CreateCondBr(known[0], inside, after);
  b_.SetInsertPoint(inside);
  values_[condition->index] = {b_.getTrue()};
  {
    Scope here(*this);
    body();
  }
  values_[condition->index] = known;
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

// The points begin ... end - 1 of a stage's axis in its digits: a loop over the last digit within
// one over all others, whose values are worked out once.
void KernelEmitter::digit_loops(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                                llvm::Value* end, const Body& step) {
  const Dim& extent = kernel_.arena.axis_extent(stage.digits.back());
  llvm::Value* length = dimension(extent);
  // Where there is no point, the length may be 0.
  llvm::Value* divisor = extent.is_constant()
                             ? i64(std::max<std::int64_t>(extent.value(), 1))
                             : b_.CreateSelect(b_.CreateICmpSLT(length, i64(1)), i64(1), length);
  auto* first_point = llvm::dyn_cast<llvm::ConstantInt>(begin);
  auto* end_point = llvm::dyn_cast<llvm::ConstantInt>(end);
  const bool is_known = extent.is_constant() && extent.value() > 0;
  const bool from_zero = is_known && first_point && first_point->isZero() && end_point &&
                         end_point->getSExtValue() % extent.value() == 0;
  // Chunks end where such a loop does, too, and so does the last one, where all digits end.
  const bool whole = from_zero || (is_known && stage.fold->chunk % extent.value() == 0);
  auto is_turned = [&](Id id) {
    auto load = schedule_.loads.find(id.index);
    return load != schedule_.loads.end() && load->second.along_steps;
  };
  if (whole && takes_turns(lanes) && !is_large(lanes) && extent.value() <= kStepsOfTurn &&
      std::ranges::none_of(scalar::reachable(kernel_.arena, stage.fold->elements), is_turned))
    return written_turns(stage, lanes, begin, end, step);
  llvm::Value* limit = b_.CreateAdd(end, b_.CreateSub(divisor, i64(1)));
  loop(primitives_.quotient(begin, divisor), primitives_.quotient(limit, divisor), 1,
       [&](llvm::Value* outer) {
         Scope scope(*this);
         llvm::Value* rest = outer;
         for (std::size_t i = stage.digits.size() - 1; i-- > 0;) {
           if (i == 0) {
             axes_[stage.digits[i]] = rest;
             break;
           }
           llvm::Value* size = dimension(kernel_.arena.axis_extent(stage.digits[i]));
           llvm::Value* above = primitives_.quotient(rest, size);
           axes_[stage.digits[i]] = b_.CreateSub(rest, b_.CreateMul(above, size));
           rest = above;
         }
         where_steps_count(stage, Level::window, lanes, [&] {
           if (whole)
             return beside_frame(stage, lanes, [&] {
               hoist(stage, {}, Level::stage, lanes);
               hoist_addresses(stage, lanes);
               step_loop(stage, lanes, i64(0), length, step);
             });
           hoist(stage, {}, Level::stage, lanes);
           llvm::Value* base = b_.CreateMul(outer, length);
           llvm::Value* below = b_.CreateSub(begin, base);
           llvm::Value* left = b_.CreateSub(end, base);
           llvm::Value* low = b_.CreateSelect(b_.CreateICmpSLT(below, i64(0)), i64(0), below);
           llvm::Value* high = b_.CreateSelect(b_.CreateICmpSLT(left, length), left, length);
           hoist_addresses(stage, lanes);
           step_loop(stage, lanes, low, high, step);
         });
       });
}

// The points begin ... end - 1 of a stage's axis, whose last digit is short: the points of the last
// digits, as many of them as make few points and are whole in every chunk, are one turn of a loop
// over the other digits.
void KernelEmitter::written_turns(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                                  llvm::Value* end, const Body& step) {
  auto size_of = [&](std::size_t digit) {
    return kernel_.arena.axis_extent(stage.digits[digit]).constant().value_or(kWrittenOutSteps + 1);
  };
  std::size_t first = stage.digits.size() - 1;
  std::int64_t turn = size_of(first);
  auto is_whole = [&](std::int64_t points) {
    if (points == 0) return false;  // there are no steps
    const std::optional<std::int64_t> all = known_distance(i64(0), end);
    const bool are_all = known_distance(begin, end) == all && all && *all % points == 0;
    return points <= kWrittenOutSteps && (are_all || stage.fold->chunk % points == 0);
  };
  while (first > 0 && is_whole(turn * size_of(first - 1))) turn *= size_of(--first);
  llvm::Value* points = i64(turn);
  loop(primitives_.quotient(begin, points), primitives_.quotient(end, points), 1,
       [&](llvm::Value* outer) {
         Scope scope(*this);
         llvm::Value* rest = outer;
         for (std::size_t i = first; i-- > 0;) {
           llvm::Value* size = dimension(kernel_.arena.axis_extent(stage.digits[i]));
           llvm::Value* above = i == 0 ? i64(0) : primitives_.quotient(rest, size);
           axes_[stage.digits[i]] = b_.CreateSub(rest, b_.CreateMul(above, size));
           rest = above;
         }
         for (std::int64_t number = 0; number < turn; ++number) {
           Scope one(*this);
           std::int64_t left = number;
           for (std::size_t i = stage.digits.size(); i-- > first;) {
             axes_[stage.digits[i]] = i64(left % size_of(i));
             left /= size_of(i);
           }
           where_steps_count(stage, Level::window, lanes, [&] {
             hoist(stage, {}, Level::stage, lanes);
             hoist_addresses(stage, lanes);
             step(i64(number % size_of(stage.digits.size() - 1)));
           });
         }
       });
}

// All points of a stage's axis, of which there are few, one after the other: for all rows of a tile
// at once, or where rows overlap, for a row each. Then what several rows load at different points
// is loaded once and used by all of them before the next, and few accumulators are in use at a
// time.
void KernelEmitter::write_out_digits(const Stage& stage, const Lanes& lanes,
                                     const std::function<void(int row, llvm::Value* index)>& step) {
  struct Point {
    std::vector<std::int64_t> at;
    int row;
  };
  const bool by_row = schedule_.overlap && rows_ > 1;
  std::vector<Point> points;
  for (int row = 0; row < (by_row ? rows_ : 1); ++row) {
    for (std::int64_t number = 0; number < kernel_.arena.axis_extent(*stage.axis).value();
         ++number) {
      Point point{std::vector<std::int64_t>(stage.digits.size()), row};
      std::int64_t rest = number;
      for (std::size_t i = point.at.size(); i-- > 0;) {
        std::int64_t size = kernel_.arena.axis_extent(stage.digits[i]).value();
        point.at[i] = rest % size;
        rest /= size;
      }
      points.push_back(std::move(point));
    }
  }
  // What is loaded is told apart by the position that the first row would have.
  auto shared_position = [&](const Point& point) {
    std::vector<std::int64_t> at = point.at;
    at[schedule_.overlap->digit] += schedule_.overlap->shift * point.row;
    return at;
  };
  std::map<std::pair<std::uint32_t, std::vector<std::int64_t>>, Values> loaded;
  const bool all_count = !step_condition(kernel_, *stage.fold);
  auto share = [&](const Point& point) {
    axes_[stage.digits.back()] = i64(point.at.back());
    for (Id id : all_count ? schedule_.overlap->loads : std::vector<Id>()) {
      std::vector<std::int64_t> at = shared_position(point);
      Values& here = loaded[{id.index, at}];
      if (here.empty() && schedule_.overlap->digit + 1 < at.size()) {
        std::vector<Values> taps = load_taps(id, lanes, stage.digits.back());
        for (at.back() = 0; at.back() < std::ssize(taps); ++at.back())
          loaded[{id.index, at}] = std::move(taps[static_cast<std::size_t>(at.back())]);
      }
      if (here.empty()) {
        here = values(id, lanes);
      } else {
        values_.emplace(id.index, here);
        defined_.push_back(id.index);
      }
    }
  };
  auto emit = [&](const Point& point) {
    Scope scope(*this);
    for (std::size_t i = 0; i + 1 < point.at.size(); ++i) axes_[stage.digits[i]] = i64(point.at[i]);
    hoist(stage, {}, Level::stage, lanes);
    hoist_addresses(stage, lanes);
    if (by_row) share(point);
    step(point.row, i64(point.at.back()));
  };
  if (!by_row) {
    for (const Point& point : points) emit(point);
    return;
  }
  // Each row's own points stay in order.
  std::sort(points.begin(), points.end(), [&](const Point& a, const Point& b) {
    return std::pair(shared_position(a), a.row) < std::pair(shared_position(b), b.row);
  });
  const std::uint32_t axis = schedule_.rows.back().number;
  llvm::Value* first = axes_.at(axis);
  for_rows_of_tile([&] {
    rows_ = 1;
    for (const Point& point : points) {
      axes_[axis] = b_.CreateAdd(first, i64(point.row));
      emit(point);
    }
  });
}

// The innermost loop of a fold.
void KernelEmitter::step_loop(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                              llvm::Value* end, const Body& step) {
  Scope scope(*this);
  std::vector<Id> along;
  for (Id id : scalar::reachable(kernel_.arena, stage.fold->elements))
    if (auto load = schedule_.loads.find(id.index); lanes.width > 1 && !lanes.mask &&
                                                    load != schedule_.loads.end() &&
                                                    load->second.along_steps && !reads_panel(id))
      along.push_back(id);
  if (along.empty()) return loop_free_of_guards(stage, lanes, begin, end, step);
  const std::int64_t most = turned_steps(along, lanes);
  loop(begin, end, most, [&](llvm::Value* first) {
    Scope block(*this);
    llvm::Value* limit =
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(first, i64(most)), end);
    for (Id id : along) turn_steps(id, lanes, first, limit, most);
    loop_free_of_guards(stage, lanes, first, limit, step);
    turned_.clear();
  });
}

// Of columns that are far, asks for what a tile reads of them some steps later: a run of memory, so
// that is at a fixed distance.
void KernelEmitter::ask_for_columns(const Lanes& lanes) {
  if (!schedule_.far_columns || rows_ == 1) return;
  const auto& [load, bytes_ahead] = *schedule_.far_columns;
  for (int slot = 0; slot < lanes.slots; ++slot) {
    llvm::Value* here = element_address(load, schedule_.loads.at(load.index), lanes, slot, 0);
    emit_prefetch(
        b_, b_.CreateConstGEP1_64(b_.getInt8Ty(), here, static_cast<std::uint64_t>(bytes_ahead)),
        PrefetchTo::read);
  }
}

// Of images that a tile passes by, asks for what it reads at the same steps of the next one. LLVM
// takes that for a store, behind which it loads again what rows share: so it is ahead of all loads.
void KernelEmitter::ask_for_next(const Stage& stage, const Lanes& lanes, llvm::Value* first,
                                 std::int64_t steps) {
  for (std::int64_t i = 0; i < steps && !schedule_.next_images.empty(); ++i) {
    Scope scope(*this);
    axes_[stage.digits.empty() ? *stage.axis : stage.digits.back()] = b_.CreateAdd(first, i64(i));
    for (const auto& [load, bytes_ahead] : schedule_.next_images) {
      llvm::Value* here = element_address(load, schedule_.loads.at(load.index), lanes, 0, 0);
      emit_prefetch(
          b_, b_.CreateConstGEP1_64(b_.getInt8Ty(), here, static_cast<std::uint64_t>(bytes_ahead)),
          PrefetchTo::read);
    }
  }
}

bool KernelEmitter::is_large(const Lanes& lanes) const {
  return rows_ * lanes.slots >= kFieldsOfTurn;
}

// Of a tile that has most of its rows, or of narrow columns: so many steps in a turn of the loop that
// what the loop itself executes is little beside them. Others take one.
bool KernelEmitter::takes_turns(const Lanes& lanes) const {
  if (schedule_.slides) return rows_ > 1 && lanes.width > 1;
  const bool is_whole =
      narrow_ || (2 * rows_ > schedule_.rows_at_once && lanes.slots == schedule_.tile_unroll);
  return rows_ > 1 && is_whole && lanes.width == schedule_.width &&
         rows_ * lanes.slots <= kFieldsOfTurn;
}

void KernelEmitter::loop_in_turns(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                                  llvm::Value* end, const Body& step) {
  if (!takes_turns(lanes)) return walking_loop(stage, begin, end, 1, step);
  const std::optional<std::int64_t> count = known_distance(begin, end);
  const bool slides = schedule_.slides;
  std::int64_t turn = slides ? kStepsOfSlide : is_large(lanes) ? kStepsOfLargeTurn : kStepsOfTurn;
  if (!slides && is_large(lanes) && count && *count % turn != 0)
    return walking_loop(stage, begin, end, 1, step);
  for (std::int64_t fewer = turn; !schedule_.slides && count && fewer > 1; --fewer) {
    if (*count % fewer != 0) continue;
    turn = fewer;
    break;
  }
  auto steps_from = [&](llvm::Value* first, std::int64_t steps) {
    ask_for_next(stage, lanes, first, steps);
    for (std::int64_t i = 0; i < steps; ++i) step(b_.CreateAdd(first, i64(i)));
  };
  if (count && *count <= turn) return steps_from(begin, *count);
  auto in_turns_of = [&](llvm::Value* from, std::int64_t steps) {
    llvm::Value* whole = end;
    if (!count || *count % steps != 0) {
      llvm::Value* length =
          b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateSub(end, from), i64(0));
      whole = std::has_single_bit(static_cast<std::uint64_t>(steps))
                  ? b_.CreateAnd(length, i64(-steps))
                  : b_.CreateSub(length, b_.CreateURem(length, i64(steps)));
      whole = b_.CreateAdd(from, whole);
    }
    walking_loop(stage, from, whole, steps, [&](llvm::Value* first) { steps_from(first, steps); });
    return whole;
  };
  llvm::Value* whole = in_turns_of(begin, turn);
  if (whole != end && schedule_.slides) whole = in_turns_of(whole, kStepsOfShortSlide);
  if (whole != end) loop(whole, end, 1, step);
}

// The first step at which a comparison that goes on holding does so, or 0 if that is less.
llvm::Value* KernelEmitter::first_within(const IndexBound& bound, llvm::Value* offset) {
  llvm::Value* first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax,
                                                b_.CreateAdd(offset, i64(-bound.stride)), i64(0));
  return b_.CreateUDiv(first, i64(-bound.stride));
}

// The step up to which a comparison holds, or 0 if that is less.
llvm::Value* KernelEmitter::end_within(const IndexBound& bound, llvm::Value* offset) {
  llvm::Value* end = b_.CreateSub(i64(bound.stride - 1), offset);
  end = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, end, i64(0));
  return b_.CreateUDiv(end, i64(bound.stride));
}

// Steps at which guards that change along them are known to hold, if there are such guards, and the
// steps around these.
void KernelEmitter::loop_free_of_guards(const Stage& stage, const Lanes& lanes, llvm::Value* begin,
                                        llvm::Value* end, const Body& step) {
  std::vector<Id> known, loads;
  llvm::Value *first = begin, *last = end, *all_hold = nullptr;
  bool changes = false;
  for (Id id : scalar::reachable(kernel_.arena, stage.fold->elements)) {
    if (kernel_.arena[id].primitive != Primitive::load_if) continue;
    for (Id part : conjuncts(kernel_.arena, kernel_.arena.operand(id, 0))) {
      const bool is_bound = schedule_.step_bounds.contains(part.index);
      const bool is_fixed =
          !schedule_.varies[part.index] && schedule_.levels[part.index] < Level::stage;
      if ((is_bound || is_fixed) && std::find(known.begin(), known.end(), part) == known.end())
        known.push_back(part);
      changes = changes || is_bound;
    }
  }
  if (!changes || lanes.width == 1) return loop_in_turns(stage, lanes, begin, end, step);
  for (Id part : known) {
    auto bound = schedule_.step_bounds.find(part.index);
    const Id decides = bound == schedule_.step_bounds.end() ? part : bound->second.offset;
    const int rows = schedule_.varies_by_row[part.index] ? rows_ : 1;
    for (int row = 0; row < rows; ++row) {
      if (repeats_row(decides, row)) continue;
      llvm::Value* at = scalar_index(decides, lanes, row);
      if (bound == schedule_.step_bounds.end()) {
        all_hold = all_hold ? b_.CreateAnd(all_hold, at) : at;
      } else if (bound->second.stride < 0) {
        first =
            b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, first_within(bound->second, at));
      } else {
        last = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, end_within(bound->second, at));
      }
    }
  }
  first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, first, end);
  if (all_hold) first = b_.CreateSelect(all_hold, first, end);
  last = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, last, first);
  // Twice the same two loops, so that their code is there once.
  loop(i64(0), i64(2), 1, [&](llvm::Value* pass) {
    llvm::Value* is_first = b_.CreateICmpEQ(pass, i64(0));
    llvm::Value* free_from = b_.CreateSelect(is_first, first, end);
    loop(b_.CreateSelect(is_first, begin, last), free_from, 1, step);
    std::unordered_map<std::uint32_t, Values> asked;
    for (Id part : known) {
      if (auto found = values_.find(part.index); found != values_.end())
        asked.insert(values_.extract(found));
      const int rows = schedule_.varies_by_row[part.index] ? rows_ : 1;
      values_[part.index] = Values(static_cast<std::size_t>(rows), b_.getTrue());
    }
    loop_in_turns(stage, lanes, free_from, b_.CreateSelect(is_first, last, end), step);
    for (Id part : known) values_.erase(part.index);
    values_.merge(asked);
  });
}

}  // namespace weir
