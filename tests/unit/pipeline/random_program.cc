// The generator. Nothing here knows an op by name, but what brings indices into range: operands
// come from the declared type sets, and attribute values from their kinds and the shapes at hand.
// What does not fit is what check_and_infer rejects, which costs little, so the generator simply
// tries until something fits.
#include "tests/unit/pipeline/random_program.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <map>
#include <stdexcept>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/support/graphs.h"

namespace weir::test {
namespace {

constexpr double kMaximumWork = 400'000;     // element operations of a program
constexpr double kMaximumElements = 40'000;  // of a value

using Families = std::vector<std::vector<const OpDef*>>;

// All ops by family, so that a family of many ops does not drown the others; gradient ops are one.
// Without recurrent layers, whose operands chance does not fit together.
const Families& families() {
  static const Families result = [] {
    std::map<std::string, std::vector<const OpDef*>> by_name;
    for (const auto& op : all_ops()) {
      if (op->family == "recurrent") continue;
      by_name[op->family].push_back(op.get());
      for (std::size_t i = 0; i < op->operands.size(); ++i)
        if (const OpDef* gradient = gradient_op(*op, i)) by_name["gradient"].push_back(gradient);
    }
    Families families;
    for (auto& [name, ops] : by_name) families.push_back(std::move(ops));
    return families;
  }();
  return result;
}

class ProgramGenerator {
 public:
  explicit ProgramGenerator(std::uint64_t seed) : seed_(seed), random_(seed), graph_("random") {}

  Program run() {
    choose_sizes();
    for (std::size_t count = 1 + below(3); count > 0; --count)
      add_source({random_dtype(), random_shape()});
    // What a program costs is the compiling of its nodes, and most faults need few of them.
    std::size_t nodes = 1 + below(chance(6) ? 14 : 5);
    for (std::size_t i = 0; i < nodes; ++i) add_node();
    if (seed_ % 8 == 5) add_row_sum();
    if (seed_ % 32 == 3) add_recurrent_layer();
    choose_outputs();
    Generator values(seed_);
    bool special = seed_ % 4 == 0;
    Inputs inputs = random_values(graph_, graph_.inputs(), values, special, bindings_);
    Weights weights = random_values(graph_, graph_.params(), values, special, bindings_);
    return {std::move(graph_), std::move(weights), std::move(inputs)};
  }

 private:
  // An operand that exists, or a new input or param of this type.
  using Choice = std::variant<ValueId, TensorType>;

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  bool chance(std::size_t of) { return below(of) == 0; }
  template <class Range>
  auto& one_of(Range& range) {
    return range[below(std::size(range))];
  }

  // --- Dimensions ---

  std::int64_t random_size() {
    static constexpr std::array<std::int64_t, 23> kSmall{
        1, 2, 3, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 20, 31, 32, 33, 48, 63, 64, 65, 69, 70};
    // Around vectors, unrolled vectors, and the chunks of reductions and contractions.
    static constexpr std::array<std::int64_t, 18> kLarge{127,  128,  130,  255,  256,  257,
                                                         511,  513,  700,  1023, 1024, 1025,
                                                         2049, 3000, 4095, 4097, 5000, 9001};
    if (chance(30)) return 0;
    return chance(8) ? one_of(kLarge) : one_of(kSmall);
  }

  // A program has few different sizes, so that shapes fit each other.
  void choose_sizes() {
    for (std::size_t count = 2 + below(3); count > 0; --count) palette_.emplace_back(random_size());
    for (const char* name : {"N", "M"}) {
      bindings_.emplace(name, random_size());
      if (chance(2)) palette_.push_back(Dim::symbol(name));
    }
    if (chance(6)) palette_.push_back(Dim::symbol("N") * Dim(2) + Dim(1));
    // A symbol is read from an input that has it as a dimension.
    std::vector<std::string> symbols;
    for (const Dim& dim : palette_) dim.collect_symbols(symbols);
    for (const std::string& symbol : symbols)
      graph_.add_input("size_" + symbol, {DType::boolean, {Dim::symbol(symbol)}});
    palette_.emplace_back(1);
  }

