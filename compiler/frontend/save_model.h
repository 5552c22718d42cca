// Models to files, by the ending of the file's name:
//   .weir   the text form, and the values of the params in the .safetensors file beside it
//   .onnx   an ONNX file (compiler/frontend/onnx/export.h)
#pragma once

#include <string>
#include <vector>

#include "compiler/frontend/onnx/export.h"
#include "ir/builder.h"

namespace weir {

// The files that saving under this name may write, the model first. Error for another ending.
std::vector<std::string> files_of_model(const std::string& path);

// Writes the model: all of its files, or none if something fails. A .weir file of a graph without
// params has no other beside it. Error for another ending, for a param without a value, and for
// what the format cannot hold.
void save_model(const std::string& path, const Model& model, const OnnxExportOptions& onnx = {});

}  // namespace weir
