#include "compiler/aot/header.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/aot/abi_text.h"
#include "compiler/aot/c_names.h"
#include "compiler/lowering/choose_panel.h"
#include "compiler/lowering/memory_plan.h"
#include "ir/diagnostic.h"
#include "ir/escape.h"
#include "runtime/abi.h"

namespace weir {
namespace {

using Side = std::vector<std::pair<std::string, TensorType>>;

std::string_view note_of(DType type, bool has_type) {
  if (type == DType::f16) return ", as bits";
  if (type == DType::bf16) return ", as bits";
  if (type == DType::boolean) return ", 0 or 1";
  return has_type ? "" : ", 8 bytes each";
}

class HeaderWriter {
 public:
  HeaderWriter(const ModelObject& model, const WeightLayout& layout)
      : model_(model), layout_(layout), target_(model.base), macro_(in_capitals(model.name)) {}

  std::string write() {
    std::string cpu;
    for (const Target& variant : model_.variants) {
      cpu += (cpu.empty() ? "" : ", ") + variant.cpu;
      if (variant.features.size() > 60)
        cpu += " and the features of one machine";
      else if (!variant.features.empty())
        cpu += " " + variant.features;
    }
    line("/* The model {}, compiled by Weir {} for {}{}{}.", in_comment(model_.name),
         model_.version, target_.triple, cpu.empty() ? "" : ",\n * ", cpu);
    line(" *");
    line(" * A program returns 0 (WEIR_OK), or another weir_status that {}_message puts in words.",
         model_.name);
    line(" * It allocates nothing and keeps nothing: threads may run it at once, each with a");
    line(" * workspace of its own. Tensors are dense and row-major.");
    line(" */");
    line("#ifndef WEIR_MODEL_{}_H", macro_);
    line("#define WEIR_MODEL_{}_H\n", macro_);
    text_ += kAbiText;
    line("");
    line("#ifdef __cplusplus\nextern \"C\" {{\n#endif\n");
    line("#define {}_WEIR_VERSION \"{}\"", macro_, model_.version);
    line("#define {}_MODEL_HASH \"{}\"\n", macro_, model_.hash);
    write_weights();
    write_state();
    for (const ModelObject::Entry& entry : model_.programs) write_program(entry);
    line("/* What a status means. Never null. */");
    line("const char* {}_message(int status);\n", model_.name);
    line(
        "/* WEIR_OK, or WEIR_WRONG_CPU where the programs would meet instructions that the "
        "processor lacks. */");
    line("int {}_check_cpu(void);\n", model_.name);
    if (model_.variants.size() > 1) {
      line(
          "/* Has to be called once for every workspace, before a program uses it: chooses the "
          "code for this processor. */");
      line("int {}_init(void* workspace);\n", model_.name);
    }
    write_self_test();
    line("/* For loaders: a weir_model_info of runtime/model_info.h. */");
    line("extern const struct weir_model_info {}_model;\n", model_.name);
    line("#ifdef __cplusplus\n}}\n#endif\n\n#endif");
    return std::move(text_);
  }

 private:
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    text_ += '\n';
  }

  static bool is_static(const Program& program) { return program.symbols.empty(); }

  void write_self_test() {
    std::uint64_t bytes = self_test_bytes(model_);
    if (bytes == 0) return;
    line(
        "/* Runs every program on recorded values, in memory aligned to WEIR_ALIGNMENT. WEIR_OK, "
        "or WEIR_WRONG_RESULT. */");
    line("#define {}_SELFTEST_BYTES {}", macro_, bytes);
    bool given = model_.weights == nullptr && model_.weight_bytes > 0;
    line("int {}_selftest(void* memory{});\n", model_.name, given ? ", const void* weights" : "");
  }

  void write_weights() {
    if (model_.weight_bytes == 0) return;
    line("/* The block of weights{}. */",
         model_.weights == nullptr ? ", which every run is given, aligned to WEIR_ALIGNMENT" : "");
    line("#define {}_WEIGHTS_BYTES {}", macro_, model_.weight_bytes);
    if (model_.weights != nullptr) return line("");
    for (const WeightEntry& entry : layout_.entries) {
      std::string name = macro(entry.param.empty() ? "constant" : entry.param);
      std::string order = entry.order.empty() ? ""
                                              : fmt::format(", dimensions in the order {}",
                                                            fmt::join(entry.order, ", "));
      if (entry.panel != 0)
        order += fmt::format(", in panels of {} along {}", entry.panel, entry.order.back());
      if (entry.times_zero) {
        name += "_TIMES_ZERO";
        order += fmt::format(", sums along {} of products with zero", *entry.times_zero);
      }
      line("#define {}_{}_OFFSET {} /* {}{} */", macro_, name, *entry.offset,
           in_comment(to_string(entry.type)), order);
    }
    line("");
  }

  void write_state() {
    const ModelObject::State& state = model_.state;
    if (state.bytes == 0) return;
    line("/* The block of state, which programs update in place: the caller's memory, aligned to");
    line(" * WEIR_ALIGNMENT. A program that does not return WEIR_OK leaves it as it was. */");
    line("#define {}_STATE_BYTES {}", macro_, state.bytes);
    for (const StateEntry& entry : state.entries)
      line("#define {}_{}_OFFSET {} /* {} */", macro_, macro("state_" + entry.param), entry.offset,
           in_comment(to_string(entry.type)));
    line("\n/* Writes the first values of all of it{}. */",
         state.draws.empty()
             ? ""
             : fmt::format(": params are drawn, from the seed {}.\n * The generator "
                           "takes 2504 bytes of the stack",
                           state.seed));
    line("int {}_init_state(void* state{});\n", model_.name,
         model_.first_values_are_given() ? ", const void* weights" : "");
  }

