// The nodes of an ONNX graph while it is written: names, shared constants and sizes.
//
// The nodes of one op are written between `begin` and `finish`. Until then the values between them
// have provisional names, and `finish` gives the results the names that they are to have: only a
// result that no node of this op made needs an Identity.
//
// Sizes are computed where they are needed: read from the shape of an input that has the dimension,
// or computed from its symbols. The value of a symbol follows from a dimension of an input that is
// linear in it, such as 4*N + 1, solved for it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <onnx/onnx_pb.h>

#include "ir/graph.h"
#include "ir/onnx_nodes.h"

namespace weir {

class OnnxNodeWriter final : public OnnxNodes {
 public:
  // Nodes are added to `out`. The graph's inputs are those that sizes are read from.
  OnnxNodeWriter(const Graph& graph, onnx::GraphProto& out);

  // Takes a name that must be kept. False if it is taken. Error if it is not UTF-8.
  bool reserve(const std::string& name);
  // Takes the name, or one near to it that is free.
  std::string unique_name(const std::string& wanted);

  void begin(std::string documentation);
  std::vector<OnnxValue> add_all(std::string_view type, std::vector<OnnxValue> inputs,
                                 const Attributes& attributes, std::size_t results) override;
  OnnxValue constant(const Tensor& value) override;
  OnnxValue sizes(const Shape& shape) override;
  // `names`, reserved already, are those of the op's results.
  void finish(std::vector<OnnxValue> results, const std::vector<std::string>& names);

 private:
  void find_symbols();
  bool is_provisional(const OnnxValue& value) const { return provisional_.contains(value); }
  OnnxValue add_shared(std::string_view type, std::vector<OnnxValue> inputs,
                       const Attributes& attributes, const std::string& name);
  // All i64[1].
  OnnxValue size(const Dim& dim);
  OnnxValue read(const Dim& dim);  // of an input that has it; empty if none has
  OnnxValue solve(const std::string& symbol);
  OnnxValue product(const Dim::Term& term);

  onnx::GraphProto& out_;
  std::unordered_set<std::string> names_;
  std::unordered_map<std::string, int> next_suffix_;
  std::vector<std::pair<std::string, Shape>> inputs_;
  std::map<std::string, Dim> linear_;  // by symbol: a dimension of an input, linear in it
  std::unordered_map<std::string, OnnxValue> shared_;  // by a description of the value

  std::string documentation_;
  std::vector<onnx::NodeProto> pending_;
  std::unordered_set<std::string> provisional_;
};

}  // namespace weir
