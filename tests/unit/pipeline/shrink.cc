// Shrinking: every step builds a smaller program, and is kept if that one still fails. Steps are
// tried until none is kept: one output alone, an output less, a result that becomes an input with
// the value it had, symbols as numbers, a dimension smaller everywhere.
#include <algorithm>
#include <set>

#include "ir/op.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

using DimMap = std::function<Dim(const Dim&)>;

// A tensor of other sizes: elements at the same indices where there are some, and else from within.
Tensor resized(const Tensor& from, const Tensor::Sizes& sizes) {
  Tensor result(from.dtype(), sizes);
  for (std::int64_t i = 0; i < result.element_count(); ++i) {
    std::int64_t rest = i, stride = 1, position = 0;
    for (std::size_t d = sizes.size(); d-- > 0;) {
      std::int64_t size = from.sizes()[d];
      if (size == 0) return result;
      position += (rest % sizes[d]) % size * stride;
      rest /= sizes[d];
      stride *= size;
    }
    result.set_bits(i, from.bits(position));
  }
  return result;
}

// Builds the part of a program that the kept outputs need, with some results as inputs and with
// other dimensions.
class Rebuilder {
 public:
  explicit Rebuilder(const Program& program) : from_(program), map_(program.graph.value_count()) {}

  std::vector<std::size_t> outputs;  // numbers of those kept
  std::map<ValueId, Tensor> cut;     // results that become inputs
  DimMap dim = [](const Dim& d) { return d; };

  Program run() {
    std::vector<bool> needed(from_.graph.value_count());
    for (std::size_t i : outputs) needed[from_.graph.outputs()[i].value.index] = true;
    std::span<const Node> nodes = from_.graph.nodes();
    for (std::size_t i = nodes.size(); i-- > 0;) {
      bool used = std::any_of(nodes[i].results.begin(), nodes[i].results.end(),
                              [&](ValueId id) { return needed[id.index] && !cut.contains(id); });
      if (used)
        for (ValueId operand : nodes[i].operands) needed[operand.index] = true;
    }
    for (ValueId id : from_.graph.inputs())
      if (needed[id.index]) add_source(id, from_.inputs.find(from_.graph.value(id).name)->second);
    for (ValueId id : from_.graph.params())
      if (needed[id.index]) add_source(id, from_.weights.find(from_.graph.value(id).name)->second);
    for (const Node& node : nodes) {
      bool any = false;
      for (ValueId id : node.results) {
        if (!needed[id.index]) continue;
        if (auto found = cut.find(id); found != cut.end()) {
          add_source(id, found->second);
        } else {
          any = true;
        }
      }
      if (any) add_node(node);
    }
    for (std::size_t i : outputs)
      result_.graph.add_output(map_[from_.graph.outputs()[i].value.index],
                               from_.graph.outputs()[i].name);
    keep_symbols();
    // Sizes that no longer fit each other are found here.
    bind_symbols(result_.graph, result_.inputs, result_.weights);
    return std::move(result_);
  }

 private:
  Shape mapped(const Shape& shape) const {
    Shape result;
    for (const Dim& d : shape) result.push_back(dim(d));
    return result;
  }

  void add_source(ValueId id, const Tensor& value) {
    const Value& info = from_.graph.value(id);
    TensorType type{info.type.dtype, mapped(info.type.shape)};
    Tensor::Sizes sizes = value.sizes();
    for (std::size_t d = 0; d < sizes.size(); ++d)
      if (type.shape[d].is_constant()) sizes[d] = type.shape[d].value();
    std::string name = info.name.empty() ? "c" + std::to_string(id.index) : info.name;
    Tensor given = sizes == value.sizes() ? value : resized(value, sizes);
    if (info.kind == Value::Kind::param) {
      map_[id.index] = result_.graph.add_param(name, type);
      result_.weights.emplace(name, std::move(given));
    } else {
      map_[id.index] = result_.graph.add_input(name, type);
      result_.inputs.emplace(name, std::move(given));
    }
  }

  // An input for each symbol that is no dimension by itself any more.
  void keep_symbols() {
    std::set<std::string> alone;
    for (ValueId id : result_.graph.inputs())
      for (const Dim& d : result_.graph.type(id).shape)
        if (auto symbol = d.as_symbol()) alone.insert(*symbol);
    std::vector<std::string> used;
    for (std::uint32_t i = 0; i < result_.graph.value_count(); ++i)
      for (const Dim& d : result_.graph.type(ValueId{i}).shape) d.collect_symbols(used);
    for (const Node& node : result_.graph.nodes())
      for (const auto& [name, value] : node.attributes)
        if (const Shape* dims = std::get_if<Shape>(&value))
          for (const Dim& d : *dims) d.collect_symbols(used);
    Dim::Bindings bindings = bind_symbols(from_.graph, from_.inputs, from_.weights);
    for (const std::string& symbol : used) {
      if (alone.contains(symbol)) continue;
      std::string name = "size_" + symbol;
      result_.graph.add_input(name, {DType::boolean, {Dim::symbol(symbol)}});
      result_.inputs.emplace(name, Tensor(DType::boolean, {bindings.at(symbol)}));
    }
  }

