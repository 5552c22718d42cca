// Models to ONNX files, which other runtimes run: graphs of every kind, gradients and training
// steps included.
//
// A param that is updated becomes an input, with its value as its default if it has one, and an
// output (export_graph.h): who runs the graph feeds one back into the other.
//
// Weights are initializers in the file, or, beyond a size, lie in a file beside it (ONNX's external
// data). The same model gives the same bytes, wherever it lies. docs/onnx.md says how ops are
// written.
#pragma once

#include <cstddef>
#include <string>

#include "ir/builder.h"

namespace weir {

// What the files say wrote them. In its own a reader believes what nodes say of the pass that they
// belong to (ir/notes.h).
inline constexpr const char* kOnnxProducer = "weir";

struct OnnxExportOptions {
  // Bytes of weights that are stored in the file itself, at most. If there are more, tensors of
  // 4096 bytes and more go to external_data_of(path), each at a multiple of 4096.
  std::size_t inline_limit = std::size_t{64} << 20;
};

// The name of the external data file of a model: "model.onnx.data".
std::string external_data_of(const std::string& path);

// The bytes of a file that holds everything. Error for what cannot be exported, at its node; for a
// param without a value that is not updated; and beyond 2 GiB, the most that a file in this format
// can have.
std::string export_onnx(const Model& model);

// Writes the file and, where it is needed, the one beside it: both, or none if something fails. An
// external data file that is not needed (any more) is left alone.
void write_onnx(const std::string& path, const Model& model, const OnnxExportOptions& options = {});

}  // namespace weir
