#include "compiler/pipeline.h"

#include <array>
#include <chrono>

#include <fmt/format.h>

#include "compiler/cache/build_identity.h"
#include "compiler/cache/host_features.h"
#include "compiler/cache/program_key.h"
#include "compiler/codegen/target_names.h"
#include "compiler/drawing/drawing.h"
#include "compiler/lowering/known_cores.h"
#include "compiler/lowering/lower.h"
#include "compiler/make_executable.h"
#include "compiler/passes/pass_manager.h"
#include "compiler/rematerialize/kept_values.h"
#include "compiler/timed.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace weir {
namespace {

Target target_of_this_machine(const CompileOptions& options) {
  Target target = resolve_target(options.target);
  if (!target.is_host)
    throw Error(
        fmt::format("code for {} cannot run here; leave the target out, or compile an object file",
                    target.triple));
  if (!target.missing.empty())
    throw Error(fmt::format("code for {}{}{} cannot run here: this machine lacks {}", target.cpu,
                            options.target.features.empty() ? "" : " ", options.target.features,
                            target.missing));
  return target;
}

LoadableCode generate(const Program& program, const CompileOptions& options) {
  Target target = timed(options.timing, "target", [&] { return target_of_this_machine(options); });
  // Nobody would find model lines in memory.
  return compile_for_loading(
      program, target,
      {.debug_lines = false, .executor = options.executor, .timing = options.timing});
}

LoadedCode load(const LoadableCode& code, const CompileOptions& options) {
  return timed(options.timing, "load", [&] { return LoadedCode(code); });
}

// Everything that the code depends on.
std::string cache_key(const Program& program, const TargetSpec& target) {
  return fmt::format("{}\n{}\n{}\n{}\ntriple {}\ncpu {}\nfeatures {}\n{}", build_identity(),
                     code_generator(), host_features(), core_key(core_of(host_cpu())),
                     target.triple, target.cpu, target.features, program_key(program));
}

// An entry's parts are the names of the two functions, and the object files.
std::vector<std::string> parts_of(const LoadableCode& code) {
  std::vector<std::string> parts{code.program_symbol, code.workspace_symbol};
  parts.insert(parts.end(), code.objects.begin(), code.objects.end());
  return parts;
}

std::optional<LoadedCode> find_code(CodeCache& cache, const std::string& key,
                                    const CompileOptions& options) {
  auto parts = timed(options.timing, "cache", [&] { return cache.find(key); });
  if (!parts) return std::nullopt;
  try {
    WEIR_CHECK(parts->size() > 2);
    LoadableCode code{{}, std::move((*parts)[0]), std::move((*parts)[1])};
    code.objects.assign(std::make_move_iterator(parts->begin() + 2),
                        std::make_move_iterator(parts->end()));
    return load(code, options);
  } catch (const InternalError&) {
    cache.refuse(key, "holds no code that can be loaded");
    return std::nullopt;
  }
}

LoadedCode generate_or_find(const Program& program, const CompileOptions& options) {
  if (options.cache.folder.empty()) return load(generate(program, options), options);
  CodeCache cache(options.cache);
  if (build_identity().empty()) {
    cache.warn("this build of Weir has no build identifier, and so no cache");
    return load(generate(program, options), options);
  }
  std::string key =
      timed(options.timing, "cache key", [&] { return cache_key(program, options.target); });
  if (std::optional<LoadedCode> found = find_code(cache, key, options)) return std::move(*found);
  LoadableCode code = generate(program, options);
  timed(options.timing, "cache", [&] {
    cache.store(key, parts_of(code));
    return 0;
  });
  return load(code, options);
}

}  // namespace

std::span<const std::string_view> stage_names() {
  static constexpr std::array<std::string_view, 6> kNames{"graph",   "optimized", "kept",
                                                          "kernels", "llvm",      "asm"};
  return kNames;
}

std::optional<InspectStage> parse_stage(std::string_view name) {
  std::span<const std::string_view> names = stage_names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<InspectStage>(i);
  return std::nullopt;
}

