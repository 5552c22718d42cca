#include "compiler/lowering/layouts.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/frame_windows.h"
#include "compiler/lowering/kernel_cost.h"
#include "compiler/lowering/split_groups.h"
#include "compiler/lowering/split_residues.h"

namespace weir {
namespace {

using Order = std::vector<std::uint32_t>;

// What another order of one value has to be better by for the kernels around it, and another state
// of all values for all kernels, of which most may cost the same.
constexpr double kOrderMargin = 1.05;
constexpr double kStateMargin = 1.002;
// Times that all values are looked at.
constexpr int kSweeps = 3;

bool has_window(const Kernel& kernel) {
  return std::any_of(kernel.stages.begin(), kernel.stages.end(),
                     [](const Stage& stage) { return !stage.digits.empty(); });
}

Order as_declared(std::size_t rank) {
  Order order(rank);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Order with_last(std::size_t rank, std::uint32_t dimension) {
  Order order = as_declared(rank);
  std::rotate(order.begin() + dimension, order.begin() + dimension + 1, order.end());
  return order;
}

class Chooser {
 public:
  Chooser(const std::vector<const BuiltKernel*>& kernels,
          const std::function<bool(ValueId)>& is_free,
          const std::function<bool(ValueId)>& is_weight,
          const std::unordered_map<ValueId, ValueId>& again, const VectorRegisters& vectors) {
    kernels_.reserve(kernels.size());
    for (const BuiltKernel* built : kernels) {
      auto number = static_cast<std::uint32_t>(costs_.size());
      // As it will be when its axes are chosen.
      Kernel& kernel = kernels_.emplace_back(built->kernel);
      const std::vector<FramedWindow> framed = frame_windows(
          kernel, [&](std::uint32_t parameter) { return !is_weight(built->values[parameter]); });
      split_groups(kernel);
      split_residues(kernel);
      costs_.emplace_back(
          kernel,
          [&](std::uint32_t parameter) {
            return parameter >= built->values.size() || is_weight(built->values[parameter]);
          },
          vectors);
      for (std::uint32_t i = 0; i < built->values.size(); ++i) {
        ValueId value = built->values[i];
        const Shape& shape = built->kernel.parameters[i].type.shape;
        auto counts = [](const Dim& dim) { return dim != Dim(1); };
        if (std::count_if(shape.begin(), shape.end(), counts) < 2 || shape.size() < 3 ||
            !is_free(value))
          continue;
        const auto first = again.find(value);
        const bool is_again = first != again.end() && is_free(first->second);
        auto [found, inserted] =
            number_of_.try_emplace(is_again ? first->second : value, values_.size());
        if (inserted) values_.push_back({{}, shape, {}});
        FreeValue& free = values_[found->second];
        if (std::ranges::find(free.values, value) == free.values.end())
          free.values.push_back(value);
        free.uses.push_back({number, i});
        for (const FramedWindow& window : framed)
          if (window.source == i) free.uses.push_back({number, window.parameter});
      }
    }
  }

  Layouts run() {
    std::vector<Order> declared, channels, preferred;
    for (const FreeValue& value : values_) {
      std::size_t rank = value.shape.size();
      bool moves = value.shape[1].is_constant() && value.shape[1] != Dim(1);
      declared.push_back(as_declared(rank));
      channels.push_back(moves ? with_last(rank, 1) : declared.back());
    }
    std::vector<double> of_declared = costs_with(declared), of_channels = costs_with(channels);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      double gain = 0;
      for (const Use& use : values_[i].uses)
        gain += of_declared[use.kernel] - of_channels[use.kernel];
      preferred.push_back(gain > 0 ? channels[i] : declared[i]);
    }
    Choice best = descend(std::move(declared));
    for (std::vector<Order>* start : {&channels, &preferred}) {
      Choice choice = descend(std::move(*start));
      if (choice.cost * kStateMargin < best.cost) best = std::move(choice);
    }
    Layouts layouts;
    for (std::size_t i = 0; i < values_.size(); ++i)
      if (!std::is_sorted(best.orders[i].begin(), best.orders[i].end()))
        for (ValueId value : values_[i].values)
          layouts.emplace(value, MemoryLayout{best.orders[i]});
    return layouts;
  }

 private:
  struct Use {
    std::uint32_t kernel, parameter;
  };
  struct FreeValue {
    std::vector<ValueId> values;  // one, and what is that again
    Shape shape;
    std::vector<Use> uses;
  };
  struct Choice {
    std::vector<Order> orders;
    double cost = 0;
  };

  void set(const FreeValue& value, const Order& order) {
    for (const Use& use : value.uses) costs_[use.kernel].set_order(use.parameter, order);
  }

  // What the kernels cost that have to do with a value.
  double around(const FreeValue& value) const {
    double cost = 0;
    for (std::size_t i = 0; i < value.uses.size(); ++i)
      if (i == 0 || value.uses[i].kernel != value.uses[i - 1].kernel)
        cost += costs_[value.uses[i].kernel].whole();
    return cost;
  }

  // What each kernel costs.
  std::vector<double> costs_with(const std::vector<Order>& orders) {
    for (std::size_t i = 0; i < values_.size(); ++i) set(values_[i], orders[i]);
    std::vector<double> costs;
    for (const KernelCost& cost : costs_) costs.push_back(cost.whole());
    return costs;
  }

  Choice descend(std::vector<Order> start) {
    Choice choice{std::move(start), 0};
    for (std::size_t i = 0; i < values_.size(); ++i) set(values_[i], choice.orders[i]);
    bool changed = true;
    for (int sweep = 0; sweep < kSweeps && changed; ++sweep) {
      changed = false;
      for (std::size_t i = 0; i < values_.size(); ++i)
        changed = improve(values_[i], choice.orders[i]) || changed;
    }
    for (const KernelCost& cost : costs_) choice.cost += cost.whole();
    return choice;
  }

  bool improve(const FreeValue& value, Order& order) {
    double least = around(value) / kOrderMargin;
    std::optional<Order> best;
    // From the order that is declared on, which is as good as others that cost the same.
    for (std::size_t rank = value.shape.size(), last = rank; last-- > 0;) {
      // A symbol, such as a batch, may be 1 when the program is called.
      const bool is_declared = last + 1 == rank;
      if (value.shape[last] == Dim(1) || (!is_declared && !value.shape[last].is_constant()))
        continue;
      Order other = with_last(rank, static_cast<std::uint32_t>(last));
      if (other == order) continue;
      set(value, other);
      const double cost = around(value);
      if (cost >= least) continue;
      least = cost;
      best = std::move(other);
    }
    if (best) order = *std::move(best);
    set(value, order);
    return best.has_value();
  }

  std::vector<Kernel> kernels_;
  std::vector<KernelCost> costs_;  // of these
  std::vector<FreeValue> values_;
  std::unordered_map<ValueId, std::size_t> number_of_;
};

}  // namespace

Layouts choose_layouts(const std::vector<const BuiltKernel*>& kernels,
                       const std::function<bool(ValueId)>& is_free,
                       const std::function<bool(ValueId)>& is_weight,
                       const std::unordered_map<ValueId, ValueId>& again,
                       const VectorRegisters& vectors) {
  bool windows = std::any_of(kernels.begin(), kernels.end(),
                             [](const BuiltKernel* built) { return has_window(built->kernel); });
  return windows ? Chooser(kernels, is_free, is_weight, again, vectors).run() : Layouts();
}

TensorType type_in_order(const TensorType& type, ValueId value, const Layouts& layouts) {
  auto found = layouts.find(value);
  if (found == layouts.end()) return type;
  TensorType result{type.dtype, {}};
  for (std::uint32_t dimension : found->second.order) result.shape.push_back(type.shape[dimension]);
  return result;
}

TensorType type_in_memory(const TensorType& type, ValueId value, const Layouts& layouts) {
  auto found = layouts.find(value);
  return in_panels(type_in_order(type, value, layouts),
                   found == layouts.end() ? 0 : found->second.panel);
}

bool apply_layouts(BuiltKernel& built, const Layouts& layouts) {
  std::vector<Order> orders(built.values.size());
  bool any = false;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    auto found = layouts.find(built.values[i]);
    if (found == layouts.end()) continue;
    orders[i] = found->second.order;
    any = true;
  }
  if (any) reorder_dimensions(built.kernel, orders);
  return any;
}

}  // namespace weir
