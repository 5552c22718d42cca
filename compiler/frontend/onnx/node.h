// One ONNX node, as its converter sees it.
//
// A converter reads the node's inputs and attributes, adds Weir nodes to the graph, and sets the
// results. It may ask whether the elements of an input are known while the model is loaded, which
// shapes, axes and the like have to be. Whatever does not fit is an Error without a location; the
// importer adds the node's. Attributes that the converter has not asked about are refused in the
// end, so none is ever lost.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/onnx/imported_value.h"
#include "compiler/frontend/onnx/unsupported.h"
#include "ir/builder.h"

namespace onnx {
class AttributeProto;
class NodeProto;
}  // namespace onnx

namespace weir::onnx_format {

// Puts known values into the graph.
class GraphValues {
 public:
  virtual ~GraphValues() = default;
  // The value's Var; makes a param or a constant of it where there is none yet.
  virtual Var var_of(ImportedValue& value) = 0;
};

class Node {
 public:
  // `inputs` has null where an optional input is left out.
  Node(const onnx::NodeProto& proto, int opset, GraphBuilder& builder, GraphValues& values,
       std::vector<ImportedValue*> inputs);

  const onnx::NodeProto& proto() const { return proto_; }
  int opset() const { return opset_; }
  GraphBuilder& builder() const { return builder_; }

  // --- Inputs. Those at the end that are left out are not counted.
  std::size_t input_count() const { return inputs_.size(); }
  bool has_input(std::size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  // Error unless there are from `least` to `most`, and the first `least` are not left out.
  void check_inputs(std::size_t least, std::size_t most) const;
  Var input(std::size_t i);
  std::vector<Var> inputs();
  const TensorType& type(std::size_t i) const;
  const Shape& shape(std::size_t i) const { return type(i).shape; }
  int rank(std::size_t i) const { return type(i).rank(); }
  // The elements, where they are known.
  const Tensor* known(std::size_t i) const;
  // The elements of an input that has to be known; `what` is its name in messages.
  const Tensor& constant(std::size_t i, std::string_view what) const;
  std::vector<std::int64_t> integers(std::size_t i, std::string_view what) const;
  // The one element of a tensor.
  double number(std::size_t i, std::string_view what) const;

  // --- Attributes, by name; each of these marks the attribute as read.
  bool has(std::string_view name);
  std::int64_t integer(std::string_view name, std::optional<std::int64_t> otherwise = std::nullopt);
  bool flag(std::string_view name, bool otherwise);
  // A float stands for the decimal that it is written as.
  double real(std::string_view name, std::optional<double> otherwise = std::nullopt);
  std::string text(std::string_view name, std::optional<std::string> otherwise = std::nullopt);
  std::optional<std::vector<std::int64_t>> integers(std::string_view name);
  std::optional<std::vector<double>> reals(std::string_view name);
  std::optional<Tensor> tensor(std::string_view name);
  // An attribute that has no influence on what Weir computes.
  void ignore(std::string_view name) { find(name); }
  // Error if an attribute has not been read.
  void check_attributes() const;

  // --- Results.
  std::size_t result_count() const;
  // Whether somebody may use result `i`.
  bool wants(std::size_t i) const;
  Var apply(std::string_view op, std::vector<Var> operands, Attributes attributes = {});
  void set(std::size_t i, Var value);
  void set(std::size_t i, Tensor known);
  // The same value under another name.
  void pass(std::size_t i, std::size_t input);
  std::span<const std::optional<ImportedValue>> results() const { return results_; }

 private:
  const onnx::AttributeProto* find(std::string_view name);

  const onnx::NodeProto& proto_;
  int opset_;
  GraphBuilder& builder_;
  GraphValues& values_;
  std::vector<ImportedValue*> inputs_;
  std::vector<std::optional<ImportedValue>> results_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace weir::onnx_format
