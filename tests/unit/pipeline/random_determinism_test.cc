// Random programs give the same bits for any number of threads, from run to run, for every position
// of an element in its vector, and from memory as from an object file.
#include <cstdlib>
#include <fstream>
#include <memory>

#include <dlfcn.h>
#include <fmt/format.h>

#include "compiler/codegen/object.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "runtime/thread_pool.h"
#include "tests/support/graphs.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kFirstSeed =
    500'000;  // not those of the programs that the interpreter runs

const VectorLevel& level_of(std::uint64_t seed) {
  std::span<const VectorLevel> levels = vector_levels();
  return levels[seed % levels.size()];
}

TEST(RandomDeterminism, AnyNumberOfThreads) {
  std::vector<std::unique_ptr<ThreadPool>> pools;
  for (int threads : {1, 2, 3, 5, 8}) pools.push_back(std::make_unique<ThreadPool>(threads));
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + 150; ++seed) {
    Program program = random_program(seed);
    Executable executable = compile(program, {level_of(seed)});
    std::vector<Tensor> alone = executable.run(program.inputs);
    for (const auto& pool : pools)
      ASSERT_EQ(difference(program.graph, executable.run(program.inputs, &pool->executor()), alone),
                std::nullopt)
          << pool->threads() << " threads, seed " << seed << "\n"
          << describe(program);
  }
}

TEST(RandomDeterminism, FromRunToRun) {
  ThreadPool pool(2);
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + 60; ++seed) {
    Program program = random_program(seed);
    Executable executable = compile(program, {level_of(seed)});
    std::vector<Tensor> first = executable.run(program.inputs);
    for (int run = 0; run < 5; ++run) {
      const weir_executor* executor = run % 2 == 0 ? &pool.executor() : nullptr;
      ASSERT_EQ(difference(program.graph, executable.run(program.inputs, executor), first),
                std::nullopt)
          << "run " << run << ", seed " << seed << "\n"
          << describe(program);
    }
    ASSERT_EQ(
        difference(program.graph, compile(program, {level_of(seed)}).run(program.inputs), first),
        std::nullopt)
        << "compiled again, seed " << seed;
  }
}

// An object file, linked and loaded.
class Linked {
 public:
  Linked(const ObjectCode& object, const std::string& name) {
    std::string file = name + ".o", library = name + ".so";
    std::ofstream(file, std::ios::binary) << object.bytes;
    std::string command = fmt::format("cc -shared -o '{}' '{}'", library, file);
    if (std::system(command.c_str()) != 0) throw Error("the object cannot be linked");
    library_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library_) throw Error(dlerror());
    program_ = reinterpret_cast<weir_program>(dlsym(library_, object.program_symbol.c_str()));
    if (!program_) throw Error("no symbol " + object.program_symbol);
  }
  ~Linked() {
    if (library_) dlclose(library_);
  }
  Linked(const Linked&) = delete;
  Linked& operator=(const Linked&) = delete;
  weir_program program() const { return program_; }

 private:
  void* library_ = nullptr;
  weir_program program_ = nullptr;
};

// Through the C ABI, with the weights and sizes of the executable.
std::vector<Tensor> run(weir_program program, const Executable& executable, const Program& on,
                        std::span<const Tensor> like) {
  std::map<std::string, std::int64_t> sizes;
  std::vector<const void*> inputs;
  for (const Signature& input : executable.inputs()) {
    const Tensor& tensor = on.inputs.find(input.name)->second;
    inputs.push_back(tensor.data());
    for (std::size_t i = 0; i < input.type.shape.size(); ++i)
      if (auto symbol = input.type.shape[i].as_symbol()) sizes[*symbol] = tensor.sizes()[i];
  }
  std::vector<std::ptrdiff_t> dims;
  for (const std::string& symbol : executable.symbols()) dims.push_back(sizes.at(symbol));
  std::vector<Tensor> results;
  std::vector<void*> outputs;
  for (const Tensor& tensor : like) results.emplace_back(tensor.dtype(), tensor.sizes());
  for (Tensor& tensor : results) outputs.push_back(tensor.mutable_data());
  std::vector<std::byte> memory(executable.workspace_bytes(dims) + WEIR_ALIGNMENT);
  void* workspace = memory.data();
  std::size_t space = memory.size();
  std::align(WEIR_ALIGNMENT, executable.workspace_bytes(dims), workspace, space);
  weir_call call{inputs.data(), outputs.data(), executable.weights(), workspace, dims.data(),
                 nullptr,       nullptr};
  if (program(&call) != WEIR_OK) throw Error("the program refuses the call");
  return results;
}

