// Where the outputs of `weir run` go: to standard output, or to the files of --output.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "compiler/frontend/tensor_file.h"
#include "ir/graph.h"

namespace weir::tool {

// Places by the names of the outputs that go there.
using OutputPlaces = std::map<std::string, TensorPlace, std::less<>>;

// The places of `--output NAME=FILE`, each with the name that the output has there. Error if there
// is no such output, if one is given twice, if the ending of a file is none of a format, or if two
// outputs would be written to one place.
OutputPlaces output_places(const Graph& graph, std::span<const std::string> options);

// Each file once.
std::vector<std::string> files_of(const OutputPlaces& places);

// Writes each file once, with all tensors that belong there, and prints the other outputs.
void give_outputs(const Graph& graph, std::span<const Tensor> results, const OutputPlaces& places);

}  // namespace weir::tool
