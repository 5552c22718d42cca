// The interpreter against formulas written out in C++. Ops are declared here, so that a test does
// not depend on the meaning of a shipped one.

#include "ir/interpreter.h"

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/op.h"
#include "ir/reduction_tree.h"
#include "tests/support/error_of.h"

namespace weir {
namespace {

using scalar::Expr;
using test::error_of;
using ::testing::HasSubstr;

Location line(int number) { return {std::make_shared<const std::string>("model.weir"), number, 3}; }

OpDef pointwise_op(std::string name, std::size_t operands,
                   std::function<Expr(std::span<const Expr>, const Attributes&)> meaning) {
  OpDef op;
  op.name = std::move(name);
  for (std::size_t i = 0; i < operands; ++i)
    op.operands.push_back({"x" + std::to_string(i), TypeSet::any, OperandSpec::Presence::required,
                           static_cast<int>(i)});
  op.pointwise = std::move(meaning);
  return op;
}

// Folds the last axis of a matrix.
OpDef row_op(Reduction reduction,
             std::function<std::vector<Expr>(const Element&, Expr)> elements = nullptr) {
  OpDef op;
  op.name = "row_" + reduction.name;
  op.operands = {{"x", TypeSet::any}};
  op.infer = [types = reduction.types](const OpInstance& instance) {
    std::vector<TensorType> result;
    for (DType type : types) result.push_back({type, {instance.operand(0).shape[0]}});
    return result;
  };
  op.comprehension = [reduction, elements](const OpInstance& instance) {
    return Comprehension{{instance.operand(0).shape[1]}, reduction, [elements](const Element& e) {
                           std::vector<Expr> index{e.index[0], e.reduce[0]};
                           Expr value = e.load(0, index);
                           return elements ? elements(e, value) : std::vector<Expr>{value};
                         }};
  };
  return op;
}

Reduction sum_reduction(Reduction::Order order, std::int64_t chunk) {
  auto add = [](std::span<const Expr> a, std::span<const Expr> b) {
    return std::vector<Expr>{a[0] + b[0]};
  };
  return {"sum", {DType::f32}, {scalar::from_f32(0)}, add, add, order, chunk};
}

// A graph of one node.
Graph one_node(const OpDef& op, const std::vector<TensorType>& types, Attributes attributes = {}) {
  Graph graph;
  std::vector<ValueId> operands;
  for (std::size_t i = 0; i < types.size(); ++i)
    operands.push_back(graph.add_input("x" + std::to_string(i), types[i], line(1)));
  NodeId node = graph.add_node(op, operands, std::move(attributes), line(2));
  for (ValueId result : graph.node(node).results) graph.add_output(result);
  return graph;
}

Inputs inputs_of(std::initializer_list<Tensor> tensors) {
  Inputs inputs;
  for (const Tensor& tensor : tensors) inputs.emplace("x" + std::to_string(inputs.size()), tensor);
  return inputs;
}

Tensor random_matrix(std::int64_t rows, std::int64_t columns, unsigned seed) {
  std::mt19937 generator(seed);
  Tensor result(DType::f32, {rows, columns});
  for (float& x : result.mutable_elements<float>())
    x = static_cast<float>(generator()) / 4.3e9f - 0.5f;
  return result;
}

const Dim kRows = Dim::symbol("N");

TEST(ReductionTree, is_the_recursive_definition) {
  std::function<std::string(int, int)> tree = [&](int first, int n) {
    if (n == 1) return std::to_string(first);
    int m = 1;
    while (m * 2 < n) m *= 2;
    return "(" + tree(first, m) + " " + tree(first + m, n - m) + ")";
  };
  auto merge = [](const std::string& a, const std::string& b) { return "(" + a + " " + b + ")"; };
  for (int n = 1; n <= 70; ++n) {
    ReductionTree<std::string, decltype(merge)> built(merge);
    for (int i = 0; i < n; ++i) built.add(std::to_string(i));
    EXPECT_EQ(built.finish(), tree(0, n));
    EXPECT_EQ(built.finish(), std::nullopt);
  }
  EXPECT_EQ(tree(0, 7), "(((0 1) (2 3)) ((4 5) 6))");
}

TEST(Interpreter, pointwise_operands_broadcast) {
  OpDef op = pointwise_op("mix", 3, [](std::span<const Expr> x, const Attributes&) {
    return select(x[0], x[1] * 2.0, x[2]);
  });
  Graph graph = one_node(op, {{DType::boolean, {kRows, 1}}, {DType::f32, {3}}, {DType::f32, {}}});
  Tensor result = interpret(
      graph, {},
      inputs_of({Tensor::from<bool>({true, false}, {2, 1}), Tensor::from<float>({1, 2, 3}, {3}),
                 Tensor::from<float>({-0.5f}, {})}))[0];
  EXPECT_EQ(result.to_string(), "[[2.0, 4.0, 6.0], [-0.5, -0.5, -0.5]]");
}

TEST(Interpreter, bool_results_are_bytes) {
  OpDef op = pointwise_op("positive", 1,
                          [](std::span<const Expr> x, const Attributes&) { return x[0] > 0.0; });
  Tensor result = interpret(one_node(op, {{DType::f32, {3}}}), {},
                            inputs_of({Tensor::from<float>({1, NAN, -1}, {3})}))[0];
  ASSERT_EQ(result.dtype(), DType::boolean);
  EXPECT_EQ(std::string(static_cast<const char*>(result.data()), 3), std::string("\1\0\0", 3));
}

TEST(Interpreter, modes_agree_where_nothing_is_elementary) {
  OpDef op = pointwise_op(
      "poly", 2, [](std::span<const Expr> x, const Attributes&) { return fma(x[0], x[1], x[0]); });
  Graph graph = one_node(op, {{DType::f32, {2}}, {DType::f32, {2}}});
  Inputs inputs =
      inputs_of({Tensor::from<float>({1.1f, -3e30f}, {2}), Tensor::from<float>({1.3f, 7}, {2})});
  for (bool has_fma : {false, true}) {
    Tensor result = interpret(graph, {}, inputs, {{scalar::Numerics::Mode::expanded, has_fma}})[0];
    float product = 1.1f * 1.3f;
    EXPECT_EQ(result.elements<float>()[0], has_fma ? std::fma(1.1f, 1.3f, 1.1f) : product + 1.1f);
  }
}

TEST(Interpreter, elementary_functions_in_both_modes) {
  OpDef op =
      pointwise_op("exp", 1, [](std::span<const Expr> x, const Attributes&) { return exp(x[0]); });
  Graph graph = one_node(op, {{DType::f32, {3}}});
  Inputs inputs = inputs_of({Tensor::from<float>({-1, 0, 2.5f}, {3})});
  for (auto mode : {scalar::Numerics::Mode::mathematical, scalar::Numerics::Mode::expanded}) {
    Tensor result = interpret(graph, {}, inputs, {{mode, true}})[0];
    for (int i = 0; i < 3; ++i)
      EXPECT_FLOAT_EQ(result.elements<float>()[static_cast<std::size_t>(i)],
                      std::exp(std::array{-1.f, 0.f, 2.5f}[static_cast<std::size_t>(i)]));
  }
}

TEST(Interpreter, comprehension_moves_elements) {
  OpDef op;
  op.name = "reversed_transpose";
  op.operands = {{"x"}};
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    return std::vector<TensorType>{{x.dtype, {x.shape[1], x.shape[0]}}};
  };
  op.comprehension = [](const OpInstance&) {
    return Comprehension{{}, {}, [](const Element& e) {
                           Expr last = e.size(e.instance.operand(0).shape[0]) - 1;
                           std::vector<Expr> index{last - e.index[1], e.index[0]};
                           return std::vector<Expr>{e.load(0, index)};
                         }};
  };
  Graph graph = one_node(op, {{DType::i64, {kRows, 2}}});
  EXPECT_EQ(
      interpret(graph, {}, inputs_of({Tensor::from<std::int64_t>({1, 2, 3, 4, 5, 6}, {3, 2})}))[0]
          .to_string(),
      "[[5, 3, 1], [6, 4, 2]]");
  EXPECT_EQ(interpret(graph, {}, inputs_of({Tensor(DType::i64, {0, 2})}))[0].to_string(),
            "[[], []]");
}

TEST(Interpreter, guarded_load_stays_inside) {
  OpDef op;
  op.name = "pad";
  op.operands = {{"x", TypeSet::floats}};
  op.infer = [](const OpInstance& instance) {
    return std::vector<TensorType>{{instance.operand(0).dtype, {instance.operand(0).shape[0] + 2}}};
  };
  op.comprehension = [](const OpInstance&) {
    return Comprehension{{}, {}, [](const Element& e) {
                           Expr inner = e.index[0] - 1;
                           Expr inside = (inner >= e.number(0)) &
                                         (inner < e.size(e.instance.operand(0).shape[0]));
                           Expr outside(e.arena, e.arena.constant(DType::f32, 9.0));
                           return std::vector<Expr>{e.load_if(0, inside, outside, {&inner, 1})};
                         }};
  };
  Graph graph = one_node(op, {{DType::f32, {kRows}}});
  EXPECT_EQ(interpret(graph, {}, inputs_of({Tensor::from<float>({1, 2}, {2})}))[0].to_string(),
            "[9.0, 1.0, 2.0, 9.0]");
  EXPECT_EQ(interpret(graph, {}, inputs_of({Tensor(DType::f32, {0})}))[0].to_string(),
            "[9.0, 9.0]");
}

TEST(Interpreter, several_results) {
  OpDef op;
  op.name = "both";
  op.operands = {{"x", TypeSet::numbers}};
  op.infer = [](const OpInstance& instance) {
    return std::vector<TensorType>{instance.operand(0), {DType::i64, instance.operand(0).shape}};
  };
  op.comprehension = [](const OpInstance&) {
    return Comprehension{{}, {}, [](const Element& e) {
                           return std::vector<Expr>{e.load(0, e.index) * 2.0, e.index[0]};
                         }};
  };
  std::vector<Tensor> results = interpret(one_node(op, {{DType::f32, {kRows}}}), {},
                                          inputs_of({Tensor::from<float>({1, 2}, {2})}));
  EXPECT_EQ(results[0].to_string(), "[2.0, 4.0]");
  EXPECT_EQ(results[1].to_string(), "[0, 1]");
}

// The documented order, written recursively.
float ordered_sum(std::span<const float> x, bool lanes, std::size_t chunk) {
  std::vector<float> chunks;
  for (std::size_t first = 0; first < x.size(); first += chunk) {
    std::vector<float> lane(lanes ? 64 : 1, 0.0f);
    for (std::size_t r = first; r < std::min(x.size(), first + chunk); ++r)
      lane[r % lane.size()] += x[r];
    std::function<float(std::size_t, std::size_t)> halves = [&](std::size_t l, std::size_t stride) {
      return stride == lane.size() ? lane[l]
                                   : halves(l, stride * 2) + halves(l + stride, stride * 2);
    };
    chunks.push_back(halves(0, 1));
  }
  std::function<float(std::size_t, std::size_t)> tree = [&](std::size_t first, std::size_t n) {
    if (n == 1) return chunks[first];
    std::size_t m = 1;
    while (m * 2 < n) m *= 2;
    return tree(first, m) + tree(first + m, n - m);
  };
  return chunks.empty() ? 0.0f : tree(0, chunks.size());
}

TEST(Interpreter, reduction_order_is_the_documented_one) {
  for (bool lanes : {false, true}) {
    for (std::int64_t chunk : {16, 64, 128, 1024}) {
      OpDef op =
          row_op(sum_reduction(lanes ? Reduction::Order::lanes : Reduction::Order::chain, chunk));
      Graph graph = one_node(op, {{DType::f32, {2, kRows}}});
      for (std::int64_t n :
           {0, 1, 2, 63, 64, 65, 127, 129, 700, 1023, 1024, 1025, 2049, 7 * 128 + 5}) {
        Tensor x = random_matrix(2, n, static_cast<unsigned>(n));
        Tensor result = interpret(graph, {}, inputs_of({x}))[0];
        auto count = static_cast<std::size_t>(n);
        for (std::size_t row = 0; row < 2; ++row)
          EXPECT_EQ(result.elements<float>()[row],
                    ordered_sum(x.elements<float>().subspan(row * count, count), lanes,
                                static_cast<std::size_t>(chunk)))
              << "lanes " << lanes << ", chunk " << chunk << ", " << n << " elements";
      }
    }
  }
}

TEST(Interpreter, reduction_of_a_tuple) {
  // The largest element and its first place.
  Reduction argmax;
  argmax.name = "argmax";
  argmax.types = {DType::f32, DType::i64};
  argmax.identity = {scalar::from_f32(-std::numeric_limits<float>::infinity()),
                     scalar::from_i64(INT64_MAX)};
  argmax.step = argmax.merge = [](std::span<const Expr> a, std::span<const Expr> b) {
    Expr keep = (b[0] < a[0]) | ((a[0] == b[0]) & (a[1] < b[1]));
    return std::vector<Expr>{select(keep, a[0], b[0]), select(keep, a[1], b[1])};
  };
  argmax.order = Reduction::Order::lanes;
  argmax.chunk = 64;
  OpDef op = row_op(
      argmax, [](const Element& e, Expr value) { return std::vector<Expr>{value, e.reduce[0]}; });
  Tensor x = random_matrix(3, 500, 1);
  std::vector<Tensor> result =
      interpret(one_node(op, {{DType::f32, {3, kRows}}}), {}, inputs_of({x}));
  for (std::size_t row = 0; row < 3; ++row) {
    auto elements = x.elements<float>().subspan(row * 500, 500);
    auto largest = std::max_element(elements.begin(), elements.end());
    EXPECT_EQ(result[0].elements<float>()[row], *largest);
    EXPECT_EQ(result[1].elements<std::int64_t>()[row], largest - elements.begin());
  }
}

TEST(Interpreter, contraction_is_a_chain_of_fma) {
  Reduction dot;
  dot.name = "dot";
  dot.types = {DType::f32};
  dot.identity = {scalar::from_f32(0)};
  dot.step = [](std::span<const Expr> a, std::span<const Expr> e) {
    return std::vector<Expr>{fma(e[0], e[1], a[0])};
  };
  dot.merge = [](std::span<const Expr> a, std::span<const Expr> b) {
    return std::vector<Expr>{a[0] + b[0]};
  };
  OpDef op =
      row_op(dot, [](const Element&, Expr value) { return std::vector<Expr>{value, value}; });
  Tensor x = random_matrix(1, 1500, 2);
  float chunks[2] = {0, 0};
  for (std::size_t i = 0; i < 1500; ++i)
    chunks[i / 1024] = std::fma(x.elements<float>()[i], x.elements<float>()[i], chunks[i / 1024]);
  EXPECT_EQ(interpret(one_node(op, {{DType::f32, {1, kRows}}}), {}, inputs_of({x}))[0]
                .elements<float>()[0],
            chunks[0] + chunks[1]);
}

TEST(Interpreter, composite_runs_its_body) {
  OpDef op;
  op.name = "leaky_twice";
  op.operands = {{"x", TypeSet::floats}};
  op.composite = [](GraphBuilder& b, std::span<const Var> x, const Attributes&) {
    return std::vector<Var>{b.apply("leaky_relu",
                                    {b.apply("leaky_relu", {x[0]}, {{"negative_slope", 0.5}})},
                                    {{"negative_slope", 0.5}})};
  };
  Graph graph = one_node(op, {{DType::f32, {kRows}}});
  EXPECT_EQ(interpret(graph, {}, inputs_of({Tensor::from<float>({-4, 0, 3}, {3})}))[0].to_string(),
            "[-1.0, 0.0, 3.0]");
}

TEST(Interpreter, constants_params_and_shared_values) {
  OpDef constant;
  constant.name = "three";
  constant.infer = [](const OpInstance&) { return std::vector<TensorType>{{DType::f32, {}}}; };
  constant.data = [](const Attributes&) {
    return std::make_shared<const Tensor>(Tensor::from<float>({3}, {}));
  };
  OpDef multiply = pointwise_op(
      "times", 2, [](std::span<const Expr> x, const Attributes&) { return x[0] * x[1]; });
  Graph graph;
  ValueId w = graph.add_param("w", {DType::f32, {kRows}});
  ValueId three = graph.result(graph.add_node(constant, {}, {}));
  ValueId product = graph.result(graph.add_node(multiply, {w, three}, {}));
  ValueId square = graph.result(graph.add_node(multiply, {product, product}, {}));
  graph.add_output(square, "square");
  graph.add_output(product, "product");
  graph.add_output(w, "w");
  graph.add_output(square, "again");
  std::vector<Tensor> results =
      interpret(graph, {{"w", Tensor::from<float>({1, 2}, {2})}, {"unused", Tensor()}}, {});
  EXPECT_EQ(results[0].to_string(), "[9.0, 36.0]");
  EXPECT_EQ(results[1].to_string(), "[3.0, 6.0]");
  EXPECT_EQ(results[2].to_string(), "[1.0, 2.0]");
  EXPECT_EQ(results[3].to_string(), "[9.0, 36.0]");
}

TEST(Interpreter, error_of_a_node_names_op_and_place) {
  OpDef op;
  op.name = "drop_three";
  op.operands = {{"x"}};
  op.infer = [](const OpInstance& instance) {
    return std::vector<TensorType>{{DType::f32, {instance.operand(0).shape[0] - 3}}};
  };
  op.comprehension = [](const OpInstance&) {
    return Comprehension{
        {}, {}, [](const Element& e) { return std::vector<Expr>{e.load(0, e.index)}; }};
  };
  Graph graph = one_node(op, {{DType::f32, {kRows}}});
  EXPECT_EQ(error_of([&] { interpret(graph, {}, inputs_of({Tensor(DType::f32, {1})})); }),
            "model.weir:2:3: error: drop_three: the dimension N - 3 is -2 for N = 1");
}

Graph declared(const std::vector<TensorType>& types) {
  Graph graph;
  for (std::size_t i = 0; i < types.size(); ++i)
    graph.add_input("x" + std::to_string(i), types[i], line(1));
  return graph;
}

TEST(BindSymbols, from_symbols_and_linear_dimensions) {
  Graph graph =
      declared({{DType::f32, {kRows * 4 + 1, Dim::symbol("M") * kRows}}, {DType::f32, {kRows}}});
  Dim::Bindings bindings =
      bind_symbols(graph, inputs_of({Tensor(DType::f32, {9, 6}), Tensor(DType::f32, {2})}), {});
  EXPECT_EQ(bindings, (Dim::Bindings{{"N", 2}, {"M", 3}}));
  Graph alone = declared({{DType::f32, {kRows * 4 + 1}}});
  EXPECT_EQ(bind_symbols(alone, inputs_of({Tensor(DType::f32, {9})}), {}),
            (Dim::Bindings{{"N", 2}}));
}

TEST(BindSymbols, refuses_what_does_not_fit) {
  auto message = [](const std::vector<TensorType>& types, std::initializer_list<Tensor> tensors) {
    return error_of([&] { bind_symbols(declared(types), inputs_of(tensors), {}); });
  };
  Tensor f32_24(DType::f32, {2, 4});
  EXPECT_EQ(message({{DType::i64, {2, 4}}}, {f32_24}),
            "model.weir:1:3: error: input x0 is declared as i64[2, 4] and given as f32[2, 4]: the "
            "element types differ");
  EXPECT_THAT(message({{DType::f32, {2}}}, {f32_24}), HasSubstr("the ranks differ"));
  EXPECT_THAT(message({{DType::f32, {2, 5}}}, {f32_24}), HasSubstr("dimension 1 must be 5"));
  EXPECT_THAT(message({{DType::f32, {kRows, kRows}}}, {f32_24}),
              HasSubstr("input x0 is declared as f32[N, N] and given as f32[2, 4]: dimension 1 is "
                        "N, and N is 2 by dimension 0 of input x0"));
  EXPECT_THAT(
      message({{DType::f32, {kRows, 4}}, {DType::f32, {3, kRows}}},
              {f32_24, Tensor(DType::f32, {3, 3})}),
      HasSubstr("input x1 is declared as f32[3, N] and given as f32[3, 3]: dimension 1 is N, and N "
                "is 2 by dimension 0 of input x0"));
  EXPECT_THAT(message({{DType::f32, {kRows * 3, 4}}}, {f32_24}),
              HasSubstr("symbol N does not follow"));
  EXPECT_THAT(message({{DType::f32, {kRows * kRows, 4}}}, {f32_24}),
              HasSubstr("symbol N does not follow"));
  EXPECT_THAT(message({{DType::f32, {kRows + 3, 4}}}, {f32_24}),
              HasSubstr("dimension 0 is N + 3, which is 3 at least"));
  EXPECT_EQ(message({{DType::f32, {2, 4}}, {DType::f32, {kRows}}}, {f32_24}),
            "no value is given for input x1 (f32[N])");
  EXPECT_EQ(message({}, {f32_24}), "there is no input x0; the graph has none");
  EXPECT_EQ(message({{DType::f32, {2, 4}}}, {f32_24, f32_24}),
            "there is no input x1; the graph has x0");
}

}  // namespace
}  // namespace weir
