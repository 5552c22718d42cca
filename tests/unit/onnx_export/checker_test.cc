// Exported models before ONNX's own checker, with strict inference of shapes: the graphs of every
// op, their gradients, and training steps. Left out, with a sentence, where no Python has ONNX's
// package.
#include <cstdlib>

#include <gtest/gtest.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/export.h"
#include "tests/support/exported_graphs.h"
#include "tests/support/temporary_folder.h"

namespace weir::test {
namespace {

// Debian's, before another one on the path.
std::string python_with_onnx() {
  for (const char* python : {"/usr/bin/python3", "python3"})
    if (std::system((std::string(python) + " -c 'import onnx' 2>/dev/null").c_str()) == 0)
      return python;
  return {};
}

TEST(OnnxChecker, AcceptsTheGraphsOfEveryOpAndTrainingSteps) {
  std::string python = python_with_onnx();
  if (python.empty()) GTEST_SKIP() << "no Python here has the package onnx (python3-onnx)";
  TemporaryFolder folder;
  int count = 0;
  for (const std::string& op : op_names())
    for (const Graph& graph : graphs_of(op)) {
      if (draws(graph)) continue;
      auto write = [&](const Graph& exported, const std::string& name) {
        Generator generator(1);
        Weights weights = random_values(exported, exported.params(), generator);
        write_file(folder / name, {export_onnx({exported, weights})});
        ++count;
      };
      write(graph, op + "_" + graph.name() + ".onnx");
      if (std::optional<Graph> backward = gradient_graph(graph))
        write(*backward, op + "_" + graph.name() + "_gradient.onnx");
    }
  for (const OptimizerDef& optimizer : optimizers())
    write_file(folder / ("step_" + optimizer.name + ".onnx"),
               {export_onnx(training_step_of(classifier(), optimizer.name))});
  EXPECT_GT(count, 300);
  std::string command =
      python + " " WEIR_SOURCE_DIR "/tests/support/show_onnx.py --check " + (folder / "*.onnx");
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace weir::test
