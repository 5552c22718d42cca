#include "training_data.h"

#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "compiler/frontend/csv.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/open_file.h"
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
                     std::vector<std::string>& order, SetFiles& files) {
  TensorPlace place = data_place(data);
  if (place.format->ending != ".csv")
    throw Error(fmt::format("--target names columns of a .csv file, and {} is given", shown(data)));
  TableData table = read_table(map_file(place.file), columns, &order);
  files = {data, data, table.target_columns};
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
                 SetFiles& files) {
  DataSet set{read_within(most, data, "data"), read_within(most, targets, "targets")};
  files = {data, targets, {}};
  if (data_place(targets).format->ending == ".csv") {
    files.target_columns.resize(static_cast<std::size_t>(set.targets.sizes().back()));
    std::iota(files.target_columns.begin(), files.target_columns.end(), std::int64_t{0});
  }
  return set;
}

// The cells are as many as the elements, row by row. A pipe cannot be looked at again.
[[noreturn]] void refuse_target(const DataSet& set, const SetFiles& files,
                                const TargetFault& fault) {
  std::string path = data_place(files.targets).file;
  if (!files.target_columns.empty() && std::filesystem::is_regular_file(path)) {
    auto columns = static_cast<std::int64_t>(files.target_columns.size());
    refuse_csv_cell(map_file(path), fault.element / columns,
                    files.target_columns[static_cast<std::size_t>(fault.element % columns)],
                    fmt::format("the target is {}", fault.message));
  }
  std::int64_t width = set.targets.element_count() / set.targets.sizes()[0];
  refuse_file(files.targets, fmt::format("row {} of the targets {} {}", fault.element / width,
                                         width > 1 ? "has" : "is", fault.message));
}

// as_rows_of(), whose errors name the file, unless no rows would fit the input.
Tensor rows_from(const std::string& file, const Tensor& tensor, const TensorType& input,
                 std::string_view what, double scale = 1) try {
  return as_rows_of(tensor, input, what, scale);
} catch (const Error& error) {
  if (input.shape.empty() || input.shape[0].is_constant()) throw;
  refuse_file(file, error.diagnostic().message);
}

// How many classes the labels choose from by the shape of the first output; 0 if they are none of
// it.
std::int64_t classes_by_shape(const GivenTraining& training, const TensorType& target) {
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

// The axis of the output along which labels of these rows would have their classes, where they do
// not fit the input; 0 if there is none.
int axis_of_classes(const TensorType& output, const TensorType& input, const Tensor& labels) {
  if (labels.rank() == 0 || labels.element_count() == 0) return 0;
  const std::int64_t wanted = labels.element_count() / labels.sizes()[0];
  for (int axis = 1; axis < output.rank(); ++axis) {
    Shape shape = output.shape;
    shape.erase(shape.begin() + axis);
    if (shape == input.shape) continue;
    Tensor::Sizes row;
    for (std::size_t i = 1; i < shape.size(); ++i)
      row.push_back(shape[i].is_constant() ? shape[i].value() : 0);
    if (checked_element_count(DType::u8, row) == wanted) return axis;
  }
  return 0;
}

// Labels for a loss behind the output. It looks for the classes along the last axis unless it is
// told otherwise, and images have them along axis 1.
Tensor labels_from(const std::string& file, const Tensor& tensor, const TensorType& input,
                   const TensorType& output) try {
  return rows_from(file, tensor, input, "targets");
} catch (const Error& error) {
  const int axis = axis_of_classes(output, input, tensor);
  if (axis == 0) throw;
  refuse_file(file, fmt::format("{}; they fit as labels of the {} classes along axis {} of {}: "
                                "--loss cross_entropy:axis={}",
                                error.diagnostic().message,
                                output.shape[static_cast<std::size_t>(axis)].to_string(), axis,
                                to_string(output), axis));
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
                     ? read_columns(arguments.data, arguments.columns, order, raw.training_files)
                     : read_set(arguments.data, arguments.targets, most, raw.training_files);
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
        read_columns(arguments.validation, arguments.columns, order, raw.validation_files);
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
  raw.validation = read_set(arguments.validation, targets, most, raw.validation_files);
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
  std::int64_t classes = classes_of_labels(graph, graph.inputs()[1]);
  if (classes == 0) classes = classes_by_shape(training, target);
  auto rows = [&](const DataSet& set, const SetFiles& files) {
    auto check = [&](const std::optional<TargetFault>& fault) {
      if (fault) refuse_target(set, files, *fault);
    };
    DataSet result{rows_from(files.data, set.data, data, "data", raw.scale), {}};
    if (set.targets.rank() > 0 && !is_float(target.dtype) && is_float(set.targets.dtype()))
      check(find_fraction(set.targets));
    result.targets =
        training.target.empty() || is_float(target.dtype)
            ? rows_from(files.targets, set.targets, target, "targets")
            : labels_from(files.targets, set.targets, target, graph.type(graph.outputs()[0].value));
    check_data(result);
    if (classes > 0) check(find_label_fault(result.targets, classes));
    check(find_target_fault(graph, graph.inputs()[1], result.targets));
    if (std::optional<AxisFault> fault = find_axis_fault(graph, graph.inputs()[1], result.targets))
      warn(
          fmt::format("{}: the targets add up to 1 along axis {}, and not along axis {}, where "
                      "the loss has its classes; axis={} is an option of cross_entropy",
                      files.targets, fault->other, fault->axis, fault->other));
    return result;
  };
  TrainingData result{rows(raw.training, raw.training_files), std::nullopt};
  try {
    if (raw.validation) result.validation = rows(*raw.validation, raw.validation_files);
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
