#include "compiler/lowering/order_state.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/choose_panel.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/kernel_cost.h"
#include "compiler/lowering/prepare_kernels.h"

namespace weir {
namespace {

using Order = std::vector<std::uint32_t>;

// What transposing an element costs, in units of KernelCost for whole kernels.
constexpr double kCopyCost = 0.6;
// What another order has to be better by.
constexpr double kMargin = 1.01;
// Fewer rows of columns, or fewer bytes than the second cache has, stay in the caches however they
// lie.
constexpr std::int64_t kLeastRows = 64;
std::int64_t least_bytes(const Core& core) { return core.second.bytes; }
// With vectors of more registers a tile has more columns, which take whole lines.
constexpr int kFewVectors = 2;

// Updates that one kernel makes at the same places, which have one order.
struct Family {
  std::vector<StateUpdate> updates;
  TensorType type;

  bool has(ValueId value) const {
    return std::any_of(updates.begin(), updates.end(), [&](const StateUpdate& update) {
      return update.param == value || update.next == value;
    });
  }
};

std::vector<Family> families_of(const std::vector<const BuiltKernel*>& kernels,
                                const std::vector<StateUpdate>& updates) {
  std::vector<Family> families;
  for (const BuiltKernel* built : kernels) {
    std::vector<std::pair<std::vector<scalar::Id>, std::size_t>> here;  // places, and the family
    for (const Stage& stage : built->kernel.stages) {
      for (const Store& store : stage.stores) {
        auto update = std::find_if(updates.begin(), updates.end(), [&](const StateUpdate& one) {
          return one.next == built->values[store.parameter];
        });
        if (update == updates.end()) continue;
        const TensorType& type = built->kernel.parameters[store.parameter].type;
        auto found = std::find_if(here.begin(), here.end(), [&](const auto& known) {
          return known.first == store.indices && families[known.second].type == type;
        });
        if (found == here.end()) {
          found = here.insert(here.end(), {store.indices, families.size()});
          families.push_back({{}, type});
        }
        families[found->second].updates.push_back(*update);
      }
    }
  }
  return families;
}

class Chooser {
 public:
  Chooser(const std::vector<const BuiltKernel*>& kernels, const Layouts& layouts,
          const std::function<bool(ValueId)>& is_weight, const Processor& processor)
      : kernels_(kernels), layouts_(layouts), is_weight_(is_weight), processor_(processor) {}

  MemoryLayout best(const Family& family) const {
    MemoryLayout layout{best_order(family)};
    Order order = layout.order;
    if (order.empty()) order = declared_order(family);
    layout.panel = best_panel(family, order);
    if (layout.panel != 0) layout.order = std::move(order);
    return layout;
  }

 private:
  static Order declared_order(const Family& family) {
    Order declared(family.type.shape.size());
    std::iota(declared.begin(), declared.end(), 0);
    return declared;
  }

  // Empty if the declared order is best.
  Order best_order(const Family& family) const {
    auto counts = [](const Dim& dim) { return dim != Dim(1); };
    if (std::count_if(family.type.shape.begin(), family.type.shape.end(), counts) < 2) return {};
    const Order declared = declared_order(family);
    Order best;
    double least = cost_with(family, declared) / kMargin;
    for (std::size_t last = 0; last + 1 < declared.size(); ++last) {
      if (!counts(family.type.shape[last])) continue;
      Order order = declared;
      auto moved = order.begin() + static_cast<std::ptrdiff_t>(last);
      std::rotate(moved, moved + 1, order.end());
      double cost = cost_with(family, order);
      if (cost >= least) continue;
      least = cost;
      best = std::move(order);
    }
    return best;
  }

