// A value of an ONNX graph while the graph is imported.
//
// It enters the Weir graph only when a node there needs it: an initializer becomes a param, a small
// tensor of integers a constant, a tensor of sizes the nodes that compute them, and what only
// shapes are made of never does.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "compiler/frontend/onnx/known_tensor.h"
#include "ir/builder.h"
#include "ir/tensor.h"

namespace weir::onnx_format {

struct ImportedValue {
  TensorType type;
  Var var;                                      // invalid while no node of the graph has needed it
  std::shared_ptr<const Tensor> tensor;         // the elements, where all are numbers
  std::shared_ptr<const KnownTensor> elements;  // where some are polynomials or not known
  std::string param_name;                       // of a tensor that becomes a param; else a constant
  Location location;                            // where it is declared
  bool is_default = false;  // `tensor` is the value of an input that is given none
  bool is_lacking = false;  // nothing else holds: a node that Weir has not made it

  // Whether all elements are numbers or polynomials.
  bool is_known() const {
    return tensor != nullptr || (elements != nullptr && elements->is_complete());
  }
};

// Values under several names are one value.
using ValueRef = std::shared_ptr<ImportedValue>;

// The values of a graph by name; a subgraph sees those around it.
class Scope {
 public:
  explicit Scope(const Scope* outer = nullptr) : outer_(outer) {}

  // The value, null where an optional input of a function has been left out.
  const ValueRef* find(const std::string& name) const {
    auto found = values_.find(name);
    if (found != values_.end()) return &found->second;
    return outer_ != nullptr ? outer_->find(name) : nullptr;
  }
  bool has(const std::string& name) const { return values_.contains(name); }
  // False if the name has a value here already.
  bool add(const std::string& name, ValueRef value) {
    return values_.emplace(name, std::move(value)).second;
  }

 private:
  std::unordered_map<std::string, ValueRef> values_;
  const Scope* outer_;
};

}  // namespace weir::onnx_format
