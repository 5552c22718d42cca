#include "ir/verifier.h"

#include <array>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "ir/escape.h"
#include "ir/op.h"
#include "ir/text.h"

namespace weir {
namespace {

using Found = std::optional<Violation>;

NodeId node_id(std::size_t index) { return NodeId{static_cast<std::uint32_t>(index)}; }
ValueId value_id(std::size_t index) { return ValueId{static_cast<std::uint32_t>(index)}; }

// The first violation that `find(node, id)` sees.
template <class Function>
Found first_node(const Graph& graph, Function find) {
  for (std::size_t i = 0; i < graph.nodes().size(); ++i)
    if (Found found = find(graph.nodes()[i], node_id(i))) return found;
  return std::nullopt;
}

Found ids_exist(const Graph& graph) {
  auto missing = [&](ValueId id) { return id.index >= graph.value_count(); };
  for (ValueId id : graph.inputs())
    if (missing(id)) return Violation{{}, fmt::format("input {} is no value", id.index)};
  for (ValueId id : graph.params())
    if (missing(id)) return Violation{{}, fmt::format("param {} is no value", id.index)};
  for (const Graph::Output& output : graph.outputs())
    for (ValueId id : {output.value, output.updates.valid() ? output.updates : output.value})
      if (missing(id))
        return Violation{{},
                         fmt::format("output {} is or updates value {}, which does not exist",
                                     output.name, id.index)};
  return first_node(graph, [&](const Node& node, NodeId id) -> Found {
    if (!node.op) return Violation{id, "it has no op"};
    for (std::size_t i = 0; i < node.operands.size(); ++i)
      if (missing(node.operands[i]))
        return Violation{id, fmt::format("operand {} is value {}, which does not exist", i,
                                         node.operands[i].index)};
    for (std::size_t i = 0; i < node.results.size(); ++i)
      if (missing(node.results[i]))
        return Violation{id, fmt::format("result {} is value {}, which does not exist", i,
                                         node.results[i].index)};
    return std::nullopt;
  });
}

// Every value is listed exactly where it says it comes from.
Found values_have_one_origin(const Graph& graph) {
  std::vector<int> origins(graph.value_count());
  auto declared = [&](std::span<const ValueId> ids, Value::Kind kind) -> Found {
    for (ValueId id : ids) {
      ++origins[id.index];
      if (graph.value(id).kind != kind)
        return Violation{
            {}, fmt::format("{} is listed as what it is not", value_name(graph.value(id).name))};
    }
    return std::nullopt;
  };
  if (Found found = declared(graph.inputs(), Value::Kind::input)) return found;
  if (Found found = declared(graph.params(), Value::Kind::param)) return found;
  Found results = first_node(graph, [&](const Node& node, NodeId id) -> Found {
    for (std::size_t i = 0; i < node.results.size(); ++i) {
      const Value& value = graph.value(node.results[i]);
      ++origins[node.results[i].index];
      if (value.kind != Value::Kind::result || value.producer != id ||
          value.result_index != static_cast<int>(i))
        return Violation{id, fmt::format("result {} does not say that it comes from here", i)};
    }
    return std::nullopt;
  });
  if (results) return results;
  for (std::size_t i = 0; i < origins.size(); ++i)
    if (origins[i] != 1)
      return Violation{{},
                       fmt::format("value {} ({}) is declared {} times", i,
                                   value_name(graph.value(value_id(i)).name), origins[i])};
  return std::nullopt;
}

Found operands_come_first(const Graph& graph) {
  return first_node(graph, [&](const Node& node, NodeId id) -> Found {
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      const Value& value = graph.value(node.operands[i]);
      if (value.kind == Value::Kind::result && value.producer >= id)
        return Violation{id, fmt::format("operand {} is a result of {} node", i,
                                         value.producer == id ? "this" : "a later")};
    }
    return std::nullopt;
  });
}

Found attributes_are_complete(const Graph& graph) {
  return first_node(graph, [&](const Node& node, NodeId id) -> Found {
    std::size_t declared = 0;
    for (const AttributeSpec& spec : node.op->attributes) {
      const Attribute* value = node.attributes.find(spec.name);
      if (!value) return Violation{id, fmt::format("the attribute {} is missing", spec.name)};
      if (kind(*value) != spec.kind)
        return Violation{id, fmt::format("the attribute {} is {} and not {}", spec.name,
                                         description(kind(*value)), description(spec.kind))};
      ++declared;
    }
    auto given = std::distance(node.attributes.begin(), node.attributes.end());
    if (static_cast<std::size_t>(given) != declared)
      return Violation{id, "it has attributes that its op does not declare"};
    return std::nullopt;
  });
}

Found types_are_inferred(const Graph& graph) {
  return first_node(graph, [&](const Node& node, NodeId id) -> Found {
    Attributes attributes = node.attributes;
    std::vector<TensorType> types;
    try {
      types = check_and_infer(*node.op, types_of(graph, node.operands), attributes);
    } catch (const Error& error) {
      return Violation{id, error.diagnostic().message};
    }
    if (types.size() != node.results.size())
      return Violation{id, fmt::format("it has {} results, and the op declares {}",
                                       node.results.size(), types.size())};
    for (std::size_t i = 0; i < types.size(); ++i)
      if (types[i] != graph.type(node.results[i]))
        return Violation{id,
                         fmt::format("result {} is {}, and the op infers {}", i,
                                     to_string(graph.type(node.results[i])), to_string(types[i]))};
    return std::nullopt;
  });
}

Found names_are_unique(const Graph& graph) {
  std::unordered_set<std::string_view> values, outputs;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(value_id(i));
    if (value.name.empty()) {
      if (value.kind != Value::Kind::result) return Violation{{}, "an input or param has no name"};
      continue;
    }
    if (!values.insert(value.name).second || graph.find(value.name) != value_id(i))
      return Violation{value.producer,
                       fmt::format("two values are named {}", value_name(value.name))};
  }
  for (const Graph::Output& output : graph.outputs())
    if (output.name.empty() || !outputs.insert(output.name).second)
      return Violation{
          {}, fmt::format("the output name {} is empty or given twice", in_quotes(output.name))};
  return std::nullopt;
}

