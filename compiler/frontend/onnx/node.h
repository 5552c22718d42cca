// One ONNX node, as its converter sees it.
//
// A converter reads the node's inputs and attributes, adds Weir nodes to the graph, and sets the
// results. It may ask for the elements of an input that is known while the model is loaded, which
// shapes, axes and the like have to be. Whatever does not fit is an Error without a location; the
// importer adds the node's. Attributes that the converter has not asked about are refused in the
// end, so none is ever lost.
#pragma once

#include <cstdint>
#include <memory>
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

// An input has to be known while the model is loaded, and is not.
class NotKnown : public Unsupported {
 public:
  NotKnown(std::size_t input, std::string message)
      : Unsupported(std::move(message)), input_(input) {}
  std::size_t input() const { return input_; }

 private:
  std::size_t input_;
};

// A size has to be larger than it may be: its symbol must be `least` at least.
class SizeNeeded : public Unsupported {
 public:
  SizeNeeded(std::string symbol, std::int64_t least, std::string message)
      : Unsupported(std::move(message)), symbol_(std::move(symbol)), least_(least) {}
  const std::string& symbol() const { return symbol_; }
  std::int64_t least() const { return least_; }

 private:
  std::string symbol_;
  std::int64_t least_;
};

// Puts values into the graph.
class GraphValues {
 public:
  virtual ~GraphValues() = default;
  // The value's Var; makes nodes or a param for it where there is none yet.
  virtual Var var_of(ImportedValue& value) = 0;
};

class Node {
 public:
  // `inputs` has null where an optional input is left out. `owner` keeps `proto` alive, and the
  // tensors in it; without one they are copied.
  Node(const onnx::NodeProto& proto, int opset, GraphBuilder& builder, GraphValues& values,
       std::vector<ValueRef> inputs, std::shared_ptr<const void> owner);

  int opset() const { return opset_; }
  GraphBuilder& builder() const { return builder_; }

  // --- Inputs. Those at the end that are left out are not counted.
  std::size_t input_count() const { return inputs_.size(); }
  bool has_input(std::size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  // Error unless there are from `least` to `most`, and the first `least` are not left out.
  void check_inputs(std::size_t least, std::size_t most) const;
  Var input(std::size_t i);
  // In f32, if it is f16 or bf16: what takes several steps is rounded to these once, at its end.
  Var wide_input(std::size_t i);
  std::vector<Var> inputs();
  const TensorType& type(std::size_t i) const;
  DType dtype(std::size_t i) const { return type(i).dtype; }
  const Shape& shape(std::size_t i) const { return type(i).shape; }
  int rank(std::size_t i) const { return type(i).rank(); }

  // --- Inputs that are known while the model is loaded. `what` is what the input is called in the
  // message of the Unsupported that says it is not.
  bool is_known(std::size_t i) const { return has_input(i) && inputs_[i]->is_known(); }
  // The elements, if all of them are numbers; null otherwise.
  const Tensor* tensor(std::size_t i) const;
  const Tensor& tensor(std::size_t i, std::string_view what) const;
  // A list of integers, or of sizes.
  std::vector<std::int64_t> integers(std::size_t i, std::string_view what) const;
  Shape dims(std::size_t i, std::string_view what) const;
  // The one element of a tensor.
  double number(std::size_t i, std::string_view what) const;
  std::int64_t integer(std::size_t i, std::string_view what) const;

  // --- Attributes, by name; each of these marks the attribute as read.
  bool has(std::string_view name) { return find(name) != nullptr; }
  std::int64_t integer(std::string_view name, std::optional<std::int64_t> otherwise = std::nullopt);
  bool flag(std::string_view name, bool otherwise);
  // A float stands for the decimal that it is written as.
  double real(std::string_view name, std::optional<double> otherwise = std::nullopt);
  std::string text(std::string_view name, std::optional<std::string> otherwise = std::nullopt);
  std::optional<std::vector<std::int64_t>> integers(std::string_view name);
  std::optional<std::vector<double>> reals(std::string_view name);
  std::optional<std::vector<std::string>> texts(std::string_view name);
  std::optional<Tensor> tensor_attribute(std::string_view name);
  // A sparse tensor, made dense.
  std::optional<Tensor> sparse_attribute(std::string_view name);
  // An attribute that has no influence on what is computed.
  void ignore(std::string_view name) { find(name); }
  // Error if an attribute has not been read.
  void check_attributes() const;

  // `axis`, or the attribute of that name, counted from the end where negative. Error unless it is
  // one of 0 to rank - 1.
  int axis(std::int64_t axis, int rank) const;
  int axis_attribute(int rank, std::optional<std::int64_t> otherwise,
                     std::string_view name = "axis");

  // Makes sure that a size is at least that, or a part that long, whatever its symbols stand for.
  // Throws SizeNeeded where one of them decides it, else Unsupported; `what` says what the node
  // does, as in "it starts at 3".
  static void require_size(const Dim& size, std::int64_t least, const std::string& what);

  // --- Results.
  std::size_t result_count() const;
  // Whether somebody may use result `i`.
  bool wants(std::size_t i) const;
  Var apply(std::string_view op, std::vector<Var> operands, Attributes attributes = {});
  // A number of the element type of `x`.
  Var like(Var x, double value) { return builder_.scalar(x.dtype(), value); }
  // `x` in that shape, or repeated to it, or in that type; itself where it has it.
  Var reshaped(Var x, Shape shape);
  Var broadcast(Var x, Shape shape);
  Var cast(Var x, DType type);
  void set(std::size_t i, Var value);
  void set(std::size_t i, Tensor known);
  void set(std::size_t i, KnownTensor known);
  // The same value under another name.
  void pass(std::size_t i, std::size_t input);
  std::span<const ValueRef> results() const { return results_; }

 private:
  const onnx::AttributeProto* find(std::string_view name);
  [[noreturn]] void refuse_unknown(std::size_t i, std::string_view what) const;

  const onnx::NodeProto& proto_;
  int opset_;
  GraphBuilder& builder_;
  GraphValues& values_;
  std::vector<ValueRef> inputs_;
  std::shared_ptr<const void> owner_;
  std::vector<ValueRef> results_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace weir::onnx_format