  void add_node(const Node& node) {
    std::vector<ValueId> operands;
    for (ValueId operand : node.operands) operands.push_back(map_[operand.index]);
    Attributes attributes;
    for (const auto& [name, value] : node.attributes)
      attributes.set(name, kind(value) == AttributeKind::dims
                               ? Attribute(mapped(std::get<Shape>(value)))
                               : value);
    NodeId made = result_.graph.add_node(*node.op, std::move(operands), std::move(attributes));
    for (std::size_t i = 0; i < node.results.size(); ++i)
      map_[node.results[i].index] = result_.graph.node(made).results[i];
  }

  const Program& from_;
  std::vector<ValueId> map_;
  Program result_{Graph("shrunk"), {}, {}};
};

class Shrinker {
 public:
  Shrinker(Program program, const std::function<bool(const Program&)>& fails)
      : program_(std::move(program)), fails_(fails) {}

  Program run() {
    while (step()) {
    }
    return std::move(program_);
  }

 private:
  bool keep(const std::function<void(Rebuilder&)>& change) {
    Rebuilder rebuilder(program_);
    for (std::size_t i = 0; i < program_.graph.outputs().size(); ++i)
      rebuilder.outputs.push_back(i);
    change(rebuilder);
    try {
      Program smaller = rebuilder.run();
      if (++tries_ > 400 || !fails_(smaller)) return false;
      program_ = std::move(smaller);
      return true;
    } catch (const Error&) {  // does not fit together any more
      return false;
    }
  }

  bool step() { return drop_outputs() || cut_results() || bind_all() || reduce_dims(); }

  bool drop_outputs() {
    std::size_t count = program_.graph.outputs().size();
    if (count < 2) return false;
    for (std::size_t i = 0; i < count; ++i)
      if (keep([&](Rebuilder& r) { r.outputs = {i}; })) return true;
    for (std::size_t i = 0; i < count; ++i)
      if (keep([&](Rebuilder& r) {
            r.outputs.erase(r.outputs.begin() + static_cast<std::ptrdiff_t>(i));
          }))
        return true;
    return false;
  }

  // Results become inputs with the values that the interpreter gives, the latest first.
  bool cut_results() {
    std::vector<ValueId> results;
    Program all = program_;
    for (const Node& node : program_.graph.nodes())
      for (ValueId id : node.results) {
        results.push_back(id);
        all.graph.add_output(id, "all" + std::to_string(id.index));
      }
    std::vector<Tensor> values = interpret_expanded(all, true);
    std::size_t first = program_.graph.outputs().size();
    for (std::size_t i = results.size(); i-- > 0;)
      if (keep([&](Rebuilder& r) { r.cut.emplace(results[i], values[first + i]); })) return true;
    return false;
  }

  bool bind_all() {
    if (program_.graph.symbols().empty()) return false;
    Dim::Bindings bindings = bind_symbols(program_.graph, program_.inputs, program_.weights);
    return keep([&](Rebuilder& r) {
      r.dim = [bindings](const Dim& d) { return Dim(d.evaluate(bindings).value()); };
    });
  }

  bool reduce_dims() {
    std::set<std::int64_t, std::greater<>> sizes;
    for (std::uint32_t i = 0; i < program_.graph.value_count(); ++i)
      for (const Dim& d : program_.graph.type(ValueId{i}).shape)
        if (auto constant = d.constant(); constant && *constant > 1) sizes.insert(*constant);
    for (std::int64_t size : sizes)
      for (std::int64_t smaller : {std::int64_t{1}, size / 2, size - size / 4, size - 1})
        if (smaller < size && smaller > 0 && keep([&](Rebuilder& r) {
              r.dim = [size, smaller](const Dim& d) { return d == Dim(size) ? Dim(smaller) : d; };
            }))
          return true;
    return false;
  }

  Program program_;
  const std::function<bool(const Program&)>& fails_;
  int tries_ = 0;
};

}  // namespace

Program shrink(Program program, const std::function<bool(const Program&)>& fails) {
  return Shrinker(std::move(program), fails).run();
}

}  // namespace weir::test
