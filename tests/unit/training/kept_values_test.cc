// What the table of kept values prints is what lies in memory between the passes: by the calls and
// the memory plan of the program, and by running it in two halves, with what lies in the workspace
// overwritten in between.
#include "compiler/rematerialize/kept_values.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include <gtest/gtest.h>

#include "compiler/codegen/jit.h"
#include "compiler/initialize.h"
#include "compiler/lowering/lower.h"
#include "compiler/lowering/memory_plan.h"
#include "compiler/pipeline.h"
#include "compiler/weight_block.h"
#include "runtime/workspace.h"
#include "tests/support/graphs.h"
#include "tests/unit/training/networks.h"
#include "tests/unit/training/workspace_places.h"

namespace weir {
namespace {

using test::Placed;
using test::Step;

std::vector<Step> all_steps() {
  std::vector<Step> steps = test::small_steps();
  steps.push_back({"discriminator", test::discriminator_step(64, {64, 128, 256, 512})});
  steps.push_back({"critic", test::wgan_step()});
  return steps;
}

constexpr const char* kProcessors[] = {"x86-64", "x86-64-v3", "x86-64-v4", "znver5"};

// The number behind a line's last space; 0 without the line.
std::uint64_t printed(const std::string& table, const std::string& line) {
  std::size_t begin = table.find(line);
  if (begin == std::string::npos) return 0;
  const std::string text = table.substr(begin, table.find('\n', begin + 1) - begin);
  return std::stoull(text.substr(text.rfind(' ')));
}

// What is printed is the size of the buffers that the forward pass writes and the backward pass
// reads, with their frames and in the order that they lie in; and all of them lie in the workspace
// at once.
void expect_measured(const Graph& chosen, const Program& program, const Dim::Bindings& sizes) {
  const std::string table = print_kept_values(chosen, program, sizes);
  const std::set<std::uint32_t> kept = test::kept_buffers(chosen, program);
  const std::map<std::uint32_t, Placed> places = test::placed(program, sizes);
  std::uint64_t bytes = 0, in_workspace = 0;
  for (std::uint32_t buffer : kept) {
    bytes += test::bytes_of(program.buffers[buffer], sizes);
    if (auto place = places.find(buffer); place != places.end())
      in_workspace += place->second.end - place->second.begin;
  }
  EXPECT_EQ(printed(table, "\nin all "), bytes) << table;
  EXPECT_EQ(printed(table, "\nof it outside the workspace"), bytes - in_workspace) << table;
  EXPECT_LE(in_workspace, workspace_bytes(program, sizes).value());
}

// One that is a multiple of the eight bits of a byte, and one that is not: the last byte of packed
// bits is then not full.
const Dim::Bindings kBatches[] = {{{"N", 16}}, {{"N", 13}}};

// Bits lie eight rows of the batch to a byte. Returns for how many values that is so.
std::size_t expect_whole_bytes(const std::vector<KeptValue>& values) {
  std::size_t packed = 0;
  for (const KeptValue& kept : values) {
    if (kept.choice != "bits") continue;
    ++packed;
    const std::int64_t elements_of_row =
        element_count({kept.type.shape.begin() + 1, kept.type.shape.end()}).value();
    for (const auto& [rows, bytes] : {std::pair(16, 2), {13, 2}, {8, 1}, {5, 1}})
      EXPECT_EQ(kept.bytes.evaluate({{"N", rows}}).value(), bytes * elements_of_row) << kept.name;
  }
  return packed;
}

TEST(KeptValues, PrintedBytesAreThoseOfTheProgramOnEveryProcessor) {
  const Dim::Bindings sizes = kBatches[0];
  std::size_t with_copies = 0, recomputed = 0, packed = 0;
  for (const Step& step : all_steps()) {
    for (const char* cpu : kProcessors) {
      SCOPED_TRACE(step.name + " " + cpu);
      CompileOptions options;
      options.target = {"x86_64-linux-gnu", cpu, {}};
      std::uint64_t whole = 0;  // of the workspace, at last in an order of the state's own
      for (bool orders_state : {false, true}) {
        options.orders_state = orders_state;
        const Graph chosen = optimize(step.graph, options);
        const Program program = lower_graph(step.graph, options);
        whole = workspace_bytes(program, sizes).value();
        for (const Dim::Bindings& batch : kBatches) expect_measured(chosen, program, batch);
        packed += expect_whole_bytes(kept_values(chosen, program));
        for (const KeptValue& kept : kept_values(chosen, program))
          with_copies += kept.form.find(" as ") != std::string::npos;
      }
      // Half way between the whole workspace and the least of it.
      std::uint64_t least = whole;
      try {
        options.memory_budget = MemoryBudget{0, sizes};
        optimize(step.graph, options);
      } catch (const BudgetError& error) {
        least = error.least();
      }
      options.memory_budget->bytes = least + (whole - least) / 2;
      const Graph chosen = optimize(step.graph, options);
      options.memory_budget.reset();
      options.passes = {"dce"};  // it has been optimized
      const Program program = lower_graph(chosen, options);
      EXPECT_LE(workspace_bytes(program, sizes).value(), least + (whole - least) / 2);
      for (const Dim::Bindings& batch : kBatches) expect_measured(chosen, program, batch);
      for (const KeptValue& kept : kept_values(chosen, program))
        recomputed += kept.choice == "recomputed";
    }
  }
  EXPECT_GT(with_copies, 0U);
  EXPECT_GT(packed, 0U);
  EXPECT_GT(recomputed, 0U);
}

// A step's program in two halves on one workspace: all calls before the first one of the backward
// pass, and the others.
class HalvedStep {
 public:
  HalvedStep(const Graph& graph, const CompileOptions& options)
      : graph_(graph), chosen_(optimize(graph, options)), program_(lower_graph(graph, options)) {
    const std::vector<bool> backward = test::calls_of_backward_pass(chosen_, program_);
    border_ = static_cast<std::size_t>(std::ranges::find(backward, true) - backward.begin());
    const Target target = resolve_target(options.target);
    for (auto [begin, end] : {std::pair(std::size_t{0}, border_), {border_, backward.size()}})
      halves_.emplace_back(compile_for_loading(part(begin, end), target));
    whole_.emplace(compile_for_loading(program_, target));
    for (std::size_t call = border_; call < backward.size(); ++call)
      if (!backward[call])
        for (std::uint32_t buffer : program_.calls[call].buffers) read_forward_.insert(buffer);
  }