Found updates_fit(const Graph& graph) {
  std::unordered_set<std::uint32_t> updated;
  for (const Graph::Output& output : graph.outputs()) {
    if (!output.updates.valid()) continue;
    const Value& param = graph.value(output.updates);
    if (param.kind != Value::Kind::param || !(param.type == graph.type(output.value)) ||
        !updated.insert(output.updates.index).second)
      return Violation{{},
                       fmt::format("the output {} of type {} updates {}, {}", output.name,
                                   to_string(graph.type(output.value)), value_name(param.name),
                                   to_string(param.type))};
  }
  return std::nullopt;
}

Found initializers_fit(const Graph& graph) {
  for (ValueId id : graph.params()) {
    const Initializer* declared = graph.initializer(id);
    if (!declared) continue;
    try {
      static_cast<void>(completed(*declared, graph.type(id)));
    } catch (const Error& error) {
      return Violation{
          {},
          fmt::format("the initializer of {}, {}: {}", value_name(graph.value(id).name),
                      to_string(graph.type(id)), error.diagnostic().message)};
    }
  }
  return std::nullopt;
}

// The symbols that the types of inputs and params bring.
std::unordered_set<std::string> bound_symbols(const Graph& graph) {
  std::unordered_set<std::string> bound;
  auto collect = [&](std::span<const ValueId> ids) {
    for (ValueId id : ids) {
      for (const Dim& dim : graph.type(id).shape) {
        std::vector<std::string> names;
        dim.collect_symbols(names);
        bound.insert(names.begin(), names.end());
      }
    }
  };
  collect(graph.inputs());
  collect(graph.params());
  return bound;
}

std::optional<std::string> unbound_symbol(const std::unordered_set<std::string>& bound,
                                          const Shape& shape) {
  std::vector<std::string> names;
  for (const Dim& dim : shape)
    if (!dim.is_constant()) dim.collect_symbols(names);
  for (std::string& name : names)
    if (!bound.contains(name)) return std::move(name);
  return std::nullopt;
}

// In a dimension of a result, or of an attribute.
Found symbols_are_bound(const Graph& graph) {
  std::unordered_set<std::string> bound = bound_symbols(graph);
  return first_node(graph, [&](const Node& node, NodeId id) -> Found {
    auto unbound = [&](const Shape& shape) -> Found {
      if (std::optional<std::string> name = unbound_symbol(bound, shape))
        return Violation{id, fmt::format("the symbol {} of {} occurs in no input or param", *name,
                                         to_string(shape))};
      return std::nullopt;
    };
    for (ValueId result : node.results)
      if (Found found = unbound(graph.type(result).shape)) return found;
    for (const auto& [name, value] : node.attributes)
      if (const Shape* shape = std::get_if<Shape>(&value))
        if (Found found = unbound(*shape)) return found;
    return std::nullopt;
  });
}

