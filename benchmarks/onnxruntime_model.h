// A session of ONNX Runtime on a subject's inputs, with outputs of its own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "benchmarks/subject.h"
#include "tests/support/onnxruntime.h"

namespace weir::bench {

class OnnxModel {
 public:
  OnnxModel(const test::OnnxRuntime& runtime, test::OnnxSession session, const Subject& subject)
      : session_(std::move(session)),
        names_of_inputs_(subject.input_names),
        names_of_outputs_(subject.output_names) {
    for (const Tensor& tensor : subject.inputs) values_.emplace_back(runtime, tensor);
    for (const Tensor& tensor : subject.outputs) {
      results_.emplace_back(tensor.dtype(), tensor.sizes());
      values_.emplace_back(runtime, results_.back());
    }
    for (const std::string& name : names_of_inputs_) input_names_.push_back(name.c_str());
    for (const std::string& name : names_of_outputs_) output_names_.push_back(name.c_str());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (i < subject.inputs.size())
        inputs_.push_back(values_[i].value());
      else
        outputs_.push_back(values_[i].value());
    }
  }

  OnnxModel(const OnnxModel&) = delete;
  OnnxModel& operator=(const OnnxModel&) = delete;

  void run() { session_.run(input_names_, inputs_, output_names_, outputs_); }
  const std::vector<Tensor>& results() const { return results_; }

 private:
  test::OnnxSession session_;
  std::vector<std::string> names_of_inputs_, names_of_outputs_;
  std::vector<Tensor> results_;
  std::vector<test::OnnxTensor> values_;
  std::vector<const char*> input_names_, output_names_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
};

// Error where somebody else's results are others.
inline void check_results(const Subject& subject, const char* whose,
                          const std::vector<Tensor>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    double difference = compare(subject.outputs[i], results[i]).relative();
    if (!(difference <= 1e-4))
      throw Error(fmt::format("{}: {}'s {} differs by {:.3g}", subject.name, whose,
                              subject.output_names[i], difference));
  }
}

// A model on inputs, and what comes out of it.
inline Subject subject_of(std::string name, const Executable& executable,
                          std::vector<Tensor> inputs) {
  Subject subject{std::move(name), {}, {}, std::move(inputs), {}};
  for (const Signature& input : executable.inputs()) subject.input_names.push_back(input.name);
  for (const Signature& output : executable.outputs()) subject.output_names.push_back(output.name);
  subject.outputs = executable.run(subject.inputs);
  return subject;
}

}  // namespace weir::bench