  // New data of so many rows, before anything is run.
  void set_batch(std::int64_t rows) {
    batch_ = rows;
    inputs_.clear();
    outputs_.clear();
    make_data();
  }

  // Outputs and state after a step in which `change` has the workspace between the halves.
  std::vector<char> run(const std::function<void(char*)>& change = {}) {
    start();
    call(halves_[0]);
    if (change) change(static_cast<char*>(workspace_.data()));
    call(halves_[1]);
    return results();
  }
  std::vector<char> run_whole() {
    start();
    call(*whole_);
    return results();
  }

  // What lies in the workspace then and is read by the backward pass, by the table's rows.
  std::map<std::uint32_t, Placed> kept() const {
    std::map<std::uint32_t, Placed> result;
    const auto places = test::placed(program_, sizes());
    for (std::uint32_t buffer : test::kept_buffers(chosen_, program_))
      if (auto place = places.find(buffer); place != places.end() && place->second.first < border_)
        result.insert(*place);
    return result;
  }
  // And what kernels of the forward pass read later.
  std::map<std::uint32_t, Placed> read_forward() const {
    std::map<std::uint32_t, Placed> result;
    for (const auto& [buffer, place] : test::placed(program_, sizes()))
      if (place.first < border_ && read_forward_.contains(buffer)) result.insert({buffer, place});
    return result;
  }
  std::size_t workspace_bytes() const { return fixed_; }
  std::string table() const { return print_kept_values(chosen_, program_, sizes()); }
  const std::string& name(std::uint32_t buffer) const { return program_.buffers[buffer].name; }

 private:
  Dim::Bindings sizes() const { return {{"N", batch_}}; }

  Program part(std::size_t begin, std::size_t end) const {
    Program result = program_;
    result.calls.assign(program_.calls.begin() + static_cast<std::ptrdiff_t>(begin),
                        program_.calls.begin() + static_cast<std::ptrdiff_t>(end));
    std::erase_if(result.checks,
                  [&](const IndexCheck& check) { return check.call < begin || check.call >= end; });
    for (IndexCheck& check : result.checks) check.call -= static_cast<std::uint32_t>(begin);
    return result;
  }

  void make_data() {
    test::Generator generator(5);
    auto tensor = [&](const TensorType& type) {
      Tensor::Sizes tensor_sizes;
      for (const Dim& dim : type.shape) tensor_sizes.push_back(dim.evaluate(sizes()).value());
      return tensor_sizes;
    };
    for (const auto& [name, type] : program_.inputs) {
      Tensor value(type.dtype, tensor(type));
      std::uniform_real_distribution<float> element(0.1F, 0.9F);
      if (type.dtype == DType::f32)
        for (float& x : value.mutable_elements<float>()) x = element(generator);
      inputs_.push_back(std::move(value));
    }
    for (const auto& [name, type] : program_.outputs)
      outputs_.emplace_back(type.dtype, tensor(type));
    Model model{graph_, {}};
    initialize(model, {}, 11);
    if (program_.weight_bytes > 0)
      fill_weight_block(
          program_.weights, model.weights,
          {static_cast<char*>(weights_.reserve(program_.weight_bytes)), program_.weight_bytes},
          nullptr);
    start_.resize(program_.state_bytes);
    for (const StateEntry& entry : program_.state)
      write_state({entry.param, entry.type, entry.offset, entry.bytes, entry.layout.order,
                   entry.layout.panel},
                  model.weights.at(entry.param), start_.data());
    std::size_t most = 0;
    const std::ptrdiff_t dims[] = {batch_};
    for (const LoadedCode* code : {&halves_[0], &halves_[1], &*whole_}) {
      std::size_t per_worker = 0;
      ASSERT_EQ(code->workspace_size()(dims, &fixed_, &per_worker), WEIR_OK);
      most = std::max(most, fixed_ + per_worker);
    }
    workspace_.reserve(most);
    state_.reserve(program_.state_bytes);
  }

