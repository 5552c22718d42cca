#include "compiler/aot/compile_model.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/aot/c_names.h"
#include "compiler/aot/header.h"
#include "compiler/aot/record_self_test.h"
#include "compiler/aot/shared_state.h"
#include "compiler/aot/shared_weights.h"
#include "compiler/cache/entry.h"
#include "compiler/codegen/link_shared.h"
#include "compiler/codegen/model_object.h"
#include "compiler/codegen/object_file.h"
#include "compiler/timed.h"
#include "compiler/weight_block.h"
#include "ir/text.h"

namespace weir {
namespace {

// In the order of ObjectForm.
constexpr auto kEndings = std::to_array<std::string_view>({"o", "a", "so", "s", "ll", "bc"});

// What instructions reach from where they stand, with room for the code itself.
constexpr std::uint64_t kMostEmbedded = std::uint64_t{1} << 30;

CodeForm code_form(ObjectForm form) {
  switch (form) {
    case ObjectForm::assembly:
      return CodeForm::assembly;
    case ObjectForm::llvm_ir:
      return CodeForm::llvm_ir;
    case ObjectForm::bitcode:
      return CodeForm::bitcode;
    case ObjectForm::object:
    case ObjectForm::archive:
    case ObjectForm::shared:
      break;
  }
  return CodeForm::object;
}

std::string hash_of(std::span<const ModelProgram> programs, const CompileModelOptions& options,
                    std::string_view weights) {
  std::string text;
  for (const ModelProgram& program : programs) text += program.name + "\n" + print(program.graph);
  if (options.compile.contract) text += "contracted\n";
  for (const DrawnParam& param : options.drawn) {
    text += fmt::format("{} {} {}", param.name, options.seed, param.initializer.name);
    for (const auto& [name, value] : param.initializer.attributes)
      text += fmt::format(" {} {}", name, to_string(value));
    text += "\n";
  }
  return digest(digest(text) + digest(weights));
}

// What of `drawn` has a place in the state and no value, and what is drawn before it.
std::vector<ModelObject::Draw> draws_of(std::span<const DrawnParam> drawn, const StateLayout& state,
                                        const Weights& values) {
  std::vector<ModelObject::Draw> draws;
  std::size_t needed = 0;
  for (const DrawnParam& param : drawn) {
    ModelObject::Draw draw{initial_element(param.initializer, param.type),
                           static_cast<std::uint64_t>(element_count(param.type.shape).value()),
                           std::nullopt};
    auto found = std::find_if(state.entries.begin(), state.entries.end(),
                              [&](const StateEntry& entry) { return entry.param == param.name; });
    const scalar::Arena& arena = draw.element.arena;
    bool is_zero =
        arena.is_constant(draw.element.value) && arena.bits(draw.element.value).value == 0;
    bool has_place = found != state.entries.end() && !is_zero && !values.contains(param.name);
    if (draw.elements == 0 || (!has_place && draw.element.draws == 0)) continue;
    if (has_place) draw.offset = found->offset;
    draws.push_back(std::move(draw));
    if (has_place) needed = draws.size();
  }
  draws.resize(needed);
  return draws;
}

// With what NAME_init_state gives to state that has no value among the weights.
Weights with_first_values(Weights weights, const CompileModelOptions& options,
                          const StateLayout& state) {
  weights.merge(draw(options.drawn, options.seed));
  for (const StateEntry& entry : state.entries) {
    if (weights.contains(entry.param)) continue;
    Tensor::Sizes sizes;
    for (const Dim& dim : entry.type.shape) sizes.push_back(dim.value());
    weights.emplace(entry.param, Tensor(entry.type.dtype, std::move(sizes)));
  }
  return weights;
}

void resolve_targets(ModelObject& model, const CompileModelOptions& options) {
  TargetSpec spec = options.compile.target;
  if (options.variants.empty()) {
    model.base = resolve_target(spec);
    model.variants = {model.base};
    return;
  }
  if (!spec.cpu.empty() || !spec.features.empty())
    throw Error(
        "several variants name their processors; a processor or features beside them say nothing");
  if (options.variants.size() == 1)
    throw Error(fmt::format("one variant leaves nothing to choose; name {} as the processor",
                            options.variants[0]));
  for (const std::string& cpu : options.variants) {
    if (cpu == kNativeCpu)
      throw Error(
          "a variant is for the processor that it is named after, and native is another one on "
          "every machine; name it");
    spec.cpu = cpu;
    model.variants.push_back(resolve_target(spec));
    if (!model.variants.back().triple.starts_with("x86_64"))
      throw Error(fmt::format(
          "variants are chosen by what x86-64 processors say of themselves; there are none for {}",
          model.variants.back().triple));
    // The last one that can run is taken.
    for (std::size_t i = 0; i + 1 < model.variants.size(); ++i)
      if (runs_code_of(model.variants[i], model.variants.back()))
        throw Error(fmt::format(
            "the variant {0} would never be chosen: every processor that can run it runs {1}, "
            "which is named after it; name lesser processors first, and each once",
            model.variants[i].cpu, cpu));
  }
  // What chooses must run anywhere.
  spec.cpu = "x86-64";
  model.base = resolve_target(spec);
}

// Where a processor lacks an instruction, LLVM calls a function of the compiler's library, without
// a word. What every C environment has is allowed, but in code that is to need nothing.
void check_needs(const std::string& object, const Target& target, bool freestanding) {
  std::vector<std::string> needed = undefined_symbols(object);
  auto everywhere = [](const std::string& name) { return name == "memcpy" || name == "memset"; };
  bool lacks = !std::all_of(needed.begin(), needed.end(), everywhere);
  if (!lacks && (needed.empty() || !freestanding)) return;
  throw Error(fmt::format("the code for {} needs {} from elsewhere{}", target.triple,
                          fmt::join(needed, ", "),
                          lacks ? ": the processor has no instructions for what they do; name one "
                                  "that has, with --cpu or --features"
                                : ""));
}

}  // namespace

std::span<const std::string_view> object_endings() { return kEndings; }

std::optional<ObjectForm> object_form(std::string_view ending) {
  for (std::size_t i = 0; i < kEndings.size(); ++i)
    if (kEndings[i] == ending) return static_cast<ObjectForm>(i);
  return std::nullopt;
}

std::string weights_file(const std::string& path) {
  return std::filesystem::path(path).replace_extension(".weights").string();
}

CompiledModel compile_model(std::span<const ModelProgram> programs, const Weights& weights,
                            const CompileModelOptions& options) {
  WEIR_CHECK(!programs.empty(), "a model without programs");
  ModelObject model;
  resolve_targets(model, options);
  const Target& target = model.base;
  model.name = c_identifier(options.prefix.empty() ? programs[0].graph.name() : options.prefix);
  model.version = WEIR_VERSION;
  model.shared = options.form == ObjectForm::shared;
  CompileOptions compile = options.compile;
  // Weights lie as the best of the processors reads them.
  if (!options.variants.empty()) compile.target.cpu = options.variants.back();
  for (const ModelProgram& program : programs) {
    model.programs.push_back(
        {c_identifier(program.name), lower_graph(program.graph, compile, model.variants), {}});
    model.programs.back().program.name = model.name + "_" + model.programs.back().name;
  }
  std::vector<Program*> sharing;
  for (ModelObject::Entry& entry : model.programs) sharing.push_back(&entry.program);
  WeightLayout layout = share_weights(sharing);
  StateLayout state = share_state(sharing);
  FirstValues first = first_values(state, weights, options.strip_weights);
  CompiledModel result;
  std::string block;
  // Constants are known even where params are not, but stand among them.
  bool stripped = options.strip_weights &&
                  std::any_of(layout.entries.begin(), layout.entries.end(),
                              [](const WeightEntry& entry) { return !entry.param.empty(); });
  if (!options.strip_weights)
    for (Program* program : sharing) check_weights(program->weights, weights);
  if (!stripped) {
    block.resize(layout.bytes);
    timed(options.compile.timing, "weights", [&] {
      fill_weight_block(layout.entries, weights, block, compile.executor);
      return 0;
    });
    block += first.bytes;
  }
  model.state = {state.entries,
                 state.bytes,
                 first.offset,
                 layout.bytes,
                 first.bytes.size(),
                 stripped ? &first.bytes : nullptr,
                 draws_of(options.drawn, state, weights),
                 options.seed};
  model.weight_bytes = stripped ? layout.bytes : block.size();
  bool embed = options.embed_weights && !stripped && model.weight_bytes > 0;
  bool text = options.form == ObjectForm::assembly || options.form == ObjectForm::llvm_ir;
  if (embed && model.weight_bytes > kMostEmbedded)
    throw Error(
        fmt::format("the weights take {} bytes, and a file of code may hold {}; keep them in a "
                    "file of their own",
                    model.weight_bytes, kMostEmbedded));
  if (embed) {
    model.weights = &block;
    if (text) model.weights_file = weights_file(options.file_name);
  }
  if (options.self_test) {
    if (stripped) throw Error("a self test needs the weights that its values were computed with");
    Weights known = with_first_values(weights, options, state);
    CompileOptions untimed = options.compile;
    untimed.timing = nullptr;
    for (std::size_t i = 0; i < programs.size(); ++i)
      // What the passes compute in advance is the same for every target, so it is not for the
      // interpreter to do.
      model.programs[i].self_test = timed(options.compile.timing, "values of the self test", [&] {
        return record_self_test(optimize(programs[i].graph, untimed), known,
                                model.programs[i].program, model.variants);
      });
  }
  model.hash = hash_of(programs, options, stripped ? first.bytes : block);
  result.code = generate_model(model, code_form(options.form),
                               {.debug_lines = options.compile.debug_lines,
                                .executor = nullptr,
                                .timing = options.compile.timing});
  if (code_form(options.form) == CodeForm::object)
    check_needs(result.code, target, options.freestanding);
  else if (options.freestanding)
    throw Error(
        "what a text needs from elsewhere is known when it is assembled; --freestanding is "
        "for .o, .a and .so");
  if (result.code.starts_with("\x7f"
                              "ELF")) {
    result.sizes = sizes_of_file(result.code, options.file_name);
    add_model_sizes(result.sizes, model, layout, options.counted);
    options.limits.check(result.sizes);
  } else if (options.limits.is_given()) {
    throw Error(
        "sizes are known of machine code of the form ELF, so limits are for .o, .a and .so");
  }
  if (options.form == ObjectForm::archive) result.code = archive_of(result.code, model.name + ".o");
  if (options.form == ObjectForm::shared)
    result.code = timed(options.compile.timing, "linking",
                        [&] { return link_shared(result.code, options.file_name, target.triple); });
  result.header = model_header(model, layout);
  if (!embed || text) result.weights = std::move(block);
  result.name = model.name;
  result.triple = target.triple;
  return result;
}

}  // namespace weir
