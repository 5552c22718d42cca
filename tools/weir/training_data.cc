#include "training_data.h"

#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "compiler/frontend/csv.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/run_memory.h"
#include "compiler/training/table_data.h"
#include "compiler/training/target_fault.h"

namespace weir::tool {
namespace {

TensorPlace data_place(const std::string& text) {
  std::optional<TensorPlace> place = parse_tensor_place(text);
  if (!place)
    throw Error(
        fmt::format("{} is no file of tensors; they end in {}", shown(text), tensor_endings()));
  return std::move(*place);
}

// One table, of which the columns of --target are the targets.
DataSet read_columns(const std::string& data, const std::vector<std::string>& columns,
                     std::vector<std::string>& order, std::optional<TargetCells>& cells) {
  TensorPlace place = data_place(data);
  if (place.format->ending != ".csv")
    throw Error(fmt::format("--target names columns of a .csv file, and {} is given", shown(data)));
  TableData table = read_table(map_file(place.file), columns, &order);
  cells = {place.file, table.target_columns};
  return table;
}

Tensor read_within(std::int64_t most, const std::string& text, std::string_view name) {
  TensorPlace place = data_place(text);
  Tensor tensor = read_tensor(place, name, nullptr, [&](const TensorHeader& header) {
    try {
      check_bytes(bytes_of_type(header.type, {}), most);
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}", text, error.diagnostic().message));
    }
  });
  if (place.format->ending == ".csv" && tensor.sizes()[0] == 0 &&
      std::filesystem::is_regular_file(place.file))
    refuse_csv_without_rows(map_file(place.file));
  return tensor;
}

DataSet read_set(const std::string& data, const std::string& targets, std::int64_t most,
                 std::optional<TargetCells>& cells) {
  DataSet set{read_within(most, data, "data"), read_within(most, targets, "targets")};
  TensorPlace place = data_place(targets);
  if (place.format->ending == ".csv") {
    std::vector<std::int64_t> columns(static_cast<std::size_t>(set.targets.sizes().back()));
    std::iota(columns.begin(), columns.end(), std::int64_t{0});
    cells = {place.file, std::move(columns)};
  }
  return set;
}

// The cells are as many as the elements, row by row. A pipe cannot be looked at again.
[[noreturn]] void refuse_target(const DataSet& set, const std::optional<TargetCells>& cells,
                                const TargetFault& fault) {
  if (cells && std::filesystem::is_regular_file(cells->file)) {
    auto columns = static_cast<std::int64_t>(cells->columns.size());
    refuse_csv_cell(map_file(cells->file), fault.element / columns,
                    cells->columns[static_cast<std::size_t>(fault.element % columns)],
                    fmt::format("the target is {}", fault.message));
  }
  std::int64_t width = set.targets.element_count() / set.targets.sizes()[0];
  throw Error(fmt::format("row {} of the targets {} {}", fault.element / width,
                          width > 1 ? "has" : "is", fault.message));
}

// How many classes the labels choose from; 0 if the targets are no labels.
std::int64_t classes_of(const GivenTraining& training, const TensorType& target) {
  const TensorType& output = training.graph.type(training.graph.outputs()[0].value);
  if (is_float(target.dtype) || output.rank() != target.rank() + 1) return 0;
  for (int axis = output.rank() - 1; axis >= 0; --axis) {
    Shape shape = output.shape;
    shape.erase(shape.begin() + axis);
    const Dim& classes = output.shape[static_cast<std::size_t>(axis)];
    if (shape == target.shape && classes.is_constant()) return classes.value();
  }
  return 0;
}

}  // namespace

void add_data(CLI::App& command, DataArguments& arguments) {
  add_value(command, "--data", arguments.data, "FILE",
            "What the model is given: a file of tensors, FILE:NAME for one of several in it, as "
            "for weir run. Its first dimension counts rows.")
      ->required();
  CLI::Option* targets = add_value(command, "--targets", arguments.targets, "FILE",
                                   "What each row shall give. This or --target is required.");
  add_list(
      command, "--target", arguments.columns, "COLUMN",
      "In place of --targets: the name or the number of a column of --data FILE.csv; all other "
      "columns are the data. Several: --target height,width.",
      true)
      ->excludes(targets);
  add_value(command, "--scale", arguments.scale, "R",
            "Multiplies the data, of the validation as well; whoever uses the model has to do so, "
            "too.");
  add_value(command, "--validation", arguments.validation, "FILE",
            "Rows that are not trained on: data of their own, or a number from 0 to 1, the part of "
            "the rows that is drawn from --data. The params that do best on them are written: of "
            "the highest accuracy, if the targets are labels, else of the least loss.");
  add_value(command, "--validation-targets", arguments.validation_targets, "FILE",
            "The targets of --validation FILE; left out if they are in the same file.");
}