  void start() {
    std::memset(workspace_.data(), 0, workspace_.bytes());
    std::memcpy(state_.data(), start_.data(), start_.size());
  }

  void call(const LoadedCode& code) {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const Tensor& input : inputs_) inputs.push_back(input.data());
    for (Tensor& output : outputs_) outputs.push_back(output.mutable_data());
    const std::ptrdiff_t dims[] = {batch_};
    weir_call call{inputs.data(), outputs.data(), weights_.data(), workspace_.data(),
                   dims,          nullptr,        state_.data()};
    ASSERT_EQ(code.program()(&call), WEIR_OK);
  }

  std::vector<char> results() const {
    const char* state = static_cast<const char*>(state_.data());
    std::vector<char> result(state, state + start_.size());
    for (const Tensor& output : outputs_) {
      const char* data = static_cast<const char*>(output.data());
      result.insert(result.end(), data, data + output.byte_count());
    }
    return result;
  }

  Graph graph_, chosen_;
  Program program_;
  std::int64_t batch_ = 1;
  std::size_t border_ = 0;  // the first call of the backward pass
  std::vector<LoadedCode> halves_;
  std::optional<LoadedCode> whole_;
  std::set<std::uint32_t> read_forward_;  // buffers, by later calls of the forward pass
  std::vector<Tensor> inputs_, outputs_;
  std::vector<char> start_;
  Workspace weights_, workspace_, state_;
  std::size_t fixed_ = 0;
};

// The backward pass reads what the table says, whole, and nothing else: results stay when all other
// bytes of the workspace are overwritten between the passes, and change with any half of what is
// kept.
void expect_nothing_else_is_read(HalvedStep& halved) {
  const std::vector<char> expected = halved.run_whole();
  ASSERT_EQ(halved.run(), expected);
  const std::map<std::uint32_t, Placed> kept = halved.kept();
  ASSERT_GE(kept.size(), 2U);
  auto overwrite = [](char* begin, std::uint64_t bytes) {
    std::memset(begin, 0xff, static_cast<std::size_t>(bytes));
  };
  EXPECT_EQ(halved.run([&](char* workspace) {
    std::vector<char> before(workspace, workspace + halved.workspace_bytes());
    overwrite(workspace, halved.workspace_bytes());
    for (const auto& places : {kept, halved.read_forward()})
      for (const auto& [buffer, place] : places)
        std::memcpy(workspace + place.begin, before.data() + place.begin,
                    static_cast<std::size_t>(place.end - place.begin));
  }),
            expected);
  for (const auto& [buffer, place] : kept) {
    const std::uint64_t half = (place.end - place.begin) / 2;
    for (std::uint64_t begin : {place.begin, place.end - half})
      EXPECT_NE(halved.run([&](char* workspace) { overwrite(workspace + begin, half); }), expected)
          << halved.name(buffer) << " from " << begin - place.begin;
  }
}

TEST(KeptValues, NothingElseIsReadByTheBackwardPass) {
  std::vector<std::string> processors{{}};
#if defined(__x86_64__)
  processors.emplace_back("x86-64");
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
    processors.emplace_back("x86-64-v3");
#endif
  std::size_t with_bits = 0;
  for (const Step& step : test::small_steps()) {
    for (const std::string& cpu : processors) {
      CompileOptions options;
      options.target.cpu = cpu;
      options.orders_state = true;
      HalvedStep halved(step.graph, options);
      // Of 5 rows the byte of packed bits is not full.
      for (std::int64_t batch : {8, 5}) {
        halved.set_batch(batch);
        SCOPED_TRACE(fmt::format("{} {} {}\n{}", step.name, cpu, batch, halved.table()));
        expect_nothing_else_is_read(halved);
      }
      with_bits += halved.table().find("  bits ") != std::string::npos;
    }
  }
  EXPECT_GT(with_bits, 0U);
}

}  // namespace
}  // namespace weir
