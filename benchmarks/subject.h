// What the benchmarks measure: a compiled model on buffers of the benchmark's, and loops beside it
// that share its threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks/paired.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"

namespace weir::bench {

// A model, what goes in, and what comes out of it by us.
struct Subject {
  std::string name;
  std::vector<std::string> input_names, output_names;
  std::vector<Tensor> inputs, outputs;
};

// Floats on ordinary pages, aligned to a page and touched.
class Buffer {
 public:
  explicit Buffer(std::ptrdiff_t count)
      : data_(static_cast<float*>(std::aligned_alloc(4096, bytes(count))), std::free) {
    if (!data_) throw std::bad_alloc();
    // Both signs, in no pattern that a branch predictor could learn.
    std::uint32_t state = 12345;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      state = state * 1664525u + 1013904223u;
      data_.get()[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
    }
  }

  float* data() const { return data_.get(); }

 private:
  static std::size_t bytes(std::ptrdiff_t count) {
    return (static_cast<std::size_t>(count) * sizeof(float) + 4095) / 4096 * 4096;
  }

  std::unique_ptr<float, decltype(&std::free)> data_;
};

inline Executable compile_text(std::string_view text, const CompileOptions& options = {}) {
  return compile(Model{parse_graph(text, "benchmark"), {}}, options);
}

// One call of a program whose symbols are all `size`, ready to be repeated. What the program is
// given lies together, as on the stack of a caller.
class Call {
 public:
  Call(const Executable& executable, std::ptrdiff_t size, std::span<float* const> inputs,
       float* output, const ThreadPool* pool)
      : output_pointer_(output),
        executable_(executable),
        executor_(pool == nullptr ? nullptr : &pool->executor()),
        program_(executable.program()) {
    if (inputs.size() > input_pointers_.size() || executable.symbols().size() > dims_.size())
      throw Error("a benchmark's call with so many inputs or symbols");
    std::ranges::copy(inputs, input_pointers_.begin());
    dims_.fill(size);
    auto view = [&](const Signature& signature, float* data) {
      Tensor::Sizes sizes;
      for (const Dim& dim : signature.type.shape)
        sizes.push_back(dim.is_constant() ? dim.value() : std::int64_t{size});
      return Tensor::view(DType::f32, std::move(sizes), data);
    };
    for (std::size_t i = 0; i < inputs.size(); ++i)
      inputs_.push_back(view(executable.inputs()[i], inputs[i]));
    outputs_.push_back(view(executable.outputs()[0], output));
    workspace_.resize(
        executable.workspace_bytes(std::span(dims_).first(executable.symbols().size())) +
        WEIR_ALIGNMENT);
    void* aligned = workspace_.data();
    std::size_t space = workspace_.size();
    std::align(WEIR_ALIGNMENT, space - WEIR_ALIGNMENT, aligned, space);
    call_ = {input_pointers_.data(),
             &output_pointer_,
             executable.weights(),
             aligned,
             dims_.data(),
             executor_,
             nullptr};
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Through Executable::run_into, which checks every tensor.
  void run_into() { executable_.run_into(inputs_, outputs_, executor_); }
  // Through the C ABI, which trusts its caller.
  void run_abi() { program_(&call_); }

 private:
  weir_call call_{};
  std::array<const void*, 8> input_pointers_{};
  void* output_pointer_;
  std::array<std::ptrdiff_t, 4> dims_{};
  const Executable& executable_;
  const weir_executor* executor_;
  weir_program program_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<char> workspace_;
};

// Runs body(begin, end) over [0, count): on the calling thread if there is no pool, and otherwise
// in equal parts, four a thread, on the pool.
template <class Body>
void in_parts(std::ptrdiff_t count, ThreadPool* pool, Body body) {
  if (pool == nullptr) {
    body(std::ptrdiff_t{0}, count);
    return;
  }
  struct Loop {
    Body& body;
    std::ptrdiff_t part;
  };
  std::ptrdiff_t parts = 4 * pool->threads();
  Loop loop{body, count / parts};
  pool->begin();
  pool->parallel_for(
      parts,
      [](void* argument, std::ptrdiff_t task, int) {
        auto& [run, part] = *static_cast<Loop*>(argument);
        run(task * part, (task + 1) * part);
      },
      &loop);
  pool->end();
}

}  // namespace weir::bench
