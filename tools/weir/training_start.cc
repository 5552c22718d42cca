#include "training_start.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "compiler/frontend/model_file.h"
#include "compiler/initialize.h"
#include "compiler/training/lone_value.h"
#include "ir/escape.h"

namespace weir::tool {
namespace {

// Where the values of the params are from: `place`, if there are any, and new ones by the seed.
std::string start_line(const Model& model, const std::string& place, std::uint64_t seed) {
  std::vector<std::string> drawn;
  for (ValueId param : model.graph.params())
    if (const std::string& name = model.graph.value(param).name; !model.weights.contains(name))
      drawn.push_back(value_name(name));
  if (drawn.empty()) return fmt::format("starts from {}\n", place);
  if (model.weights.empty()) return fmt::format("starts from new values, by the seed {}\n", seed);
  return fmt::format("starts from {}, and new values of {}, by the seed {}\n", place,
                     fmt::join(drawn, ", "), seed);
}

}  // namespace

TrainingStart read_start(const std::string& model, const std::string& weights,
                         const LoadLimits& limits, std::uint64_t seed) {
  std::optional<std::string> given = weights.empty() ? std::nullopt : std::optional(weights);
  TrainingStart start;
  start.model = load_model_to_train(model, given, limits, &start.files);
  bool is_in_model = !given && model.ends_with(".onnx");
  std::string place = printable(is_in_model ? model : start.files.back());
  if (!given && !is_in_model && start.files.size() > 1) {
    start.beside = start.files.back();
    place += fmt::format(", which lies beside {}", printable(model));
  }
  start.line = start_line(start.model, place, seed);
  initialize(start.model, {"he"}, seed);
  return start;
}

void check_beside(const TrainingStart& start, const std::string& model,
                  std::span<const std::string> written) {
  for (const std::string& path : written) {
    std::error_code ignored;
    if (!start.beside.empty() && std::filesystem::equivalent(start.beside, path, ignored))
      throw Error(
          fmt::format("{} lies beside {}, so the training starts from its values, and would "
                      "overwrite them; give the output another name, or move the file away to "
                      "start from new values",
                      printable(path), printable(model)));
  }
}

void check_batches(const Graph& graph, const DataSet& set, std::int64_t batch) {
  const std::int64_t rows = set.rows();
  if (batch > rows) return;
  auto find = [&](std::int64_t count) {
    return find_lone_value(graph, sizes_of_batch(graph, set, count));
  };
  auto sentence = [](std::string_view which, std::int64_t count, const std::string& has) {
    return fmt::format(
        "{} has {} row{}, and so {}: normalized by itself alone that is 0, and "
        "nothing in front of it is trained",
        which, count, count == 1 ? "" : "s", has);
  };
  if (std::optional<Diagnostic> fault = find(batch)) {
    fault->message = sentence("a batch", batch, fault->message) +
                     (batch < rows ? "; give a larger --batch" : "; it takes more rows");
    throw Error(std::move(*fault));
  }
  if (batch == rows) return;
  auto last = [&](std::int64_t of) -> std::optional<Diagnostic> {
    return rows % of == 0 ? std::nullopt : find(rows % of);
  };
  std::optional<Diagnostic> fault = last(batch);
  if (!fault) return;
  std::int64_t better = batch + 1;
  while (last(better)) ++better;
  warn(fmt::format("{}: {}; --batch {} leaves none so", fault->location.to_string(),
                   sentence("the last batch of an epoch", rows % batch, fault->message), better));
}

std::string unreached_line(std::span<const std::string> params) {
  constexpr std::size_t kShown = 8;
  if (params.empty()) return "";
  std::vector<std::string> names;
  for (const std::string& name : params.first(std::min(params.size(), kShown)))
    names.push_back(value_name(name));
  std::string more =
      params.size() > kShown ? fmt::format(" and {} more", params.size() - kShown) : "";
  bool one = params.size() == 1;
  return fmt::format("{}{} {}: no path with a derivative leads from {} to the loss\n",
                     fmt::join(names, ", "), more, one ? "stays as it is" : "stay as they are",
                     one ? "it" : "them");
}

}  // namespace weir::tool