  Shape random_shape() {
    for (;;) {
      Shape shape;
      static constexpr std::array<std::size_t, 8> kRanks{0, 1, 1, 2, 2, 2, 3, 4};
      for (std::size_t rank = one_of(kRanks); rank > 0; --rank) shape.push_back(one_of(palette_));
      if (size_of(shape) <= kMaximumElements) return shape;
    }
  }

  double size_of(const Shape& shape) const {
    double product = 1;
    for (const Dim& dim : shape) {
      std::int64_t size = dim.evaluate(bindings_).value_or(INT64_MAX);
      // No shape at all: a window, or a slice, that the symbols' values are too small for.
      if (size < 0) return std::numeric_limits<double>::infinity();
      product *= static_cast<double>(size);
    }
    return product;
  }

  // --- Attributes ---

  Shape regrouped(Shape shape) {
    for (std::size_t steps = 1 + below(3); steps > 0; --steps) {
      std::size_t i = below(shape.size() + 1);
      auto at = shape.begin() + static_cast<std::ptrdiff_t>(i);
      switch (below(5)) {
        case 0:  // merge with the next
          if (i + 1 >= shape.size()) break;
          shape[i] = shape[i] * shape[i + 1];
          shape.erase(at + 1);
          break;
        case 1: {  // split
          if (i >= shape.size()) break;
          static constexpr std::array<std::int64_t, 5> kDivisors{2, 3, 4, 5, 8};
          Dim divisor = chance(4) ? one_of(palette_) : Dim(one_of(kDivisors));
          if (divisor == Dim(0)) break;
          std::optional<Dim> quotient = shape[i].divided_by(divisor);
          if (!quotient || shape[i] == Dim(0)) break;
          shape[i] = *quotient;
          shape.insert(at, divisor);
          break;
        }
        case 2:
          shape.insert(at, Dim(1));
          break;
        case 3:
          std::erase(shape, Dim(1));
          break;
        default:
          if (shape.size() > 1) std::swap(shape[0], shape[below(shape.size())]);
      }
    }
    return shape;
  }

  Shape random_dims(const Shape& shape) {
    switch (below(5)) {
      case 0:
        return random_shape();
      case 1:
        return regrouped(shape);
      case 2: {  // what the shape broadcasts to
        Shape wide = shape;
        for (Dim& dim : wide)
          if (dim == Dim(1)) dim = one_of(palette_);
        while (wide.size() < 4 && chance(2)) wide.insert(wide.begin(), one_of(palette_));
        return wide;
      }
      case 3: {  // places within the shape
        Shape places;
        for (const Dim& dim : shape) {
          std::size_t kind = below(3);
          bool inside = kind == 2 && dim.is_constant();
          places.push_back(inside      ? Dim(static_cast<std::int64_t>(
                                             below(static_cast<std::size_t>(dim.value()) + 1)))
                           : kind == 1 ? dim
                                       : Dim(0));
        }
        return places;
      }
      default: {
        Shape amounts;
        for (std::size_t i = 0; i < shape.size(); ++i)
          amounts.emplace_back(static_cast<std::int64_t>(below(4)));
        return amounts;
      }
    }
  }

  std::vector<std::int64_t> random_integers(std::size_t rank) {
    std::vector<std::int64_t> values;
    switch (below(5)) {
      case 0:  // a permutation
        for (std::size_t i = 0; i < rank; ++i) values.push_back(static_cast<std::int64_t>(i));
        std::shuffle(values.begin(), values.end(), random_);
        break;
      case 1:  // some axes
        for (std::size_t i = 0; i < rank; ++i)
          if (chance(2))
            values.push_back(static_cast<std::int64_t>(i) -
                             (chance(4) ? static_cast<std::int64_t>(rank) : 0));
        break;
      case 2:  // amounts
        for (std::size_t i = 0; i < rank; ++i)
          values.push_back(static_cast<std::int64_t>(below(3)) + (chance(2) ? 1 : 0));
        break;
      case 3:  // amounts for the axes behind a batch and channels
        for (std::size_t i = 2; i < rank; ++i)
          values.push_back(static_cast<std::int64_t>(chance(2) ? 1 : below(4)));
        break;
      default:
        break;
    }
    return values;
  }

