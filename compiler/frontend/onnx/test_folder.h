// ONNX's test folders: a model, and what it must compute from given inputs.
//
//   FOLDER/model.onnx
//   FOLDER/test_data_set_K/input_I.pb    the inputs of the graph that are no initializers, in order
//   FOLDER/test_data_set_K/output_I.pb   the outputs of the graph, in order
//   FOLDER/gradients.npz                 optional: cotangent, and gradients of
//                                        sum(output * cotangent) at the first data set as
//                                        input:NAME and param:NAME
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/load_limits.h"
#include "ir/builder.h"

namespace weir {

struct TestData {
  std::string name;  // of its folder
  std::map<std::string, Tensor, std::less<>> inputs;
  std::vector<Tensor> outputs;
};

struct TestFolder {
  std::string model;  // the path of the file
  std::vector<TestData> data;
  std::optional<Weights> gradients;
};

// The folders at or below `folder` that hold a model.onnx, sorted by path; links to folders are not
// followed. Error if there is no such folder.
std::vector<std::string> find_test_folders(const std::string& folder);

// Error for a model that is none or asks for more than the limits, for files that are missing or
// too many, and for tensors that are wrong; Unsupported for inputs and outputs that are sequences,
// optionals or maps, and for element types that Weir does not have. Gradients are read if asked
// for.
TestFolder read_test_folder(const std::string& folder, bool with_gradients,
                            const LoadLimits& limits = {});

}  // namespace weir
