#include "compiler/autodiff/training_form.h"

#include "compiler/passes/graph_rewriter.h"
#include "ir/op.h"

namespace weir {
namespace {

class Builder : public TrainingForm {
 public:
  explicit Builder(const Graph& graph)
      : graph_(graph),
        builder_(std::move(GraphRewriter(graph).target())),
        map_(graph.value_count()) {
    // A graph begins with its inputs and params, under their names.
    for (auto values : {graph.inputs(), graph.params()})
      for (ValueId id : values) map_[id.index] = builder_.graph().find(graph.value(id).name);
  }

  TrainedModel run() {
    for (const Node& node : graph_.nodes())
      if (!replace(node)) copy(node);
    for (const Graph::Output& output : graph_.outputs())
      builder_.graph().add_output_like(
          output, map_[output.value.index],
          output.updates.valid() ? map_[output.updates.index] : ValueId{});
    builder_.pin_location(std::nullopt);
    if (counter_.valid())
      update(counter_, builder_.apply("add", {counter_, builder_.scalar(DType::i64, 1)}, {},
                                      builder_.graph().value(counter_.id()).location));
    for (const auto& [param, value] : updates_) add_update(param, value);
    for (ValueId id : builder_.graph().params())
      if (builder_.graph().is_updated(id)) result_.updated.insert(builder_.graph().value(id).name);
    result_.graph = std::move(builder_.graph());
    return std::move(result_);
  }

  Var counter() override {
    if (!counter_.valid()) {
      counter_ = {builder_, builder_.graph().add_param(kRandomCounter, {DType::i64, {}},
                                                       builder_.pinned_location().value())};
      result_.initial.emplace(kRandomCounter, first_random_counter(0));
    }
    return counter_;
  }

  std::int64_t next_site() override { return sites_++; }

  bool is_param(Var value) const override {
    return builder_.graph().value(value.id()).kind == Value::Kind::param;
  }

  void update(Var param, Var value) override { updates_.emplace_back(param, value); }

 private:
  std::vector<ValueId> mapped(std::span<const ValueId> values) const {
    std::vector<ValueId> result;
    for (ValueId value : values) result.push_back(map_[value.index]);
    return result;
  }

  void copy(const Node& node) {
    std::vector<std::string> names;
    for (ValueId result : node.results) names.push_back(graph_.value(result).name);
    NodeId id = builder_.graph().add_node(*node.op, mapped(node.operands), node.attributes,
                                          node.location, names);
    for (std::size_t i = 0; i < node.results.size(); ++i)
      map_[node.results[i].index] = builder_.graph().node(id).results[i];
  }

  bool replace(const Node& node) {
    if (!node.op->in_training) return false;
    builder_.pin_location(node.location);
    std::vector<Var> operands;
    for (ValueId value : mapped(node.operands)) operands.emplace_back(builder_, value);
    std::vector<Var> results = node.op->in_training(*this, operands, node.attributes);
    if (results.empty()) return false;
    WEIR_CHECK(results.size() == node.results.size(), node.op->name);
    for (std::size_t i = 0; i < results.size(); ++i) {
      map_[node.results[i].index] = results[i].id();
      builder_.graph().name_result(results[i].id(), graph_.value(node.results[i]).name);
    }
    return true;
  }

  // The output is called as the param is, unless that name is taken.
  void add_update(Var param, Var value) {
    std::string name = builder_.graph().value(param.id()).name;
    for (const Graph::Output& output : builder_.graph().outputs())
      if (output.name == name) name += ".next";
    builder_.graph().add_update(param.id(), value.id(), name);
  }

  const Graph& graph_;
  GraphBuilder builder_;
  std::vector<ValueId> map_;  // by value of the source
  Var counter_;
  std::int64_t sites_ = 0;
  std::vector<std::pair<Var, Var>> updates_;
  TrainedModel result_;
};

}  // namespace

Tensor first_random_counter(std::uint64_t seed) {
  // The finalizer of SplitMix64, for which 0 is a fixed point.
  seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
  seed = (seed ^ (seed >> 27)) * 0x94d049bb133111eb;
  seed ^= seed >> 31;
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(seed & 0xffffffff)}, {});
}

TrainedModel training_form(const Graph& graph) { return Builder(graph).run(); }

}  // namespace weir