  Attribute random_attribute(const AttributeSpec& spec, const Shape& shape) {
    auto rank = static_cast<std::int64_t>(shape.size());
    switch (spec.kind) {
      case AttributeKind::integer:
        return rank == 0 ? 0 : static_cast<std::int64_t>(below(2 * shape.size())) - rank;
      case AttributeKind::real: {
        static constexpr std::array<double, 9> kReals{0.0,  -0.0, 0.01, 0.3, 1.0,
                                                      -0.5, 2.5,  -2.0, 7.0};
        return one_of(kReals);
      }
      case AttributeKind::boolean:
        return chance(2);
      case AttributeKind::integers:
        return random_integers(shape.size());
      case AttributeKind::dims:
        return random_dims(shape);
      case AttributeKind::dtype:
        return random_dtype();
      case AttributeKind::text:
        return std::string("text");
      case AttributeKind::tensor: {
        Tensor::Sizes sizes;
        double count = 1;
        for (const Dim& dim : random_shape()) {
          sizes.push_back(dim.evaluate(bindings_).value());
          count *= static_cast<double>(sizes.back());
        }
        if (count > 5000) sizes = {3};
        Generator values(random_());
        DType type = random_dtype();
        Tensor tensor = random_tensor(type, sizes, values, seed_ % 4 == 0);
        if (chance(2))
          for (std::int64_t i = 1; i < tensor.element_count(); ++i)
            tensor.set_bits(i, tensor.bits(0));
        return std::make_shared<const Tensor>(std::move(tensor));
      }
    }
    return false;
  }

  // --- Operands ---

  DType random_dtype() {
    static constexpr std::array<DType, 16> kTypes{
        DType::f32, DType::f32, DType::f32, DType::f32,    DType::f32,  DType::f32,
        DType::f32, DType::f64, DType::f64, DType::f16,    DType::bf16, DType::i8,
        DType::u8,  DType::i32, DType::i64, DType::boolean};
    return one_of(kTypes);
  }

  DType random_dtype(TypeSet set) {
    for (;;)
      if (DType type = random_dtype(); contains(set, type)) return type;
  }

  // A shape that may go with one that an op already has.
  Shape related_shape(const Shape& shape) {
    Shape result = shape;
    switch (below(shape.size() > 2 ? 12 : 7)) {
      case 7:  // filters or values for channels and the axes behind them
      case 8:
      case 9:
      case 10:
      case 11: {
        bool same_axes = chance(2);
        if (chance(2)) result[0] = chance(3) ? one_of(palette_) : shape[1];
        if (chance(3)) result[1] = one_of(palette_);
        for (std::size_t i = 2; i < result.size(); ++i)
          if (!same_axes) result[i] = static_cast<std::int64_t>(1 + below(3));
        break;
      }
      case 0:  // broadcasts
        for (Dim& dim : result)
          if (chance(2)) dim = 1;
        break;
      case 1:  // the last dimensions
        result.erase(result.begin(),
                     result.begin() + static_cast<std::ptrdiff_t>(below(result.size() + 1)));
        break;
      case 2:  // another size in one place
        if (!result.empty()) one_of(result) = one_of(palette_);
        break;
      case 3:  // a matrix for the last dimension
        if (!shape.empty()) result = {shape.back(), one_of(palette_)};
        break;
      case 4:
        if (!shape.empty()) result = {one_of(palette_), shape.back()};
        break;
      case 5:
        if (shape.size() >= 2) std::swap(result[result.size() - 1], result[result.size() - 2]);
        break;
      default:
        break;
    }
    return result;
  }

  TensorType type_of(const Choice& choice) const {
    if (auto id = std::get_if<ValueId>(&choice)) return graph_.type(*id);
    return std::get<TensorType>(choice);
  }