TEST(RandomDeterminism, JitAndObjectFile) {
  TemporaryFolder folder;
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + 40; ++seed) {
    Program program = random_program(seed);
    Way way{level_of(seed)};
    Executable executable = compile(program, way);
    CompileOptions options;
    options.target.cpu = way.level.cpu;
    Linked linked(compile_object(program.graph, options), folder / fmt::format("program{}", seed));
    std::vector<Tensor> expected = executable.run(program.inputs);
    ASSERT_EQ(
        difference(program.graph, run(linked.program(), executable, program, expected), expected),
        std::nullopt)
        << way.name() << ", seed " << seed << "\n"
        << describe(program);
  }
}

// A graph of pointwise ops with nothing to state, on %x and what they have given.
Graph random_pointwise(std::uint64_t seed, DType type) {
  static const std::vector<const OpDef*> ops = [] {
    std::vector<const OpDef*> usable;
    for (const auto& op : all_ops()) {
      if (!op->pointwise || op->operands.empty()) continue;
      bool fits = std::all_of(op->attributes.begin(), op->attributes.end(),
                              [](const AttributeSpec& spec) { return spec.default_value; });
      for (const OperandSpec& spec : op->operands)
        for (DType each : {DType::f32, DType::f64, DType::f16})
          fits = fits && contains(spec.types, each);
      if (fits) usable.push_back(op.get());
    }
    return usable;
  }();
  Generator generator(seed);
  GraphBuilder builder("pointwise");
  std::vector<Var> values{builder.input("x", type, {Dim::symbol("N")})};
  for (int i = 0, nodes = 2 + static_cast<int>(seed % 7); i < nodes; ++i) {
    const OpDef& op = *ops[generator() % ops.size()];
    std::vector<Var> operands;
    for (std::size_t k = 0; k < op.operands.size(); ++k)
      operands.push_back(values[generator() % values.size()]);
    Var result = builder.apply(op.name, operands, {});
    if (result.dtype() == type) values.push_back(result);
  }
  builder.output("y", values.back());
  return builder.finish().graph;
}

TEST(RandomDeterminism, EveryPositionInAVector) {
  constexpr std::int64_t kCount = 150;
  for (std::uint64_t seed = 0; seed < 90; ++seed) {
    DType type = std::array{DType::f32, DType::f64, DType::f16}[seed % 3];
    Graph graph = random_pointwise(seed, type);
    Generator generator(seed);
    Tensor all = random_tensor(type, {kCount}, generator, true);
    const VectorLevel& level = level_of(seed / 3);
    Executable executable = compile({graph, {}, {}}, {level});
    std::vector<Tensor> whole = executable.run(std::span(&all, 1));
    for (std::int64_t begin = 0; begin < 70; begin += 1 + static_cast<std::int64_t>(seed % 3))
      for (std::int64_t count : {1, 3, 15, 16, 33, 71}) {
        auto* first = static_cast<std::byte*>(all.mutable_data()) + begin * byte_size(type);
        Tensor part = Tensor::view(type, {count}, first);
        std::vector<Tensor> results = executable.run(std::span(&part, 1));
        for (std::int64_t i = 0; i < count; ++i)
          ASSERT_TRUE(scalar::same_value(type, results[0].bits(i), whole[0].bits(begin + i)))
              << level.name() << ", seed " << seed << ": element " << begin + i << " as element "
              << i << " of " << count << "\n"
              << print(graph);
      }
  }
}

}  // namespace
}  // namespace weir::test