  // The columns of a register tile, if all kernels run along the last dimension of that order in
  // vectors, and the rows of columns lie far apart.
  std::int64_t best_panel(const Family& family, const Order& order) const {
    const VectorRegisters& vectors = processor_.vectors;
    if (vectors.bytes == 0 || tile_vectors(vectors) > kFewVectors || order.empty()) return 0;
    const std::int64_t panel = tile_vectors(vectors) * vectors.lanes(family.type.dtype);
    const std::int64_t elements = element_count(family.type.shape).value(),
                       columns = family.type.shape[order.back()].value();
    if (columns <= panel || columns % panel != 0 || elements < kLeastRows * columns ||
        elements * byte_size(family.type.dtype) < least_bytes(processor_.core))
      return 0;
    const Layouts layouts = layouts_with(family, order);
    for (const BuiltKernel* built : kernels_) {
      if (!reads_or_writes(*built, family)) continue;
      for (const PreparedKernel& prepared :
           prepare_kernels(*built, layouts, is_weight_, processor_).kernels) {
        for (const PackedCopy& copy : prepared.copies)
          if (family.has(copy.source)) return 0;
        for (std::uint32_t i = 0; i < prepared.built.values.size(); ++i)
          if (family.has(prepared.built.values[i]) &&
              !runs_along_panels(prepared.built.kernel, i, panel))
            return 0;
      }
    }
    return panel;
  }

  static bool reads_or_writes(const BuiltKernel& built, const Family& family) {
    return std::any_of(built.values.begin(), built.values.end(),
                       [&](ValueId value) { return family.has(value); });
  }

  Layouts layouts_with(const Family& family, const Order& order) const {
    Layouts layouts = layouts_;
    if (!std::is_sorted(order.begin(), order.end()))
      for (const StateUpdate& update : family.updates)
        layouts[update.param] = layouts[update.next] = MemoryLayout{order};
    return layouts;
  }

  // What the kernels cost that read or write the family, and the copies that are made for them.
  double cost_with(const Family& family, const Order& order) const {
    const Layouts layouts = layouts_with(family, order);
    double cost = 0;
    std::set<std::tuple<ValueId, Order, std::int64_t>> copied;
    std::size_t turned = 0;
    for (const BuiltKernel* built : kernels_) {
      if (!reads_or_writes(*built, family)) continue;
      // A copy has its cost below.
      KernelCost kernel(
          built->kernel,
          [&](std::uint32_t parameter) {
            return is_weight_(built->values[parameter]) || family.has(built->values[parameter]);
          },
          processor_.vectors);
      for (std::uint32_t i = 0; i < built->values.size(); ++i)
        if (auto layout = layouts.find(built->values[i]); layout != layouts.end())
          kernel.set_order(i, layout->second.order);
      cost += kernel.whole();
      for (const PreparedKernel& prepared :
           prepare_kernels(*built, layouts, is_weight_, processor_).kernels) {
        for (const PackedCopy& copy : prepared.copies)
          if (family.has(copy.source)) copied.emplace(copy.source, copy.order, copy.panel);
        turned += loads_turned(prepared.built, family);
      }
    }
    const auto elements = static_cast<double>(element_count(family.type.shape).value());
    return cost + static_cast<double>(copied.size() + turned) * elements * kCopyCost;
  }

  // How often a kernel turns some of the family itself, block by block.
  std::size_t loads_turned(const BuiltKernel& built, const Family& family) const {
    std::size_t count = 0;
    for (scalar::Id id : scalar::reachable(built.kernel.arena, roots_of(built.kernel))) {
      const scalar::Node& node = built.kernel.arena[id];
      if (scalar::is_load(node.primitive) && family.has(built.values[node.payload]) &&
          turns_in_panel(built.kernel, id, processor_))
        ++count;
    }
    return count;
  }

  const std::vector<const BuiltKernel*>& kernels_;
  const Layouts& layouts_;
  const std::function<bool(ValueId)>& is_weight_;
  Processor processor_;
};

}  // namespace

Layouts order_state(const std::vector<const BuiltKernel*>& kernels,
                    const std::vector<StateUpdate>& updates, const Layouts& layouts,
                    const std::function<bool(ValueId)>& is_weight, const Processor& processor) {
  Layouts orders;
  Chooser chooser(kernels, layouts, is_weight, processor);
  for (const Family& family : families_of(kernels, updates)) {
    const MemoryLayout layout = chooser.best(family);
    if (layout.order.empty()) continue;
    for (const StateUpdate& update : family.updates)
      orders[update.param] = orders[update.next] = layout;
  }
  return orders;
}

}  // namespace weir