  // Operands that the specs admit one by one; whether they fit together is not known yet.
  std::vector<Choice> choose_operands(const OpDef& op) {
    std::vector<Choice> choices;
    std::vector<std::pair<int, DType>> groups;
    std::vector<const OperandSpec*> wanted;
    for (const OperandSpec& spec : op.operands) {
      if (spec.presence == OperandSpec::Presence::optional && chance(3)) break;
      std::size_t copies = spec.presence == OperandSpec::Presence::variadic ? 1 + below(4) : 1;
      wanted.insert(wanted.end(), copies, &spec);
    }
    for (const OperandSpec* spec : wanted) {
      std::optional<DType> type;
      for (auto [group, of_group] : groups)
        if (group == spec->type_group && group >= 0) type = of_group;
      std::vector<ValueId> existing;
      for (std::uint32_t i = 0; i < graph_.value_count(); ++i) {
        DType have = graph_.type(ValueId{i}).dtype;
        if (contains(spec->types, have) && (!type || *type == have)) existing.push_back(ValueId{i});
      }
      bool use_existing = !existing.empty() && !chance(choices.empty() ? 12 : 3);
      if (use_existing) {
        // Recent values more often, which makes chains, but old ones too, which makes sharing.
        std::size_t from = chance(2) && existing.size() > 3 ? existing.size() - 3 : 0;
        choices.emplace_back(existing[from + below(existing.size() - from)]);
      } else {
        DType made = type ? *type : random_dtype(spec->types);
        Shape shape =
            choices.empty() ? random_shape() : related_shape(type_of(choices.front()).shape);
        choices.emplace_back(TensorType{made, std::move(shape)});
      }
      groups.emplace_back(spec->type_group, type_of(choices.back()).dtype);
    }
    return choices;
  }

  ValueId add_source(TensorType type) {
    std::string name = "v" + std::to_string(graph_.value_count());
    // The dimensions of a param are integers.
    bool constant = std::all_of(type.shape.begin(), type.shape.end(),
                                [](const Dim& dim) { return dim.is_constant(); });
    return constant && chance(5) ? graph_.add_param(name, std::move(type))
                                 : graph_.add_input(name, std::move(type));
  }

  // --- Nodes ---

  // Element operations of one use, about.
  double work_of(const OpInstance& instance, std::span<const TensorType> results) const {
    double elements = 0;
    for (const TensorType& result : results) elements += size_of(result.shape);
    if (instance.op->pointwise || instance.op->data) return elements;
    if (instance.op->steps) return elements + size_of(instance.op->steps(instance).extents);
    if (!instance.op->composite_for(instance)) {
      for (const Dim& dim : instance.op->comprehension(instance).reduce_extents)
        elements *= std::max(1.0, size_of({dim}));
      return elements;
    }
    GraphBuilder builder("composite");
    std::vector<Var> operands;
    for (std::size_t i = 0; i < instance.operands.size(); ++i)
      operands.push_back(builder.input("operand" + std::to_string(i), instance.operands[i].dtype,
                                       instance.operands[i].shape));
    composite_results(*instance.op, builder, operands, instance.attributes);
    const Graph& graph = builder.graph();
    for (const Node& node : graph.nodes())
      elements += work_of({node.op, types_of(graph, node.operands), node.attributes},
                          types_of(graph, node.results));
    return elements;
  }

  // Indices that lie within all sizes, from either end where they may.
  ValueId within(ValueId indices, const Shape& sizes, bool from_end) {
    DType type = graph_.type(indices).dtype;
    std::int64_t least = 60;
    for (const Dim& size : sizes) least = std::min(least, size.evaluate(bindings_).value());
    from_end = from_end && is_signed(type) && chance(2);
    auto number = [&](std::int64_t value) {
      Tensor scalar(type, {});
      scalar.set_bits(0, scalar::bits_of(type, value));
      Attributes attributes{{"value", std::make_shared<const Tensor>(std::move(scalar))}};
      return graph_.result(graph_.add_node(get_op("constant"), {}, std::move(attributes)));
    };
    ValueId result = graph_.result(
        graph_.add_node(get_op("remainder"), {indices, number(from_end ? 2 * least : least)}, {}));
    if (!from_end) return result;
    return graph_.result(graph_.add_node(get_op("sub"), {result, number(least)}, {}));
  }

