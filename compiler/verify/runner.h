// A model of a test folder, ready to run.
#pragma once

#include <optional>
#include <vector>

#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/pipeline.h"
#include "compiler/verify.h"
#include "ir/bind_symbols.h"

namespace weir::verification {

// The model for the inputs of a data set: without symbols and inputs that those decide.
Model load(const TestFolder& folder, const TestData& data, const LoadLimits& limits);

// Compiled, or to be interpreted, as the options say.
class Runner {
 public:
  Runner(Model model, const VerifyOptions& options);

  const Graph& graph() const { return model_.graph; }

  // Of the tensors, those that are inputs of the graph are used.
  std::vector<Tensor> run(const Inputs& tensors) const;
  // Of a compiled model: the same on the calling thread alone if run() has several threads, and on
  // two if it has one. Nothing of one that is interpreted.
  std::vector<Tensor> run_on_other_threads(const Inputs& tensors) const;

 private:
  Inputs inputs_among(const Inputs& tensors) const;

  Model model_;
  const VerifyOptions& options_;
  std::optional<Executable> executable_;
};

}  // namespace weir::verification
