// Binding of symbols: see ir/bind_symbols.h.
//
// Plain symbols bind first, wherever they stand; then dimensions with one unknown symbol are solved
// until nothing more is learned; at last every dimension is checked, so the order of inputs does
// not matter.

#include "ir/bind_symbols.h"

#include <algorithm>

#include <fmt/format.h>

namespace weir {
namespace {

std::string name_of(const GivenTensor& given) {
  return fmt::format("{} {}", given.kind, given.name);
}

[[noreturn]] void refuse(const GivenTensor& given, std::string_view why) {
  throw Error(given.location,
              fmt::format("{} is declared as {} and given as {}: {}", name_of(given),
                          to_string(*given.type),
                          to_string(given.tensor->dtype(), given.tensor->sizes()), why));
}

// One dimension and the size found there.
struct Site {
  const GivenTensor* given;
  std::size_t axis;

  const Dim& dim() const { return given->type->shape[axis]; }
  std::int64_t size() const { return given->tensor->sizes()[axis]; }
};

struct Binding {
  std::int64_t size;
  Site site;
};
using Known = std::map<std::string, Binding, std::less<>>;

Dim::Bindings plain(const Known& known) {
  Dim::Bindings result;
  for (const auto& [symbol, binding] : known) result.emplace(symbol, binding.size);
  return result;
}

void collect(const Graph& graph, std::span<const ValueId> ids, std::string_view kind,
             const std::map<std::string, Tensor, std::less<>>& tensors,
             std::vector<GivenTensor>& given) {
  std::vector<std::string> missing, declared;
  for (ValueId id : ids) {
    const Value& value = graph.value(id);
    declared.push_back(value.name);
    auto found = tensors.find(value.name);
    if (found == tensors.end()) {
      missing.push_back(fmt::format("{} ({})", value.name, to_string(value.type)));
    } else {
      given.push_back({kind, value.name, &value.type, &found->second, value.location});
    }
  }
  if (!missing.empty())
    throw Error(fmt::format("no value is given for {} {}", kind, fmt::join(missing, ", ")));
  // A weights file may hold more than one graph uses.
  if (kind != "input") return;
  for (const auto& [name, tensor] : tensors)
    if (std::find(declared.begin(), declared.end(), name) == declared.end())
      throw Error(declared.empty() ? fmt::format("there is no input {}; the graph has none", name)
                                   : fmt::format("there is no input {}; the graph has {}", name,
                                                 fmt::join(declared, ", ")));
}

// The size of `symbol` that makes a dimension linear in it come out at `size`, if there is one.
std::optional<std::int64_t> solve(const Dim& dim, const std::string& symbol, std::int64_t size,
                                  Dim::Bindings bindings) {
  if (degree_in(dim, symbol).value_or(2) > 1) return std::nullopt;
  bindings[symbol] = 0;
  std::optional<std::int64_t> at_zero = dim.evaluate(bindings);
  bindings[symbol] = 1;
  std::optional<std::int64_t> at_one = dim.evaluate(bindings);
  std::int64_t slope, rise;
  if (!at_zero || !at_one || __builtin_sub_overflow(*at_one, *at_zero, &slope) ||
      __builtin_sub_overflow(size, *at_zero, &rise) || slope == 0)
    return std::nullopt;
  if (slope == -1) {
    slope = 1;
    if (__builtin_sub_overflow(std::int64_t{0}, rise, &rise)) return std::nullopt;
  }
  if (rise % slope != 0 || rise / slope < 0) return std::nullopt;
  return rise / slope;
}

// Binds what this dimension tells; true if something was learned.
bool learn(const Site& site, bool symbols_only, Known& known) {
  std::vector<std::string> unknown;
  site.dim().collect_symbols(unknown);
  std::erase_if(unknown, [&](const std::string& symbol) { return known.contains(symbol); });
  if (unknown.size() != 1 || (symbols_only && !site.dim().as_symbol())) return false;
  std::optional<std::int64_t> size = solve(site.dim(), unknown.front(), site.size(), plain(known));
  if (!size) return false;
  known.emplace(unknown.front(), Binding{*size, site});
  return true;
}

// The smallest size that a dimension can have, where all of its terms grow with the symbols.
std::int64_t least_size(const Dim& dim) {
  std::int64_t least = 0;
  for (const Dim::Term& term : dim.terms()) {
    if (term.coefficient < 0) return 0;
    if (term.factors.empty()) least = term.coefficient;
  }
  return least;
}

void check(const Site& site, const Known& known) {
  if (std::int64_t least = least_size(site.dim()); !site.dim().is_constant() && site.size() < least)
    refuse(*site.given, fmt::format("dimension {} is {}, which is {} at least", site.axis,
                                    site.dim().to_string(), least));
  std::vector<std::string> symbols;
  site.dim().collect_symbols(symbols);
  for (const std::string& symbol : symbols) {
    if (known.contains(symbol)) continue;
    throw Error(
        site.given->location,
        fmt::format(
            "the size of symbol {} does not follow from the sizes given: {} is {}, declared "
            "as {}",
            symbol, name_of(*site.given),
            to_string(site.given->tensor->dtype(), site.given->tensor->sizes()),
            to_string(*site.given->type)));
  }
  std::optional<std::int64_t> expected = site.dim().evaluate(plain(known));
  if (expected == site.size()) return;
  std::vector<std::string> reasons;
  for (const std::string& symbol : symbols) {
    const Binding& binding = known.find(symbol)->second;
    reasons.push_back(fmt::format("{} is {} by dimension {} of {}", symbol, binding.size,
                                  binding.site.axis, name_of(*binding.site.given)));
  }
  refuse(*site.given,
         reasons.empty() ? fmt::format("dimension {} must be {}", site.axis, site.dim().to_string())
                         : fmt::format("dimension {} is {}, and {}", site.axis,
                                       site.dim().to_string(), fmt::join(reasons, ", ")));
}

std::vector<Site> sites_of(std::span<const GivenTensor> given) {
  std::vector<Site> sites;
  for (const GivenTensor& each : given) {
    if (each.tensor->rank() != each.type->rank()) refuse(each, "the ranks differ");
    for (std::size_t axis = 0; axis < each.tensor->sizes().size(); ++axis)
      sites.push_back({&each, axis});
  }
  return sites;
}

Known learn_all(std::span<const Site> sites) {
  Known known;
  for (const Site& site : sites) learn(site, true, known);
  for (bool learned = true; learned;) {
    learned = false;
    for (const Site& site : sites) learned = learn(site, false, known) || learned;
  }
  return known;
}

}  // namespace

Dim::Bindings known_symbols(std::span<const GivenTensor> given) {
  return plain(learn_all(sites_of(given)));
}

Dim::Bindings bind_symbols(std::span<const GivenTensor> given) {
  for (const GivenTensor& each : given)
    if (each.tensor->dtype() != each.type->dtype) refuse(each, "the element types differ");
  const std::vector<Site> sites = sites_of(given);
  const Known known = learn_all(sites);
  for (const Site& site : sites) check(site, known);
  return plain(known);
}

Dim::Bindings bind_symbols(const Graph& graph, const Inputs& inputs, const Weights& weights) {
  std::vector<GivenTensor> given;
  collect(graph, graph.inputs(), "input", inputs, given);
  collect(graph, graph.params(), "param", weights, given);
  return bind_symbols(given);
}

}  // namespace weir
