// The layout of the table of kept values.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/frontend/model_file.h"
#include "compiler/pipeline.h"
#include "compiler/rematerialize/kept_values.h"
#include "compiler/rematerialize/pass_boundary.h"
#include "tests/support/graphs.h"
#include "tests/unit/training/networks.h"

namespace weir {
namespace {

using test::Step;

std::string without_layout(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  text.erase(
      std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
      text.end());
  return text;
}

// No line is wider than a terminal, whatever the names, sizes and copies are, and every row is
// there, in its order.
void expect_terminal_width(const Graph& chosen, const Program& program) {
  const std::string table = print_kept_values(chosen, program);
  for (std::size_t begin = 0; begin < table.size(); begin = table.find('\n', begin) + 1)
    EXPECT_LE(table.find('\n', begin) - begin, 80U) << table;
  const std::string text = without_layout(table);
  std::size_t place = 0;
  for (const KeptValue& kept : kept_values(chosen, program)) {
    const std::string row =
        fmt::format("{}: {} {}{}{} {} ", kept.name, to_string(kept.type), kept.choice,
                    kept.form.empty() ? "" : ", ", kept.form, kept.bytes.to_string());
    place = text.find(row, place);
    ASSERT_NE(place, text.npos) << row << "\n" << table;
  }
}

// The gradients of all params of each example, and a step where it is a classifier; and of a model
// with the names of an exporter and sizes that are known at the call.
std::vector<Step> steps_of_examples() {
  std::vector<Graph> models{test::parse(
      R"(graph @exported(%"/net/input": f32[batch, 3, height, width]) -> (f32[]) {
  param %"/net/layers/layers.0/conv/Conv.weight": f32[16, 3, 3, 3]
  param %"/net/layers/layers.1/conv/Conv.weight": f32[24, 16, 3, 3]
  %"/net/layers/layers.0/conv/Conv_output_0" = conv(%"/net/input", %"/net/layers/layers.0/conv/Conv.weight") {strides = [2, 2], low = [1, 1], high = [1, 1]}
  %"/net/layers/layers.0/activation/LeakyRelu_output_0" = leaky_relu(%"/net/layers/layers.0/conv/Conv_output_0")
  %"/net/layers/layers.1/conv/Conv_output_0" = conv(%"/net/layers/layers.0/activation/LeakyRelu_output_0", %"/net/layers/layers.1/conv/Conv.weight") {strides = [2, 2], low = [1, 1], high = [1, 1]}
  %y = tanh(%"/net/layers/layers.1/conv/Conv_output_0")
  %loss = reduce_sum(%y)
  return %loss
})")};
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(WEIR_SOURCE_DIR "/examples"))
    if (entry.path().extension() == ".weir") models.push_back(load_graph(entry.path()));
  std::vector<Step> steps;
  for (const Graph& model : models) {
    std::vector<std::string> params;
    for (ValueId param : model.params())
      if (is_float(model.type(param).dtype)) params.push_back(model.value(param).name);
    if (params.empty() || has_backward_pass(model)) continue;
    steps.push_back({model.name() + ", gradient", gradient(model, params)});
    const TensorType& output = model.type(model.outputs()[0].value);
    if (output.rank() == 2 && model.outputs().size() == 1)
      steps.push_back(
          {model.name() + ", step", test::sgd_step(with_loss(model, {.op = "cross_entropy"}))});
  }
  return steps;
}

TEST(KeptValues, TableFitsATerminal) {
  std::vector<Step> steps = test::small_steps();
  std::ranges::move(steps_of_examples(), std::back_inserter(steps));
  EXPECT_GE(steps.size(), 15U);
  std::size_t broken = 0;
  for (const Step& step : steps) {
    for (const char* cpu : {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
      SCOPED_TRACE(step.name + " " + cpu);
      CompileOptions options;
      options.target = {"x86_64-linux-gnu", cpu, {}};
      const Graph chosen = optimize(step.graph, options);
      const Program program = lower_graph(step.graph, options);
      expect_terminal_width(chosen, program);
      const std::string table = print_kept_values(chosen, program);
      const auto lines = static_cast<std::size_t>(std::ranges::count(table, '\n'));
      broken += lines > kept_values(chosen, program).size() + 3;
    }
  }
  EXPECT_GT(broken, 0U);
}

}  // namespace
}  // namespace weir
