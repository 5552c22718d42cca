#include "compiler/frontend/onnx/model_functions.h"

#include <algorithm>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/graph_importer.h"

namespace weir::onnx_format {
namespace {

bool refers_to_arguments(const onnx::GraphProto& graph) {
  return std::any_of(graph.node().begin(), graph.node().end(), [](const onnx::NodeProto& node) {
    return onnx_format::refers_to_arguments(node);
  });
}

}  // namespace

std::string function_key(const std::string& domain, const std::string& name,
                         const std::string& overload) {
  return fmt::format("{}\n{}\n{}", domain_of(domain), name, overload);
}

bool refers_to_arguments(const onnx::NodeProto& node) {
  return std::any_of(node.attribute().begin(), node.attribute().end(),
                     [](const onnx::AttributeProto& attribute) {
                       return !attribute.ref_attr_name().empty() ||
                              (attribute.has_g() && refers_to_arguments(attribute.g()));
                     });
}

void substitute(onnx::NodeProto& node, const Arguments& arguments) {
  auto* attributes = node.mutable_attribute();
  for (int i = attributes->size(); i-- > 0;) {
    onnx::AttributeProto& attribute = *attributes->Mutable(i);
    if (!attribute.ref_attr_name().empty()) {
      auto argument = arguments.find(attribute.ref_attr_name());
      if (argument == arguments.end()) {
        attributes->DeleteSubrange(i, 1);
        continue;
      }
      std::string name = attribute.name();
      attribute = *argument->second;
      attribute.set_name(name);
    } else if (attribute.has_g() && refers_to_arguments(attribute.g())) {
      for (onnx::NodeProto& inner : *attribute.mutable_g()->mutable_node())
        substitute(inner, arguments);
    }
  }
}

}  // namespace weir::onnx_format