std::vector<std::string> files_of(const DataArguments& arguments) {
  std::vector<std::string> files;
  for (const std::string* text :
       {&arguments.data, &arguments.targets, &arguments.validation, &arguments.validation_targets})
    if (std::optional<TensorPlace> place = parse_tensor_place(*text)) files.push_back(place->file);
  return files;
}

RawData read_data(const DataArguments& arguments, std::int64_t most) {
  RawData raw;
  bool is_table = !arguments.columns.empty();
  if (!is_table && arguments.targets.empty())
    throw Error("the targets are missing: give --targets FILE, or --target COLUMN of a .csv file");
  std::vector<std::string> order;  // of the columns of a table
  raw.training = is_table
                     ? read_columns(arguments.data, arguments.columns, order, raw.training_cells)
                     : read_set(arguments.data, arguments.targets, most, raw.training_cells);
  if (!arguments.scale.empty()) {
    raw.scale = number_of(arguments.scale, "--scale", -kLargestNumber);
    if (raw.scale == 0) throw Error("--scale 0 leaves nothing of the data");
  }
  if (arguments.validation.empty()) {
    if (!arguments.validation_targets.empty())
      throw Error("--validation-targets needs --validation FILE");
    return raw;
  }
  raw.validation_part = as_number(arguments.validation);
  if (raw.validation_part) {
    number_of(arguments.validation, "--validation", 0, 1);
    if (!arguments.validation_targets.empty())
      throw Error("--validation-targets needs --validation FILE, and a number is given");
    return raw;
  }
  if (is_table) {
    if (!arguments.validation_targets.empty())
      throw Error("--validation-targets is for --targets; with --target they are columns");
    raw.validation =
        read_columns(arguments.validation, arguments.columns, order, raw.validation_cells);
    return raw;
  }
  TensorPlace place = data_place(arguments.validation);
  std::string targets = arguments.validation_targets;
  if (targets.empty()) {
    if (!place.format->is_named())
      throw Error(fmt::format("the targets of {} are missing: give them by --validation-targets",
                              shown(arguments.validation)));
    std::string name = data_place(arguments.targets).name;
    targets = name.empty() ? place.file : fmt::format("{}:{}", place.file, name);
  }
  raw.validation = read_set(arguments.validation, targets, most, raw.validation_cells);
  return raw;
}

DType type_of_labels(const RawData& raw, const Graph& model) {
  const Tensor& targets = raw.training.targets;
  if (model.outputs().empty() || !is_float(targets.dtype())) return DType::i64;
  const TensorType& output = model.type(model.outputs()[0].value);
  bool for_each_class =
      targets.rank() == output.rank() && targets.rank() > 1 && targets.sizes().back() > 1;
  return for_each_class && is_float(output.dtype) ? output.dtype : DType::i64;
}

TrainingData rows_for(const GivenTraining& training, const RawData& raw, std::uint64_t seed) {
  const Graph& graph = training.graph;
  if (graph.inputs().size() != 2) {
    std::size_t own = graph.inputs().size() - (training.target.empty() ? 0 : 1);
    throw Error(fmt::format(
        "{} has {} input{}; a model that is trained here takes the data, and {}", graph.name(), own,
        own == 1 ? "" : "s",
        training.target.empty() ? "the targets of its loss" : "its loss is behind its output"));
  }
  const TensorType& data = graph.type(graph.inputs()[0]);
  const TensorType& target = graph.type(graph.inputs()[1]);
  std::int64_t classes = classes_of(training, target);
  auto rows = [&](const DataSet& set, const std::optional<TargetCells>& cells) {
    auto check = [&](const std::optional<TargetFault>& fault) {
      if (fault) refuse_target(set, cells, *fault);
    };
    DataSet result{as_rows_of(set.data, data, "data", raw.scale), {}};
    if (set.targets.rank() > 0 && !is_float(target.dtype) && is_float(set.targets.dtype()))
      check(find_fraction(set.targets));
    result.targets = as_rows_of(set.targets, target, "targets");
    check_data(result);
    if (classes > 0) check(find_label_fault(result.targets, classes));
    check(find_target_fault(graph, graph.inputs()[1], result.targets));
    return result;
  };
  TrainingData result{rows(raw.training, raw.training_cells), std::nullopt};
  try {
    if (raw.validation) result.validation = rows(*raw.validation, raw.validation_cells);
  } catch (const Error& error) {
    if (error.diagnostic().location.known()) throw;
    throw Error(fmt::format("of the validation: {}", error.diagnostic().message));
  }
  if (raw.validation_part) {
    auto [first, second] = split(result.training, *raw.validation_part, seed);
    result = {std::move(first), std::move(second)};
  }
  return result;
}

}  // namespace weir::tool