namespace {

Graph run_graph_passes(Graph graph, const CompileOptions& options) {
  std::vector<std::string> names = options.passes;
  if (names.empty()) names.assign(default_passes().begin(), default_passes().end());
  if (options.contract) names.emplace_back("contract_multiply_add");
  if (options.timing && options.time_passes) {
    check_graph(graph);
    PassOptions each;
    each.time = [&](const Pass& pass, std::chrono::nanoseconds duration) {
      options.timing(pass.name, std::chrono::duration<double, std::milli>(duration).count());
    };
    return run_passes(std::move(graph), names, each);
  }
  return timed(options.timing, "graph passes", [&] {
    check_graph(graph);
    return run_passes(std::move(graph), names);
  });
}

// A code generator is loaded only for a target that is not this machine: what is in the cache needs
// none.
Processor processor_of(const TargetSpec& target) {
  return target.is_given() ? resolve_target(target).processor()
                           : Processor{host_vectors(), core_of(host_cpu())};
}

}  // namespace

Graph optimize(Graph graph, const CompileOptions& options) {
  Graph optimized = run_graph_passes(std::move(graph), options);
  if (!options.passes.empty()) return optimized;
  return timed(options.timing, "rematerialize", [&] {
    return rematerialize(
        std::move(optimized),
        {.fuse = options.fuse,
         .reuse_memory = options.reuse_memory,
         .orders_state = options.orders_state,
         .state_orders = options.state_orders,
         .processor = options.memory_budget ? processor_of(options.target) : Processor(),
         .budget = options.memory_budget});
  });
}

Graph contracted(Graph graph, const CompileOptions& options) {
  return options.contract ? run_graph_passes(std::move(graph), options) : graph;
}

namespace {

LoweringOptions lowering_options(const CompileOptions& options) {
  return {.fuse = options.fuse,
          .reuse_memory = options.reuse_memory,
          .orders_state = options.orders_state,
          .state_orders = options.state_orders,
          .outputs_leave = options.outputs_leave,
          .processor = processor_of(options.target)};
}

}  // namespace

Program lower_graph(Graph graph, const CompileOptions& options, std::span<const Target> variants) {
  Graph optimized = optimize(std::move(graph), options);
  LoweringOptions lowering = lowering_options(options);
  for (const Target& variant : variants) lowering.variants.push_back(variant.processor());
  return timed(options.timing, "lowering", [&] { return lower(optimized, lowering); });
}

ObjectCode compile_object(const Graph& graph, const CompileOptions& options) {
  Target target = resolve_target(options.target);
  return compile_object(
      lower_graph(graph, options), target,
      {.debug_lines = options.debug_lines, .executor = nullptr, .timing = options.timing});
}

Executable compile(const Model& model, const CompileOptions& options) {
  Program program = lower_graph(model.graph, options);
  LoadedCode code = generate_or_find(program, options);
  return timed(options.timing, "weights", [&] {
    return make_executable(program, std::move(code), model.weights, options.executor);
  });
}

std::string inspect(const Graph& graph, InspectStage stage, const CompileOptions& options) {
  if (stage == InspectStage::graph) return print(graph);
  if (stage == InspectStage::optimized) return print(optimize(graph, options));
  if (stage == InspectStage::kept) {
    static const Dim::Bindings kNoSizes;
    const Graph optimized = optimize(graph, options);
    return print_kept_values(optimized, lower(optimized, lowering_options(options)),
                             options.memory_budget ? options.memory_budget->sizes : kNoSizes);
  }
  Program program = lower_graph(graph, options);
  if (stage == InspectStage::kernels) return print(program);
  Target target = resolve_target(options.target);
  CodegenOptions codegen;
  codegen.timing = options.timing;
  return stage == InspectStage::llvm ? ir_text(program, target, codegen)
                                     : assembly_text(program, target, codegen);
}

std::string draw(const Graph& graph, InspectStage stage, const CompileOptions& options) {
  if (stage == InspectStage::graph) return draw(graph, "as declared");
  if (stage != InspectStage::optimized && stage != InspectStage::kernels)
    throw Error(fmt::format(
        "there is no picture of the stage {}; there is one of graph, optimized and kernels",
        stage_names()[static_cast<std::size_t>(stage)]));
  Graph optimized = optimize(graph, options);
  if (stage == InspectStage::optimized) return draw(optimized, "optimized");
  return draw(optimized, lower(optimized, lowering_options(options)), "kernels");
}

}  // namespace weir
