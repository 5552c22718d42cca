// The C++ builder: declares graphs as ordinary expressions.
//
//   GraphBuilder b("model");
//   Var x = b.input("x", DType::f32, {Dim::symbol("N"), 64});
//   Var w = b.param("w", weights);
//   b.output("y", leaky_relu(linear(x, w), 0.05f));
//   Model model = b.finish();
//
// Every node records the source line of the call that made it. The functions for the individual ops
// are generated from the registry: include "ir/builder_ops.h" for them.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/tensor.h"

namespace weir {

class GraphBuilder;

// Values of params, by name.
using Weights = std::map<std::string, Tensor, std::less<>>;

// A graph and the values of its params.
struct Model {
  Graph graph;
  Weights weights;
};

// A value of a graph under construction. Cheap to copy; valid as long as its builder.
class Var {
 public:
  Var() = default;
  Var(GraphBuilder& builder, ValueId id) : builder_(&builder), id_(id) {}

  bool valid() const { return builder_ != nullptr; }
  GraphBuilder& builder() const { return *builder_; }
  ValueId id() const { return id_; }
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }

 private:
  GraphBuilder* builder_ = nullptr;
  ValueId id_;
};

// An argument of an op function: a Var, and the line of the call.
struct Operand {
  Operand(Var value, std::source_location call = std::source_location::current())  // NOLINT
      : var(value), where(call) {}
  Var var;
  std::source_location where;
};

// A number argument of an op function. A float stands for the decimal it is written as: 0.05f is
// 0.05.
struct Real {
  Real(double number) : value(number) {}  // NOLINT
  Real(float number);                     // NOLINT
  Real(int number) : value(number) {}     // NOLINT
  double value;
};

class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name = "main") : graph_(std::move(name)) {}
  // Continues an existing graph.
  explicit GraphBuilder(Graph graph) : graph_(std::move(graph)) {}
  GraphBuilder(const GraphBuilder&) = delete;
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  Var input(std::string name, DType dtype, Shape shape,
            std::source_location where = std::source_location::current());
  // A param with its value, or one whose value comes with the call or a file.
  Var param(std::string name, Tensor value,
            std::source_location where = std::source_location::current());
  Var param(std::string name, DType dtype, Shape shape,
            std::source_location where = std::source_location::current());
  // One whose first value comes from initialize() (compiler/initialize.h).
  Var param(std::string name, DType dtype, Shape shape, Initializer initializer,
            std::source_location where = std::source_location::current());
  Var constant(Tensor value, std::source_location where = std::source_location::current());
  // A rank-0 constant.
  Var scalar(DType dtype, double value,
             std::source_location where = std::source_location::current());
  void output(std::string name, Var value);
  // The value that a param has when the graph has run; see ir/graph.h.
  void update(Var param, Var value);

  // Adds a node by the name of its op. Throws Error when operands or attributes do not fit.
  std::vector<Var> apply_all(std::string_view op, std::vector<Var> operands,
                             Attributes attributes = {}, Location location = {});
  std::vector<Var> apply_all(const OpDef& op, std::vector<Var> operands, Attributes attributes = {},
                             Location location = {});
  // The same for an op with one result.
  Var apply(std::string_view op, std::vector<Var> operands, Attributes attributes = {},
            Location location = {});
  Var apply(const OpDef& op, std::vector<Var> operands, Attributes attributes = {},
            Location location = {});
  // Nodes added without a location of their own get this one.
  void set_location(Location location) { location_ = std::move(location); }
  const Location& location() const { return location_; }
  // Every node gets this location, whatever its call says, until there is none again: the lines of
  // an op's gradient rule mean nothing to the user.
  void pin_location(std::optional<Location> location) { pinned_ = std::move(location); }
  const std::optional<Location>& pinned_location() const { return pinned_; }

  const Graph& graph() const { return graph_; }
  Graph& graph() { return graph_; }
  Model finish() { return {std::move(graph_), std::move(weights_)}; }

 private:
  Graph graph_;
  Weights weights_;
  Location location_;
  std::optional<Location> pinned_;
};

// What the generated op functions call: adds the node to the operands' graph, at the line of the
// first one. Empty Vars at the end stand for optional operands that are left out.
Var apply_op(std::string_view op, std::vector<Operand> operands, Attributes attributes = {});
// The same for an op with several results.
std::vector<Var> apply_op_all(std::string_view op, std::vector<Operand> operands,
                              Attributes attributes = {});

// Arithmetic, with broadcasting; a number takes the element type of the Var it meets.
Var operator+(Operand a, Operand b);
Var operator-(Operand a, Operand b);
Var operator*(Operand a, Operand b);
Var operator/(Operand a, Operand b);
Var operator+(Operand a, Real b);
Var operator-(Operand a, Real b);
Var operator*(Operand a, Real b);
Var operator/(Operand a, Real b);
Var operator+(Real a, Operand b);
Var operator-(Real a, Operand b);
Var operator*(Real a, Operand b);
Var operator/(Real a, Operand b);
Var operator-(Operand a);

// Comparisons, to bool, element by element.
Var operator<(Operand a, Operand b);
Var operator<=(Operand a, Operand b);
Var operator>(Operand a, Operand b);
Var operator>=(Operand a, Operand b);
Var operator<(Operand a, Real b);
Var operator<=(Operand a, Real b);
Var operator>(Operand a, Real b);
Var operator>=(Operand a, Real b);

}  // namespace weir