  bool try_node(const OpDef& op) {
    std::vector<Choice> choices = choose_operands(op);
    std::vector<TensorType> types;
    for (const Choice& choice : choices) types.push_back(type_of(choice));
    Shape shape = types.empty() ? random_shape() : types.front().shape;
    Attributes attributes;
    for (const AttributeSpec& spec : op.attributes)
      if (!spec.default_value || chance(2))
        attributes.set(spec.name, random_attribute(spec, shape));
    std::vector<TensorType> results;
    double work = 0;
    try {
      results = check_and_infer(op, types, attributes);
      for (const TensorType& result : results)
        if (result.rank() > 6 || size_of(result.shape) > kMaximumElements) return false;
      work = work_of({&op, types, attributes}, results);
    } catch (const Error&) {
      return false;
    }
    if (work_ + work > kMaximumWork) return false;
    if (op.data && size_of(results[0].shape) == 0 && !chance(4)) return false;
    std::vector<IndexOperand> index_operands;
    if (op.index_operands) index_operands = op.index_operands({&op, types, attributes});
    for (const IndexOperand& indices : index_operands)
      if (size_of(indices.sizes) == 0) return false;
    for (const SizeNeed& need : size_needs({&op, types, attributes}, results))
      if (need.message(bindings_)) return false;
    work_ += work;
    std::vector<ValueId> operands;
    for (const Choice& choice : choices) {
      if (auto id = std::get_if<ValueId>(&choice)) {
        operands.push_back(*id);
      } else {
        operands.push_back(add_source(std::get<TensorType>(choice)));
      }
    }
    for (const IndexOperand& indices : index_operands)
      operands[indices.operand] =
          within(operands[indices.operand], indices.sizes, indices.from_end);
    try {
      graph_.add_node(op, std::move(operands), std::move(attributes));
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  void add_node() {
    for (int tries = 0; tries < 60; ++tries) {
      const std::vector<const OpDef*>& family = one_of(families());
      const OpDef& op = *one_of(family);
      // The more attributes, the more have to fit.
      for (std::size_t attempt = 0; attempt < 12 + 60 * op.attributes.size(); ++attempt)
        if (try_node(op)) return;
    }
  }

  ValueId add(const char* op, std::vector<ValueId> operands, Attributes attributes = {}) {
    return graph_.result(graph_.add_node(get_op(op), std::move(operands), std::move(attributes)));
  }

  // Of rows and columns what a sum may read that is not the whole, or not in its order.
  ValueId part_of(ValueId value) {
    const Shape shape = graph_.type(value).shape;
    auto some = [&](const Dim& size) {
      return size.is_constant() ? Dim(1 + static_cast<std::int64_t>(below(static_cast<std::size_t>(
                                              std::max<std::int64_t>(size.value(), 1)))))
                                : size;
    };
    switch (below(6)) {
      case 0: {
        const bool last = chance(2) && shape[1].is_constant();
        Shape starts{Dim(0), Dim(0)}, limits{some(shape[0]), shape[1]};
        if (last) starts[1] = shape[1] - some(shape[1]);
        return add("slice", {value}, {{"starts", starts}, {"limits", limits}});
      }
      case 1:
        return add("pad", {value},
                   {{"low", Shape{Dim(static_cast<std::int64_t>(below(3))), Dim(0)}},
                    {"high", Shape{Dim(0), Dim(static_cast<std::int64_t>(below(3)))}}});
      case 2:
        return add("transpose", {value});
      case 3: {
        const TensorType type = graph_.type(value);
        ValueId indices = within(add_source({DType::i64, shape}), {shape[0]}, false);
        ValueId base = add_source(type);
        return add("scatter_elements", {base, indices, value},
                   {{"axis", std::int64_t{0}}, {"reduction", std::string("add")}});
      }
      default:
        return value;
    }
  }

  // A layer's result and the sum of its rows or columns, as gradients of biases are: ops that
  // chance hardly puts together.
  void add_row_sum() {
    static constexpr std::array<DType, 4> kTypes{DType::f32, DType::f32, DType::f64, DType::f16};
    const DType type = one_of(kTypes);
    const Dim rows = one_of(palette_), depth = Dim(static_cast<std::int64_t>(1 + below(9)));
    Dim columns = one_of(palette_);
    if (!columns.is_constant() || columns.value() == 1) columns = 40;
    if (size_of({rows, columns}) > kMaximumElements || size_of({rows}) == 0) return;
    ValueId left = add_source({type, {rows, depth}}), right = add_source({type, {depth, columns}});
    ValueId product = add("matmul", {left, right});
    ValueId value = add("leaky_relu", {product});
    ValueId sum = add("reduce_sum", {part_of(value)},
                      {{"axes", std::vector<std::int64_t>{chance(3) ? 1 : 0}}});
    if (!chance(4)) graph_.add_output(value, "rows");
    graph_.add_output(sum, "sum");
  }

  // A recurrent layer on a few steps.
  void add_recurrent_layer() {
    static constexpr std::array<std::pair<const char*, std::int64_t>, 3> kCells{
        std::pair{"rnn", 1}, std::pair{"gru", 3}, std::pair{"lstm", 4}};
    const auto [op, gates] = one_of(kCells);
    const DType type = random_dtype(TypeSet::floats);
    auto up_to = [&](std::size_t most) { return Dim(static_cast<std::int64_t>(1 + below(most))); };
    const Dim steps = up_to(4), batch = one_of(palette_), width = up_to(5), hidden = up_to(9);
    if (size_of({batch}) > 300) return;
    const Dim directions = chance(3) ? 2 : 1, rows = hidden * Dim(gates);
    std::vector<ValueId> operands{add_source({type, {steps, batch, width}}),
                                  add_source({type, {directions, rows, width}}),
                                  add_source({type, {directions, rows, hidden}})};
    if (chance(2)) operands.push_back(add_source({type, {directions, rows * Dim(2)}}));
    Attributes attributes;
    if (directions == Dim(2) || chance(2))
      attributes.set("direction", std::string(directions == Dim(2) ? "bidirectional" : "reverse"));
    const NodeId node = graph_.add_node(get_op(op), std::move(operands), std::move(attributes));
    for (ValueId result : graph_.node(node).results)
      if (chance(2)) graph_.add_output(result, "y" + std::to_string(graph_.outputs().size()));
  }

  void choose_outputs() {
    std::vector<bool> used(graph_.value_count());
    for (const Node& node : graph_.nodes())
      for (ValueId operand : node.operands) used[operand.index] = true;
    for (std::uint32_t i = 0; i < graph_.value_count(); ++i) {
      ValueId id{i};
      bool result = graph_.value(id).kind == Value::Kind::result;
      // Now and then an input, a value twice, or a dead end that is no output.
      if (chance(result ? (used[i] ? 5 : 50) : 25) || (result && !used[i] && !chance(40)))
        graph_.add_output(id, "y" + std::to_string(graph_.outputs().size()));
      if (result && chance(40))
        graph_.add_output(id, "y" + std::to_string(graph_.outputs().size()));
    }
    if (graph_.outputs().empty())
      graph_.add_output(ValueId{static_cast<std::uint32_t>(graph_.value_count() - 1)}, "y0");
  }

  std::uint64_t seed_;
  Generator random_;
  Graph graph_;
  Dim::Bindings bindings_;
  std::vector<Dim> palette_;
  double work_ = 0;
};

}  // namespace

Program random_program(std::uint64_t seed) { return ProgramGenerator(seed).run(); }

std::uint64_t from_environment(const char* name, std::uint64_t otherwise, std::uint64_t least) {
  const char* variable = std::getenv(name);
  if (variable == nullptr) return otherwise;
  std::string_view text = variable;
  std::uint64_t number = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size() || number < least)
    throw std::invalid_argument(
        fmt::format("{} is '{}'; it takes an integer from {}", name, text, least));
  return number;
}

}  // namespace weir::test