  // A name behind the model's, in capitals, that no other macro of the blocks has.
  std::string macro(std::string_view name) { return macros_.add(in_capitals(c_identifier(name))); }

  // One struct of pointers; its members' names.
  std::vector<std::string> write_side(const std::string& name, const Side& side, bool inputs) {
    std::vector<std::string> members;
    if (side.empty()) return members;
    CScope scope;
    line("typedef struct {} {{", name);
    for (const auto& [tensor, type] : side) {
      members.push_back(scope.add(tensor));
      std::string_view element = c_type(type.dtype, target_.pointer_bits,
                                        target_.triple.find("windows") == std::string::npos);
      std::string declaration =
          fmt::format("{}{}* {};", inputs ? "const " : "", element, members.back());
      line("  {:<28} /* {}{}{} */", declaration, in_comment(to_string(type)),
           note_of(type.dtype, element != "void"),
           tensor == members.back() ? "" : fmt::format(": {}", in_comment(value_name(tensor))));
    }
    line("}} {};\n", name);
    return members;
  }

  void write_program(const ModelObject::Entry& entry) {
    const Program& program = entry.program;
    const std::string function = model_.name + "_" + entry.name;
    std::vector<std::string> inputs = write_side(function + "_inputs", program.inputs, true);
    std::vector<std::string> outputs = write_side(function + "_outputs", program.outputs, false);
    std::vector<std::string> parameters, dims;
    CScope scope;
    for (const char* name :
         {"inputs", "outputs", "weights", "state", "workspace", "executor", "sizes"})
      scope.add(name);
    if (!program.inputs.empty())
      parameters.push_back(fmt::format("const {}_inputs* inputs", function));
    if (!program.outputs.empty())
      parameters.push_back(fmt::format("const {}_outputs* outputs", function));
    for (const std::string& symbol : program.symbols)
      dims.push_back("ptrdiff_t " + scope.add(symbol));
    parameters.insert(parameters.end(), dims.begin(), dims.end());
    if (program.weight_bytes > 0 && model_.weights == nullptr)
      parameters.emplace_back("const void* weights");
    if (program.state_bytes > 0)
      parameters.emplace_back(program.updates_state() ? "void* state" : "const void* state");
    parameters.emplace_back("void* workspace");
    parameters.emplace_back("const weir_executor* executor");
    if (is_static(program))
      write_constants(program, in_capitals(function), inputs, outputs);
    else
      write_sizes(function, inputs, outputs, dims);
    write_checks(program);
    const bool has_workspace = model_.variants.size() > 1 || !program.slots.empty() ||
                               (is_static(program) ? model_.bytes_per_worker(program, {}) > 0
                                                   : may_need_workspace(program));
    line(
        "/* The workspace is aligned to WEIR_ALIGNMENT{}. Without an executor, which\n * may be "
        "null, everything runs on the "
        "calling thread. */",
        has_workspace ? "" : ", and may be null: there is none");
    line("int {}({});\n", function, fmt::join(parameters, ",\n    "));
  }

  // What may be a data fault: the numbers of weir_fault::check.
  void write_checks(const Program& program) {
    if (program.checks.empty()) return;
    line("/* Checks, as weir_fault counts them:");
    for (std::size_t i = 0; i < program.checks.size(); ++i) {
      const IndexCheck& check = program.checks[i];
      Location location = check.location;
      std::string where;
      if (location.known()) {
        // Folders are left out: the header does not depend on where the model lies.
        location.file = std::make_shared<const std::string>(
            std::filesystem::path(*location.file).filename().string());
        where = " at " + location.to_string();
      }
      line(" *   {}: indices of {}{}, within {}", i, check.op, in_comment(where),
           in_comment(to_string(check.sizes)));
    }
    line(" */");
  }

  void write_constants(const Program& program, const std::string& prefix,
                       const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs) {
    std::optional<std::uint64_t> workspace = workspace_bytes(program, {});
    if (!workspace)
      throw Error(
          fmt::format("the workspace of {} has more bytes than 64 bits can count", program.name));
    line("#define {}_WORKSPACE_BYTES {}", prefix, *workspace + model_.variant_bytes());
    line("#define {}_WORKSPACE_BYTES_PER_WORKER {}", prefix, model_.bytes_per_worker(program, {}));
    CScope names;
    auto counts = [&](const Side& side, const std::vector<std::string>& members) {
      for (std::size_t i = 0; i < side.size(); ++i)
        line("#define {}_{}_ELEMENTS {}", prefix, names.add(in_capitals(members[i])),
             element_count(side[i].second.shape).value());
    };
    counts(program.inputs, inputs);
    counts(program.outputs, outputs);
    line("");
  }

  void write_sizes(const std::string& function, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs, std::vector<std::string> dims) {
    line("typedef struct {}_sizes {{", function);
    line(
        "  size_t workspace;            /* bytes: workspace + workspace_per_worker * max_workers "
        "*/");
    line("  size_t workspace_per_worker;");
    CScope scope;
    scope.add("workspace");
    scope.add("workspace_per_worker");
    for (const auto* members : {&inputs, &outputs})
      for (const std::string& member : *members)
        line("  {:<28} /* elements */", fmt::format("size_t {};", scope.add(member)));
    line("}} {}_sizes;\n", function);
    dims.push_back(fmt::format("{}_sizes* sizes", function));
    line("int {}_get_sizes({});\n", function, fmt::join(dims, ", "));
  }

  const ModelObject& model_;
  const WeightLayout& layout_;
  const Target& target_;
  std::string macro_;
  CScope macros_;
  std::string text_;
};

}  // namespace

std::string model_header(const ModelObject& model, const WeightLayout& layout) {
  return HeaderWriter(model, layout).write();
}

}  // namespace weir