constexpr std::array<VerifierRule, 9> kRules{{
    {"ids-exist", "every id of an operand, result, input, param or output is that of a value",
     ids_exist},
    {"one-origin", "a value is one input, one param or one result, and knows which",
     values_have_one_origin},
    {"operands-first", "an operand is an input, a param or a result of an earlier node",
     operands_come_first},
    {"complete-attributes",
     "a node has exactly the attributes that its op declares, of their kinds",
     attributes_are_complete},
    {"inferred-types", "the results have the types that the op's declaration infers",
     types_are_inferred},
    {"unique-names",
     "inputs, params and outputs have names, and no two values or outputs share one",
     names_are_unique},
    {"updates-fit", "an output updates a param of its type, which no other output updates",
     updates_fit},
    {"initializers-fit", "the initializer of a param is a known one that fits its type",
     initializers_fit},
    {"bound-symbols", "every symbol occurs in the type of an input or param", symbols_are_bound},
}};

std::string report(const Graph& graph, std::string_view stage, const VerifierRule& rule,
                   const Violation& violation) {
  std::string text = "internal error: the graph is malformed";
  if (!stage.empty()) text += fmt::format(" after {}", stage);
  text += fmt::format("\nrule {}: {}", rule.name, rule.meaning);
  if (violation.node.valid()) {
    const Node& node = graph.node(violation.node);
    text += fmt::format("\nnode {}", violation.node.index);
    if (node.op) text += ", " + node.op->name;
    if (node.location.known()) text += ", declared at " + node.location.to_string();
  }
  text += ": " + violation.message;
  // Without the first rule the graph cannot even be printed.
  if (rule.find == ids_exist) return text;
  if (violation.node.valid())
    text += "\n" + print(graph, violation.node, {.types = true, .elide = true});
  return text + "\n\n" + print(graph, {.types = true, .elide = true});
}

void check_value(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  const TensorType& type = value.type;
  if (value.kind == Value::Kind::result) return;
  std::vector<std::string> symbols;
  for (const Dim& dim : type.shape) dim.collect_symbols(symbols);
  for (const std::string& symbol : symbols) {
    if (!is_identifier(symbol))
      throw Error(
          value.location,
          fmt::format("{} is no name for a symbol; use letters, digits and _, and a letter first",
                      in_quotes(symbol)));
    if (symbol.size() > kLongestSymbol)
      throw Error(value.location,
                  fmt::format("the symbol {} has {} characters; {} are the most",
                              shortened(symbol, kLongestSymbol), symbol.size(), kLongestSymbol));
  }
}

// Every symbol must follow from the sizes of inputs and params: as a dimension of its own, or
// solved from one in which it is the only unknown and linear, as bind_symbols() does it.
void check_symbols_follow(const Graph& graph) {
  struct Site {
    ValueId value;
    const Dim* dim;
  };
  std::vector<Site> sites;
  std::unordered_set<std::string> known;
  for (auto ids : {graph.inputs(), graph.params()})
    for (ValueId id : ids)
      for (const Dim& dim : graph.type(id).shape) {
        if (std::optional<std::string> symbol = dim.as_symbol()) {
          known.insert(*symbol);
        } else if (!dim.is_constant()) {
          sites.push_back({id, &dim});
        }
      }
  auto unknown_in = [&](const Dim& dim) {
    std::vector<std::string> names;
    dim.collect_symbols(names);
    std::erase_if(names, [&](const std::string& name) { return known.contains(name); });
    return names;
  };
  auto is_solved = [&](const Site& site) {
    std::vector<std::string> unknown = unknown_in(*site.dim);
    if (unknown.size() == 1 && degree_in(*site.dim, unknown[0]) == 1) known.insert(unknown[0]);
    return unknown_in(*site.dim).empty();
  };
  while (std::erase_if(sites, is_solved) > 0) continue;
  if (sites.empty()) return;
  throw Error(graph.value(sites[0].value).location,
              fmt::format("the size of symbol {0} follows from no input or param; one of them must "
                          "have {0} for a dimension",
                          unknown_in(*sites[0].dim)[0]));
}

}  // namespace

std::span<const VerifierRule> verifier_rules() { return kRules; }

void verify(const Graph& graph, std::string_view stage) {
  for (const VerifierRule& rule : kRules)
    if (Found violation = rule.find(graph))
      throw InternalError(report(graph, stage, rule, *violation));
}

void check_graph(const Graph& graph) {
  for (std::size_t i = 0; i < graph.value_count(); ++i) check_value(graph, value_id(i));
  if (Found violation = symbols_are_bound(graph)) {
    const Node& node = graph.node(violation->node);
    throw Error(node.location, fmt::format("{}: {}", node.op->name, violation->message));
  }
  check_symbols_follow(graph);
}

}  // namespace weir
