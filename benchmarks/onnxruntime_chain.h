// A graph of f32 vectors of one length in ONNX Runtime, on the caller's arrays: exported as it is,
// and run through the C API (tests/support/onnxruntime.h).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/onnx/export.h"
#include "ir/text.h"
#include "tests/support/onnxruntime.h"

namespace weir::bench {

using test::OnnxRuntime;

// A session of the graph, and views of the caller's arrays: its inputs, then its output.
class OnnxChain {
 public:
  OnnxChain(const OnnxRuntime& runtime, std::string_view text, int threads,
            std::span<float* const> arrays, std::int64_t count, bool rests)
      : graph_(parse_graph(text, "chain.weir")),
        session_(runtime, export_onnx({graph_, {}}), threads, rests) {
    for (float* array : arrays)
      values_.emplace_back(runtime, Tensor::view(DType::f32, {count}, array));
    for (ValueId input : graph_.inputs()) names_.push_back(graph_.value(input).name.c_str());
    for (const test::OnnxTensor& value : values_) inputs_.push_back(value.value());
    outputs_.push_back(values_.back().value());
    inputs_.pop_back();
  }

  void run() { session_.run(names_, inputs_, {graph_.outputs()[0].name.c_str()}, outputs_); }

 private:
  Graph graph_;
  test::OnnxSession session_;
  std::vector<test::OnnxTensor> values_;
  std::vector<const char*> names_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
};

}  // namespace weir::bench
