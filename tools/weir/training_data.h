// What `weir train` trains on: the files of --data, --targets and --validation, as rows for the
// inputs of a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common.h"
#include "compiler/training/data_set.h"
#include "training_options.h"

namespace weir::tool {

// As given; empty for what is left out.
struct DataArguments {
  std::string data, targets, scale, validation, validation_targets;
  std::vector<std::string> columns;  // of --target
};
void add_data(CLI::App& command, DataArguments& arguments);
// The files that they name.
std::vector<std::string> files_of(const DataArguments& arguments);

// Where a set is from, as given.
struct SetFiles {
  std::string data, targets;
  // Of a .csv file: which columns of it are the targets.
  std::vector<std::int64_t> target_columns;
};

// As the files have them.
struct RawData {
  DataSet training;
  SetFiles training_files, validation_files;
  std::optional<DataSet> validation;      // from files of its own,
  std::optional<double> validation_part;  // or a part of the rows
  double scale = 1;
};
// Error for a tensor of more bytes than `most`.
RawData read_data(const DataArguments& arguments, std::int64_t most);

// The type of the targets that given_training() asks for: that of the model's output if they have a
// number for each class, else i64.
DType type_of_labels(const RawData& raw, const Graph& model);

struct TrainingData {
  DataSet training;
  std::optional<DataSet> validation;
};
// Rows for the model's input and the target. Error if the model has other inputs, if rows do not
// fit them, or if a target is none that the loss takes: with the file, and its place there, if that
// is a table.
TrainingData rows_for(const GivenTraining& training, const RawData& raw, std::uint64_t seed);

}  // namespace weir::tool
