// weir ops: the reference of the ops, from the registry.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/op_table.h"
#include "ir/op.h"
#include "ir/reference.h"
#include "ir/registry.h"

namespace weir::tool {
namespace {

constexpr const char* kOpsExamples = R"(examples:
  weir ops                        all ops, by family
  weir ops leaky_relu             what one op computes, and its gradient
  weir ops leaky_relu.grad        the op that is its gradient
  weir ops --markdown             the whole reference: docs/ops.md)";

struct OpsOptions {
  std::string name, cases;
  bool markdown = false, onnx = false;
};

void show_ops(const OpsOptions& options) {
  if (options.markdown && !options.name.empty())
    throw Error("--markdown is the reference of all ops; leave the name or the option out");
  if (options.onnx && (options.markdown || !options.name.empty()))
    throw Error("--onnx is the table of ONNX's ops; leave the name and --markdown out");
  if (!options.cases.empty() && !options.onnx)
    throw Error("--cases is a column of the table of ONNX's ops; give --onnx too");
  if (options.onnx) {
    print_out(onnx_op_table(options.cases.empty() ? OnnxCaseCounts()
                                                  : read_case_counts(map_file(options.cases))));
  } else if (options.markdown) {
    print_out(markdown_reference());
  } else if (options.name.empty()) {
    print_out(op_list());
  } else {
    const OpDef* op = find_op(options.name);
    if (op == nullptr) {
      std::vector<std::string> near = similar_ops(options.name);
      throw Error(fmt::format("there is no op {}; {}", shown(options.name),
                              near.empty() ? "`weir ops` lists them all"
                                           : fmt::format("near names: {}", fmt::join(near, ", "))));
    }
    print_out(op_page(*op));
  }
}

}  // namespace

void add_ops_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<OpsOptions>();
  CLI::App* command = add_command(
      app, "ops", "Shows the ops: a list, or all that there is to know about one.", kOpsExamples);
  add_value(*command, "OP", options->name, "", "An op.");
  command->add_flag("--markdown", options->markdown, "Prints the whole reference as Markdown.");
  command->add_flag("--onnx", options->onnx,
                    "Prints which ops of ONNX are read, and why the others are not, as Markdown.");
  add_value(*command, "--cases", options->cases, "FILE",
            "Adds to that table how many test cases pass, from lines of OP PASSED ALL.");
  command->callback([options, &action] { action = [options] { show_ops(*options); }; });
}

}  // namespace weir::tool
