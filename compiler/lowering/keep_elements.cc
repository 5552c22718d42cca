#include "compiler/lowering/keep_elements.h"

#include <algorithm>

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;

// What computing an element again has to cost more than, for a store and two loads to pay.
constexpr int kKeptCost = 12;

class Keeper {
 public:
  explicit Keeper(Kernel& kernel) : kernel_(kernel) {}

  void run() {
    // A stage more in front leaves those behind it to be looked at under their new numbers.
    for (std::size_t map = 1; map < stages().size(); ++map) {
      if (stages()[map].fold || !stages()[map].axis) continue;
      for (std::size_t store = 0; store < stages()[map].stores.size(); ++store)
        if (keep_for(map, store)) ++map;
    }
  }

 private:
  std::vector<Stage>& stages() { return kernel_.stages; }

  // By arena id: whether a node of what the roots need varies along an axis.
  std::vector<bool> varies_along(std::uint32_t axis, std::span<const Id> roots) const {
    const Arena& arena = kernel_.arena;
    std::vector<bool> varies(arena.size());
    for (Id id : scalar::reachable(arena, roots)) {
      bool is_axis = arena[id].primitive == scalar::Primitive::axis && arena[id].payload == axis;
      auto operand_varies = [&](Id operand) { return varies[operand.index]; };
      std::span<const Id> operands = arena.operands(id);
      varies[id.index] = is_axis || std::any_of(operands.begin(), operands.end(), operand_varies);
    }
    return varies;
  }

  // What is computed for the roots at each point, if `kept` need not be.
  int cost_of(const std::vector<Id>& roots, const std::vector<bool>& varies, Id kept = {}) const {
    std::vector<bool> seen(kernel_.arena.size());
    std::vector<Id> open = roots;
    int cost = 0;
    while (!open.empty()) {
      Id id = open.back();
      open.pop_back();
      if (seen[id.index] || !varies[id.index] || id == kept) continue;
      seen[id.index] = true;
      cost += scalar::info(kernel_.arena[id].primitive).cost;
      for (Id operand : kernel_.arena.operands(id)) open.push_back(operand);
    }
    return cost;
  }

  // Whether the only thing that the kernel does with a parameter is one store.
  bool is_stored_once(std::uint32_t parameter) const {
    std::ptrdiff_t stores = 0;
    for (const Stage& stage : kernel_.stages)
      for (const Store& store : stage.stores) stores += store.parameter == parameter ? 1 : 0;
    if (stores != 1) return false;
    for (Id id : scalar::reachable(kernel_.arena, roots_of(kernel_))) {
      const scalar::Node& node = kernel_.arena[id];
      if (scalar::is_load(node.primitive) && node.payload == parameter) return false;
    }
    return true;
  }

  // The element that a fold shares with what is stored and that saves most; none if it is not worth
  // keeping.
  Id shared_element(const Fold& fold, const Store& store, std::uint32_t axis) const {
    const Arena& arena = kernel_.arena;
    const DType type = kernel_.parameters[store.parameter].type.dtype;
    std::vector<Id> roots = fold.elements;
    roots.push_back(store.value);
    const std::vector<bool> varies = varies_along(axis, roots);
    std::vector<bool> in_fold(arena.size());
    for (Id id : scalar::reachable(arena, fold.elements)) in_fold[id.index] = true;
    Id best;
    int least = cost_of(roots, varies) - kKeptCost;
    for (Id id : scalar::reachable(arena, std::span(&store.value, 1))) {
      if (!in_fold[id.index] || !varies[id.index] || arena[id].type != type) continue;
      int cost = cost_of(roots, varies, id);
      if (cost >= least) continue;
      least = cost;
      best = id;
    }
    return best;
  }

  // Whether other functions work on the chunks of a fold, of this stage or one behind it. These run
  // all folds in front of it, but no maps.
  bool is_parted_from(std::size_t first) const {
    for (std::size_t i = first; i < kernel_.stages.size(); ++i)
      if (kernel_.stages[i].fold && !kernel_.stages[i].fold->partials.empty()) return true;
    return false;
  }

  bool keep_for(std::size_t map, std::size_t number) {
    const Stage& last = stages()[map];
    const Store store = last.stores[number];
    const std::uint32_t axis = *last.axis;
    for (std::size_t i = 0; i < map; ++i) {
      const Stage& stage = stages()[i];
      if (!stage.fold || stage.axis != axis || !stage.digits.empty() || is_parted_from(i)) continue;
      Id element = shared_element(*stage.fold, store, axis);
      if (!element.valid()) continue;
      if (!is_stored_once(store.parameter)) return false;
      keep(element, store, i, map);
      return true;
    }
    return false;
  }

  // In the stages from `first` to `last`.
  void keep(Id element, const Store& store, std::size_t first, std::size_t last) {
    Arena into = kernel_.arena;
    const KernelParameter& parameter = kernel_.parameters[store.parameter];
    Id kept = into.load(store.parameter, parameter.type.dtype, store.indices);
    kernel_.locations.resize(into.size());
    kernel_.locations[kept.index] = kernel_.locations[element.index];
    std::vector<Id> memo(kernel_.arena.size());
    memo[element.index] = kept;
    auto replace = [&](Id& root) {
      root = scalar::rebuild(kernel_.arena, root, into, memo, [](Id) { return Id{}; });
    };
    for (std::size_t i = first; i <= last; ++i) {
      if (stages()[i].fold)
        for (Id& id : stages()[i].fold->elements) replace(id);
      for (Store& own : stages()[i].stores) replace(own.value);
    }
    for (std::size_t i = 0; i < memo.size(); ++i) {
      if (!memo[i].valid()) continue;
      kernel_.locations.resize(into.size());
      if (!kernel_.locations[memo[i].index].known())
        kernel_.locations[memo[i].index] = kernel_.locations[i];
    }
    kernel_.arena = std::move(into);
    Stage front;
    front.axis = stages()[last].axis;
    front.stores.push_back({store.parameter, store.indices, element});
    stages().insert(stages().begin() + static_cast<std::ptrdiff_t>(first), std::move(front));
  }

  Kernel& kernel_;
};

}  // namespace

void keep_elements(Kernel& kernel) { Keeper(kernel).run(); }

}  // namespace weir
