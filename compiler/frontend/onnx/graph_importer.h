// The nodes of an ONNX graph become nodes of a Weir graph.
//
// Nodes are taken in an order in which each follows what it reads. A node whose inputs are all
// small and known, and not weights alone, is computed at once and leaves no trace in the graph: its
// converter writes into a graph of its own, which is evaluated. Any other node's converter writes
// into the graph of the model.
//
// Functions of the model are written out where they are called. Of an If with a known condition one
// branch is taken; with any other both are computed, and one is selected. A node that asks for what
// Weir does not have, and all that depend on it, are passed over, so that everything that is
// lacking is found.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "compiler/frontend/onnx/external_files.h"
#include "compiler/frontend/onnx/imported_value.h"
#include "compiler/frontend/onnx/model_functions.h"
#include "compiler/frontend/onnx/node.h"
#include "compiler/frontend/onnx/node_order.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/frontend/onnx/shortfalls.h"
#include "ir/builder.h"

namespace onnx {
class AttributeProto;
class FunctionProto;
class GraphProto;
class ModelProto;
}  // namespace onnx

namespace weir::onnx_format {

// An empty domain and ai.onnx are the same one.
std::string domain_of(const std::string& domain);
// The opset of each domain that a model or a function uses.
using Opsets = std::map<std::string, int>;

class GraphImporter : public GraphValues {
 public:
  GraphImporter(std::shared_ptr<const onnx::ModelProto> model,
                std::shared_ptr<const std::string> file, ExternalFiles& files,
                const LoadLimits& limits);

  void add_initializers(const onnx::GraphProto& graph, Scope& scope);
  void convert_nodes(const NodeList& nodes, Scope& scope, const Opsets& opsets);
  // The value cannot be had: what depends on it is passed over. `name` is as in `input "x"`.
  void lack(ImportedValue& value, const std::string& name, const Unsupported& error);
  Var var_of(ImportedValue& value) override;
  // Bytes that the sizes in the types of the graph's values may take: a small node may have a
  // result of large polynomials. Error beyond.
  void limit_types(std::int64_t bytes) { most_type_bytes_ = bytes; }
  // Nodes that are made from now on get this location.
  void set_location(const Location& location);

  GraphBuilder& builder() { return builder_; }
  const Shortfalls& shortfalls() const { return shortfalls_; }
  // By symbol of the graph: how large nodes need it to be at least. They are shortfalls, too.
  const std::map<std::string, std::int64_t>& sizes_needed() const { return sizes_needed_; }
  Location location(std::string note) const;
  // Told the name of a value of the model's own graph that has to be known and is not, before the
  // node that asks for it is reported.
  void set_not_known(std::function<void(const std::string&)> tell) { not_known_ = std::move(tell); }
  Model finish() { return {builder_.finish().graph, std::move(weights_)}; }

 private:
  // Where nodes stand: the model's graph, a branch, or the body of a function.
  struct Place {
    const Opsets& opsets;
    std::shared_ptr<const void> owner;     // keeps the nodes: the model, or a copy of a node around
    std::string within;                    // " of MyLayer "fc1"", as in locations
    const Arguments* arguments = nullptr;  // of a function
  };
  using Tensors = std::vector<std::shared_ptr<const Tensor>>;

  void add_initializers(const onnx::GraphProto& graph, Scope& scope,
                        const std::shared_ptr<const void>& owner);
  template <class Proto, class Read>
  void add_initializer(const Proto& proto, const std::string& own_name, Scope& scope,
                       const std::shared_ptr<const void>& owner, const Read& read);
  void convert_nodes(const NodeList& nodes, Scope& scope, const Place& place);
  std::string_view marks_of(const onnx::NodeProto& node) const;
  void convert_node(const onnx::NodeProto& node, const std::string& name, Scope& scope,
                    const Place& place);
  void convert_op(const onnx::NodeProto& node, std::vector<ValueRef> inputs, int opset,
                  Scope& scope, const std::shared_ptr<const void>& owner);
  void keep_constants(const onnx::NodeProto& node, std::span<const ValueRef> results);
  void call_function(const onnx::FunctionProto& function, const onnx::NodeProto& node,
                     const std::vector<ValueRef>& inputs, const std::string& name, Scope& scope,
                     const Place& place);
  void convert_if(const onnx::NodeProto& node, const std::vector<ValueRef>& inputs, Scope& scope,
                  const Place& place);
  std::vector<ValueRef> import_branch(const onnx::GraphProto& branch, const Scope& scope,
                                      const Place& place);
  void check_types();
  void skip(const onnx::NodeProto& node, const std::string& name, Scope& scope, const Place& place);
  void add_lacking(const onnx::NodeProto& node, Scope& scope);
  void define(Scope& scope, const std::string& name, ValueRef value);
  const onnx::FunctionProto* find_function(const onnx::NodeProto& node) const;
  Var var_of_size(const Dim& size, DType dtype);
  Var var_of_elements(const KnownTensor& elements);

  std::shared_ptr<const onnx::ModelProto> model_;
  std::shared_ptr<const std::string> file_;
  ExternalFiles& files_;
  LoadLimits limits_;
  GraphBuilder builder_;
  Weights weights_;
  // What nodes without inputs and initializers of the model itself hold: functions are written out
  // many times, and their tensors are made once.
  std::unordered_map<const void*, Tensors> constants_;
  std::int64_t copied_bytes_ = 0;                 // of nodes with the arguments of a function
  std::unordered_map<std::string, int> numbers_;  // taken behind a param's name, where it was taken
  Shortfalls shortfalls_;
  std::map<std::string, std::int64_t> sizes_needed_;
  std::unordered_map<std::string, const onnx::FunctionProto*> functions_;  // by domain and name
  std::vector<const onnx::FunctionProto*> active_;                         // being written out
  int branches_ = 0;                                                       // of If, around us
  std::int64_t node_count_ = 0;
  std::uint32_t checked_values_ = 0;  // of the graph, whose types are counted
  std::int64_t type_bytes_ = 0;
  std::int64_t most_type_bytes_ = std::numeric_limits<std::int64_t>::max();
  std::function<void(const std::string&)> not_known_;
  const onnx::NodeProto* current_ = nullptr;  // of the model's own graph
};

}  // namespace weir::onnx_format
