#include "tests/unit/ir/random_graph.h"

#include <algorithm>
#include <bit>
#include <random>

#include "ir/op.h"
#include "ir/registry.h"

namespace weir {
namespace {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed), graph_(name()) {}

  Graph run(int tries) {
    // Shapes that fit each other often enough.
    const Dim n = Dim::symbol("N"), m = Dim::symbol("M");
    const Shape shapes[] = {{},        {4},    {n, 4}, {4, 4}, {n, m},    {n * m + 3, 1},
                            {2, n, 4}, {0, 4}, {4},    {n, 4}, {4, 4, 1}, {4, 4, 1}};
    for (const Shape& shape : shapes) {
      TensorType type{dtype(), shape};
      std::string given = name();
      if (given.empty() || graph_.find(given).valid())
        given = "v" + std::to_string(graph_.value_count());
      if (below(3) == 0) {
        initialize(graph_.add_param(given, type));
      } else {
        graph_.add_input(given, type);
      }
    }
    graph_.add_input("image", {DType::f32, {4, 4, 1}});
    graph_.add_input("places", {DType::i32, {4, 4, 1}});
    for (int i = 0; i < tries; ++i) add_node(*all_ops()[below(all_ops().size())]);
    for (std::size_t i = 0; i < graph_.value_count(); ++i)
      if (below(4) == 0) {
        try {
          graph_.add_output(ValueId{static_cast<std::uint32_t>(i)}, below(2) == 0 ? name() : "");
        } catch (const Error&) {  // the name is taken
        }
      }
    return std::move(graph_);
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

  void initialize(ValueId param) {
    const InitializerDef& chosen = initializers()[below(initializers().size())];
    Initializer initializer{chosen.name};
    for (const AttributeSpec& attribute : chosen.attributes)
      if (attribute.kind == AttributeKind::real && below(2) == 0)
        initializer.attributes.set(attribute.name, static_cast<double>(below(5)) / 8);
    try {
      graph_.set_initializer(param, std::move(initializer));
    } catch (const Error&) {  // it does not fit the param
    }
  }

  std::string name() {
    std::string result;
    const std::string_view parts[] = {"x",  "y",  "layer",    ".",    "-",    "_",
                                      "0",  "17", "/",        ":",    " ",    "\"",
                                      "\\", "\n", "\xC3\xA9", "\xFF", "\x7F", "%"};
    for (std::size_t count = below(4); count > 0; --count) result += parts[below(std::size(parts))];
    return result;
  }

  DType dtype() {
    const DType types[] = {DType::f32, DType::f32,  DType::f32,    DType::f64,
                           DType::f16, DType::bf16, DType::i8,     DType::u8,
                           DType::i32, DType::i64,  DType::boolean};
    return types[below(std::size(types))];
  }

  std::int64_t integer() {
    const std::int64_t values[] = {0, 0, 1, -1, 2, 3, 4, INT64_MAX, INT64_MIN};
    return values[below(std::size(values))];
  }

  double real() {
    if (below(2) == 0) return static_cast<double>(below(100)) / 100;
    return std::bit_cast<double>(random_());
  }

  std::shared_ptr<const Tensor> tensor() {
    Tensor::Sizes sizes;
    for (std::size_t rank = below(4); rank > 0; --rank)
      sizes.push_back(static_cast<std::int64_t>(below(4)));
    DType type = dtype();
    Tensor result(type, sizes);
    for (std::int64_t i = 0; i < result.element_count(); ++i) {
      // An element that does not look random now and then; a bool is one bit.
      scalar::Bits bits = below(2) == 0 ? scalar::bits_of(type, real()) : scalar::Bits{random_()};
      if (type == DType::boolean) bits.value &= 1;
      if (byte_size(type) == 4) bits.value &= UINT32_MAX;
      result.set_bits(i, bits);
    }
    return std::make_shared<const Tensor>(std::move(result));
  }

  Attribute attribute(AttributeKind kind) {
    switch (kind) {
      case AttributeKind::integer:
        return integer();
      case AttributeKind::real:
        return real();
      case AttributeKind::boolean:
        return below(2) == 0;
      case AttributeKind::integers: {
        std::vector<std::int64_t> values;
        for (std::size_t count = below(4); count > 0; --count) values.push_back(integer());
        return values;
      }
      case AttributeKind::dims: {
        Shape dims;
        for (std::size_t count = below(4); count > 0; --count)
          dims.push_back(below(3) == 0 ? Dim::symbol(below(2) == 0 ? "N" : "M") *
                                             Dim(1 + static_cast<int>(below(2)))
                                       : Dim(static_cast<int>(below(6)) - 1));
        return dims;
      }
      case AttributeKind::dtype:
        return dtype();
      case AttributeKind::text:
        return name();
      case AttributeKind::tensor:
        return tensor();
    }
    return false;
  }

  void add_node(const OpDef& op) {
    // Most attempts fail, the operands being of other types; a few more find some that fit.
    for (std::size_t attempt = 0;
         attempt < 20 + 60 * std::min<std::size_t>(op.attributes.size(), 4); ++attempt) {
      std::vector<ValueId> operands;
      std::size_t count = op.operands.size();
      if (count > 0 && op.operands.back().presence != OperandSpec::Presence::required)
        count += below(3) - 1;
      for (std::size_t i = 0; i < count; ++i)
        operands.push_back(ValueId{static_cast<std::uint32_t>(below(graph_.value_count()))});
      Attributes attributes;
      for (const AttributeSpec& spec : op.attributes)
        if (!spec.default_value || below(2) == 0) attributes.set(spec.name, attribute(spec.kind));
      std::string result = name();
      if (graph_.find(result).valid()) result.clear();
      try {
        graph_.add_node(op, std::move(operands), std::move(attributes), {}, std::span(&result, 1));
        return;
      } catch (const Error&) {  // does not fit
      }
    }
  }

  std::mt19937_64 random_;
  Graph graph_;
};

}  // namespace

Graph random_graph(std::uint64_t seed, int tries) { return Generator(seed).run(tries); }

}  // namespace weir
