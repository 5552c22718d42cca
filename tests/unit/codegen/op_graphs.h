// Graphs of single ops, made from the registry's declarations alone: for every element type that an
// op's operands admit, and for the gradient ops of pointwise ops. A new op is covered by being
// declared.
//
// A declaration does not say which shapes and required attributes fit, so a few are tried, and the
// first that the op's own checks accept is taken.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/registry.h"

namespace weir::test {

struct OpCase {
  const OpDef* op;
  std::vector<TensorType> operands;
  Attributes attributes;
  std::string name;  // "cast_f32_2"
};

inline constexpr std::array<DType, 9> kTypes{DType::f32,  DType::f64, DType::f16,
                                             DType::bf16, DType::i8,  DType::u8,
                                             DType::i32,  DType::i64, DType::boolean};

// Values that are worth trying for an attribute that has no default, or whose default says little.
inline std::vector<Attribute> attribute_candidates(const AttributeSpec& spec) {
  Dim n = Dim::symbol("N");
  using Integers = std::vector<std::int64_t>;
  auto dims = [](Shape shape) { return Attribute(std::move(shape)); };
  if (spec.kind == AttributeKind::dtype) return {kTypes.begin(), kTypes.end()};
  if (spec.name == "shape") return {dims({6, 2 * n}), dims({2, n, 3, 4})};
  if (spec.name == "permutation") return {Integers{2, 0, 1}};
  if (spec.name == "starts") return {dims({0, 1, 0})};
  if (spec.name == "limits") return {dims({n, 3, 4})};
  if (spec.name == "kernel") return {Integers{2}};
  if (spec.name == "size") return {dims({5})};
  if (spec.name == "low" && !spec.default_value) return {dims({1, 0, 2})};
  if (spec.name == "high" && !spec.default_value) return {dims({0, 2, 1})};
  if (spec.name == "dims") return {dims({n, 3})};
  if (spec.name == "depth") return {dims({n})};
  if (spec.name == "repeats") return {dims({2, 1, 3})};
  if (spec.name == "sizes") return {dims({n})};
  if (spec.name == "equation") return {std::string("abc->ca")};
  if (spec.name == "value" && spec.kind == AttributeKind::tensor)
    return {std::make_shared<const Tensor>(Tensor::from<float>({1, 2, 3}, {3}))};
  if (spec.name == "axes") return {Integers{}, Integers{0}, Integers{-1}};
  if (spec.default_value) return {*spec.default_value};
  if (spec.kind == AttributeKind::real) return {0.5};
  if (spec.kind == AttributeKind::boolean) return {false};
  if (spec.kind == AttributeKind::integer) return {std::int64_t{1}};
  return {};
}

// All combinations of the candidates.
inline std::vector<Attributes> attribute_sets(const OpDef& op) {
  std::vector<Attributes> sets(1);
  for (const AttributeSpec& spec : op.attributes) {
    std::vector<Attributes> extended;
    for (const Attributes& set : sets) {
      for (const Attribute& candidate : attribute_candidates(spec)) {
        extended.push_back(set);
        extended.back().set(spec.name, candidate);
      }
    }
    sets = std::move(extended);
  }
  return sets;
}

// Operand types for an element type; nothing if no operand admits it.
inline std::optional<std::vector<DType>> operand_dtypes(const OpDef& op, DType dtype) {
  std::vector<DType> dtypes;
  bool used = op.operands.empty() && dtype == DType::f32;
  for (const OperandSpec& spec : op.operands) {
    if (contains(spec.types, dtype)) {
      dtypes.push_back(dtype);
      used = true;
    } else if (contains(spec.types, DType::boolean)) {
      dtypes.push_back(DType::boolean);
    } else {
      bool any = false;
      for (DType other : {DType::i32, DType::i64, DType::f32}) {
        if (any || !contains(spec.types, other)) continue;
        dtypes.push_back(other);
        any = true;
      }
      if (!any) return std::nullopt;
    }
  }
  if (!used) return std::nullopt;
  return dtypes;
}

inline constexpr std::size_t kShapeCandidates = 16;

inline std::vector<Shape> operand_shapes(std::size_t candidate, std::size_t count) {
  Dim n = Dim::symbol("N");
  std::vector<Shape> shapes;
  if (candidate == 0) shapes = std::vector<Shape>(count, Shape{n, 3, 4});
  if (candidate == 1) shapes = {{n, 3, 4}, {4, 5}};
  if (candidate == 2) shapes = {{n, 4}, {5, 4}, {5}};
  if (candidate == 3) shapes = {{n, 4}, {4}, {4}};
  // Windows of two elements: convolution, the transposed one, the filter's gradient, what lies
  // under taps.
  if (candidate == 4) shapes = {{n, 3, 4}, {5, 3, 2}, {5}};
  if (candidate == 5) shapes = {{n, 3, 4}, {3, 5, 2}, {5}};
  if (candidate == 6) shapes = {{n, 3, 4}, {n, 5, 3}};
  if (candidate == 7) shapes = {{n, 3, 4}, {n, 3, 3}};
  // Lists of channels, and images.
  if (candidate == 8) {
    shapes = std::vector<Shape>(std::max<std::size_t>(count, 1), Shape{3});
    shapes[0] = {n, 3, 4};
  }
  if (candidate == 9) shapes = {{n, 4, 2, 2}};
  // Long enough for every symbol's value.
  if (candidate == 10) shapes = {{n + Dim(2), 3, 4}};
  // Elements at tuples of indices.
  if (candidate == 11) shapes = {{n, 3, 4}, {n, 3}, {n}};
  // A number, alone or behind what it is for.
  if (candidate == 12) {
    shapes = std::vector<Shape>(count);
    if (count > 1) shapes[0] = {n, 3, 4};
  }
  // Recurrent layers, with the gates of each kind of cell.
  constexpr std::array<std::int64_t, 3> kGates{1, 3, 4};
  if (candidate >= 13) {
    const Dim rows = 2 * kGates[candidate - 13];
    shapes = {{2, n, 3}, {1, rows, 3}, {1, rows, 2}, {1, rows * Dim(2)}, {1, n, 2}, {1, n, 2}};
  }
  shapes.resize(count);
  return shapes;
}

inline std::vector<OpCase> cases_of(const OpDef& op) {
  std::vector<OpCase> cases;
  for (DType dtype : kTypes) {
    std::optional<std::vector<DType>> dtypes = operand_dtypes(op, dtype);
    if (!dtypes) continue;
    for (std::size_t candidate = 0, found = cases.size(); candidate < kShapeCandidates;
         ++candidate) {
      std::vector<Shape> shapes = operand_shapes(candidate, dtypes->size());
      std::vector<TensorType> operands;
      for (std::size_t i = 0; i < dtypes->size(); ++i)
        operands.push_back({(*dtypes)[i], shapes[i]});
      for (Attributes& attributes : attribute_sets(op)) {
        try {
          check_and_infer(op, operands, attributes);
        } catch (const Error&) {
          continue;
        }
        std::string name = op.name + "_" + std::string(weir::name(dtype)) + "_" +
                           std::to_string(cases.size() - found);
        cases.push_back({&op, operands, std::move(attributes), std::move(name)});
      }
      if (cases.size() > found) break;
    }
  }
  return cases;
}

// The op and its gradient ops.
inline std::vector<const OpDef*> with_gradients(const OpDef& op) {
  std::vector<const OpDef*> ops{&op};
  if (!op.pointwise) return ops;
  for (std::size_t i = 0; i < op.operands.size(); ++i)
    if (const OpDef* gradient = gradient_op(op, i)) ops.push_back(gradient);
  return ops;
}

// One graph in which every case has inputs and outputs of its own.
inline Graph graph_of(const std::vector<OpCase>& cases) {
  GraphBuilder builder("ops");
  // Ops without operands take the size N from here.
  builder.input("n", DType::f32, {Dim::symbol("N")});
  for (const OpCase& one : cases) {
    std::vector<Var> operands;
    for (std::size_t i = 0; i < one.operands.size(); ++i)
      operands.push_back(builder.input(one.name + "_x" + std::to_string(i), one.operands[i].dtype,
                                       one.operands[i].shape));
    std::vector<Var> results = builder.apply_all(*one.op, operands, one.attributes);
    for (std::size_t i = 0; i < results.size(); ++i)
      builder.output(one.name + "_y" + std::to_string(i), results[i]);
  }
  return builder.finish().graph;
}

}  // namespace weir::test
