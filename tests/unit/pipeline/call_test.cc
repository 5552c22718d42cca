// Calling a compiled program: from C++ by position, by name and on views of the caller's memory,
// and through the C ABI, with every mistake that a caller can make.

#include <array>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/builder_ops.h"
#include "ir/interpreter.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using testing::HasSubstr;

// a: f32[N, 3] and b: f32[N, 3] to a * 2 + b and their row sums; the sums of a product need a
// workspace.
Executable two_inputs() {
  return compile({test::parse("graph @two(%a: f32[N, 3], %b: f32[N, 3]) -> (f32[N, 3], f32[N]) {\n"
                              "  %two = constant {value = f32[] 2.0}\n"
                              "  %d = mul(%a, %two)\n"
                              "  %y = add(%d, %b)\n"
                              "  %s = reduce_sum(%y) {axes = [1]}\n"
                              "  return %y, %s\n"
                              "}\n"),
                  {}});
}

Executable with_workspace() {
  return compile({test::parse("graph @deep(%a: f32[N, M], %b: f32[M, N]) -> (f32[N, N]) {\n"
                              "  %p = matmul(%a, %b)\n"
                              "  %q = matmul(%p, %p)\n"
                              "  return %q\n"
                              "}\n"),
                  {}});
}

Tensor rows(std::initializer_list<float> elements, std::int64_t count = 2) {
  return Tensor::from<float>(elements, {count, 3});
}

TEST(Call, ByPositionAndByName) {
  Executable executable = two_inputs();
  Tensor a = rows({1, 2, 3, 4, 5, 6}), b = rows({0, 0, 1, 1, 0, 0});
  std::vector<Tensor> inputs{a, b};
  for (const std::vector<Tensor>& outputs :
       {executable.run(inputs), executable.run(NamedTensors{{"b", b}, {"a", a}})}) {
    ASSERT_EQ(outputs.size(), 2U);
    EXPECT_EQ(outputs[0].to_string(), rows({2, 4, 7, 9, 10, 12}).to_string());
    EXPECT_EQ(outputs[1].to_string(), Tensor::from<float>({13, 31}, {2}).to_string());
  }
  ASSERT_EQ(executable.inputs().size(), 2U);
  EXPECT_EQ(executable.inputs()[1].name, "b");
  EXPECT_EQ(to_string(executable.outputs()[1].type), "f32[N]");
  ASSERT_EQ(executable.symbols().size(), 1U);
  EXPECT_EQ(executable.symbols()[0], "N");
}

TEST(Call, ReadsAndWritesTheCallersMemory) {
  Executable executable = two_inputs();
  // One element off any vector's alignment.
  std::vector<float> memory(1 + 3 * 6, 1.0F), result(1 + 6, -1.0F), sums(2);
  std::vector<Tensor> inputs{Tensor::view(DType::f32, {2, 3}, memory.data() + 1),
                             Tensor::view(DType::f32, {2, 3}, memory.data() + 7)};
  std::vector<Tensor> outputs{Tensor::view(DType::f32, {2, 3}, result.data() + 1),
                              Tensor::view(DType::f32, {2}, sums.data())};
  for (float scale : {1.0F, 3.0F}) {
    memory[1] = scale;
    executable.run_into(inputs, outputs);
    EXPECT_EQ(result[0], -1.0F);
    EXPECT_EQ(result[1], 2 * scale + 1);
    EXPECT_EQ(sums[0], 2 * scale + 7);
    EXPECT_EQ(sums[1], 9);
  }
}

// The memory of a call: a program reads its inputs while it writes its outputs, in any order.
TEST(Call, SharedMemoryIsNamed) {
  Executable executable = two_inputs();
  std::vector<float> memory(64, 1.0F);
  auto at = [&](std::size_t offset) {
    return Tensor::view(DType::f32, {2, 3}, memory.data() + offset);
  };
  auto message = [&](Tensor a, Tensor b, Tensor y, Tensor s) {
    std::vector<Tensor> inputs{std::move(a), std::move(b)}, outputs{std::move(y), std::move(s)};
    return test::error_of([&] { executable.run_into(inputs, outputs); });
  };
  Tensor sums(DType::f32, {2});
  EXPECT_EQ(message(at(0), at(6), at(12), sums), "no error");
  // Two inputs may be one.
  EXPECT_EQ(message(at(0), at(0), at(12), sums), "no error");
  EXPECT_EQ(message(at(0), at(3), at(12), sums), "no error");
  // An output may lie between them.
  EXPECT_EQ(message(at(18), at(30), at(24), sums), "no error");
  EXPECT_EQ(message(at(36), at(18), at(30), sums), "no error");
  EXPECT_THAT(message(at(0), at(6), at(7), sums), HasSubstr("input b and output y share memory"));
  EXPECT_THAT(message(at(0), at(6), at(0), sums), HasSubstr("input a and output y share memory"));
  EXPECT_THAT(message(at(0), at(6), at(12), Tensor::view(DType::f32, {2}, memory.data() + 17)),
              HasSubstr("output y and output s share memory"));
  for (float element : memory) ASSERT_TRUE(element == 1.0F || element == 3.0F);
}

TEST(Call, NullPointersAreNamed) {
  Executable executable = two_inputs();
  auto message = [&](std::int64_t rows, void* a, void* y) {
    std::vector<Tensor> inputs{Tensor::view(DType::f32, {rows, 3}, a),
                               Tensor(DType::f32, {rows, 3})};
    std::vector<Tensor> outputs{Tensor::view(DType::f32, {rows, 3}, y), Tensor(DType::f32, {rows})};
    return test::error_of([&] { executable.run_into(inputs, outputs); });
  };
  std::vector<float> memory(6), results(6);
  EXPECT_THAT(message(2, nullptr, results.data()),
              HasSubstr("input a is a view of a null pointer, and has 6 elements"));
  EXPECT_THAT(message(2, memory.data(), nullptr),
              HasSubstr("output y is a view of a null pointer"));
  // Where there are no elements there is nothing to point at.
  EXPECT_EQ(message(0, nullptr, nullptr), "no error");
}

TEST(Call, ExecutorsThatCannotRunAreRefused) {
  Executable executable = with_workspace();
  std::vector<Tensor> inputs{Tensor(DType::f32, {2, 3}), Tensor(DType::f32, {3, 2})};
  auto serial = [](void*, std::ptrdiff_t tasks, weir_task task, void* argument) {
    for (std::ptrdiff_t i = 0; i < tasks; ++i) task(argument, i, 0);
  };
  weir_executor executor{nullptr, 1, serial, nullptr, nullptr, nullptr};
  EXPECT_EQ(test::error_of([&] { executable.run(inputs, &executor); }), "no error");
  for (int workers : {0, -1}) {
    executor.max_workers = workers;
    EXPECT_THAT(test::error_of([&] { executable.run(inputs, &executor); }),
                HasSubstr("workers (max_workers), and needs one at least"));
    EXPECT_THAT(test::error_of([&] {
                  executable.workspace_bytes(std::array<std::ptrdiff_t, 2>{2, 3}, workers);
                }),
                HasSubstr("a run needs one at least"));
  }
  executor = {nullptr, 1, nullptr, nullptr, nullptr, nullptr};
  EXPECT_THAT(test::error_of([&] { executable.run(inputs, &executor); }),
              HasSubstr("no function parallel_for"));
}

TEST(Call, SizesThatAreTooLargeAreNamed) {
  Executable executable = with_workspace();
  auto message = [&](std::ptrdiff_t n, std::ptrdiff_t m) {
    return test::error_of([&] { executable.workspace_bytes(std::array{n, m}); });
  };
  EXPECT_THAT(message(-3, 5), HasSubstr("the dimension N is negative: -3"));
  EXPECT_THAT(message(std::ptrdiff_t{1} << 40, 5),
              HasSubstr("N = 1099511627776, M = 5 is too large"));
}

TEST(Call, NoRowsAtAll) {
  Executable executable = two_inputs();
  std::vector<Tensor> inputs{Tensor(DType::f32, {0, 3}), Tensor(DType::f32, {0, 3})};
  EXPECT_EQ(executable.run(inputs)[0].element_count(), 0);
}

// What lies between kernels takes no memory where its size is known to be nothing.
TEST(Call, ValuesBetweenKernelsOfNoRows) {
  for (int rows : {0, 2}) {
    const std::string count = std::to_string(rows);
    Executable executable = compile(
        {test::parse("graph @deep(%a: f32[" + count + ", 3], %b: f32[3, 3]) -> (f32[" + count +
                     ", 3]) {\n  %p = matmul(%a, %b)\n  %q = matmul(%p, %b)\n  return %q\n}\n"),
         {}});
    EXPECT_EQ(executable.workspace_bytes({}) > 0, rows > 0);
    std::vector<Tensor> inputs{Tensor(DType::f32, {rows, 3}), Tensor(DType::f32, {3, 3})};
    EXPECT_EQ(executable.run(inputs)[0].element_count(), 3 * rows);
  }
}

TEST(Call, MistakesAreNamed) {
  Executable executable = two_inputs();
  Tensor good = rows({1, 2, 3, 4, 5, 6});
  auto message = [&](std::vector<Tensor> inputs) {
    return test::error_of([&] { executable.run(inputs); });
  };
  EXPECT_THAT(message({good}), HasSubstr("takes 2 inputs, and 1 is given"));
  EXPECT_THAT(message({good, Tensor(DType::f64, {2, 3})}),
              HasSubstr("input b must be f32[N, 3], and f64[2, 3] is given"));
  EXPECT_THAT(message({good, Tensor(DType::f32, {3})}),
              HasSubstr("input b must be f32[N, 3], and f32[3] is given"));
  EXPECT_THAT(message({Tensor(DType::f32, {2, 4}), good}),
              HasSubstr("input a must be f32[N, 3], and f32[2, 4] is given"));
  EXPECT_THAT(message({good, Tensor(DType::f32, {5, 3})}),
              HasSubstr("input b is f32[5, 3], but the symbol N is already 2"));
  EXPECT_THAT(test::error_of([&] { executable.run(NamedTensors{{"a", good}}); }),
              HasSubstr("input b (f32[N, 3]) is missing"));
  EXPECT_THAT(
      test::error_of([&] { executable.run(NamedTensors{{"a", good}, {"b", good}, {"c", good}}); }),
      HasSubstr("no input c"));
  std::vector<Tensor> inputs{good, good};
  std::vector<Tensor> wrong{Tensor(DType::f32, {2, 3}), Tensor(DType::f32, {3})};
  EXPECT_THAT(test::error_of([&] { executable.run_into(inputs, wrong); }),
              HasSubstr("must be f32[N], and f32[3] is given"));
}

// Sizes are solved for symbols as the interpreter solves them.
TEST(Call, SymbolsOfDimensionsAreSolved) {
  Graph graph = test::parse(
      "graph @m(%x: f32[4*N + 1, M], %z: f32[N*M]) -> (f32[4*N + 1, M], f32[N*M]) {\n"
      "  %y = leaky_relu(%x)\n  %w = leaky_relu(%z)\n  return %y, %w\n}\n");
  Executable executable = compile({graph, {}});
  auto run = [&](std::int64_t rows, std::int64_t columns, std::int64_t product) {
    NamedTensors inputs{{"x", Tensor(DType::f32, {rows, columns})},
                        {"z", Tensor(DType::f32, {product})}};
    for (float& element : inputs.at("x").mutable_elements<float>()) element = -2;
    std::string interpreted = test::error_of([&] { interpret(graph, {}, inputs); });
    return std::pair(interpreted, test::error_of([&] {
                       Tensor y = executable.run(inputs)[0];
                       EXPECT_TRUE(compare(y, interpret(graph, {}, inputs)[0]).identical);
                     }));
  };
  EXPECT_EQ(run(9, 3, 6), std::pair(std::string("no error"), std::string("no error")));
  EXPECT_EQ(run(1, 3, 0), std::pair(std::string("no error"), std::string("no error")));
  for (auto [rows, columns, product] :
       {std::array<std::int64_t, 3>{9, 3, 7}, {8, 3, 6}, {0, 3, 0}}) {
    auto [interpreted, compiled] = run(rows, columns, product);
    EXPECT_NE(compiled, "no error") << rows;
    // The interpreter knows where the graph was declared as well.
    EXPECT_THAT(interpreted, testing::HasSubstr(compiled)) << rows;
  }
}

TEST(Call, DimensionsThatFollowFromNothing) {
  Graph graph =
      test::parse("graph @m(%x: f32[M, N*M]) -> (f32[M, N*M]) {\n  %y = neg(%x)\n  return %y\n}\n");
  Executable executable = compile({graph, {}});
  std::vector<Tensor> inputs{Tensor(DType::f32, {0, 0})};
  EXPECT_THAT(test::error_of([&] { executable.run(inputs); }),
              HasSubstr("the size of symbol N does not follow from the sizes given"));
}

// Compilation cannot go on from these graphs, which only their makers can mend.
TEST(Call, GraphsThatCannotBeCompiled) {
  GraphBuilder unbound("unbound");
  Var x = unbound.input("x", DType::f32, {4});
  int line = __LINE__ + 1;
  unbound.output("y", broadcast(x, {Dim::symbol("N"), 4}));
  Model model = unbound.finish();
  std::string wrong = "call_test.cc:" + std::to_string(line);
  for (bool object : {false, true}) {
    std::string message = test::error_of([&] {
      if (object) {
        compile_object(model.graph);
      } else {
        compile(model);
      }
    });
    EXPECT_THAT(message, HasSubstr("the symbol N of [N, 4] occurs in no input or param"));
    EXPECT_THAT(message, HasSubstr(wrong));
  }
  GraphBuilder symbolic("symbolic");
  Var w = symbolic.param("w", DType::f32, {Dim::symbol("N")});
  symbolic.output("y", neg(w));
  EXPECT_THAT(
      test::error_of([&] { compile_object(symbolic.finish().graph); }),
      testing::AllOf(HasSubstr("call_test.cc:"),
                     HasSubstr("%w is f32[N]; the dimensions of a param must be integers")));
}

TEST(Call, ParamsNeedValuesOfTheirType) {
  Graph graph = test::parse(
      "graph @m(%x: f32[2]) -> (f32[2]) {\n  param %w: f32[2]\n"
      "  %y = add(%x, %w)\n  return %y\n}\n");
  EXPECT_THAT(test::error_of([&] { compile({graph, {}}); }), HasSubstr("%w (f32[2])"));
  EXPECT_THAT(test::error_of([&] { compile({graph, {{"w", Tensor(DType::f32, {3})}}}); }),
              HasSubstr("f32[2]"));
  EXPECT_EQ(test::error_of([&] { compile({graph, {{"w", Tensor(DType::f32, {2})}}}); }),
            "no error");
}

// A call through the C ABI with everything in place, for the tests to spoil.
class RawCall : public testing::Test {
 protected:
  RawCall() : executable_(with_workspace()), program_(executable_.program()) {
    dims_ = {2, 3};
    if (executable_.symbols()[0] == "M") dims_ = {3, 2};
    workspace_.resize(executable_.workspace_bytes(dims_) + WEIR_ALIGNMENT);
    void* aligned = workspace_.data();
    std::size_t room = workspace_.size();
    std::align(WEIR_ALIGNMENT, room - WEIR_ALIGNMENT, aligned, room);
    call_ = {inputs_.data(), outputs_.data(), executable_.weights(), aligned, dims_.data(),
             nullptr,        nullptr};
  }

  Executable executable_;
  weir_program program_;
  std::array<float, 6> a_{1, 0, 0, 0, 1, 0}, b_{1, 2, 3, 4, 5, 6};
  std::array<float, 4> y_{};
  std::array<const void*, 2> inputs_{a_.data(), b_.data()};
  std::array<void*, 1> outputs_{y_.data()};
  std::vector<std::ptrdiff_t> dims_;
  std::vector<char> workspace_;
  weir_call call_{};
};

TEST_F(RawCall, Runs) {
  ASSERT_EQ(program_(&call_), WEIR_OK);
  // p = [[1, 2], [3, 4]]
  EXPECT_EQ(y_, (std::array<float, 4>{7, 10, 15, 22}));
}

TEST_F(RawCall, NullPointersAreInvalid) {
  EXPECT_EQ(program_(nullptr), WEIR_INVALID_CALL);
  auto without = [&](auto weir_call::* member) {
    weir_call spoilt = call_;
    spoilt.*member = nullptr;
    return program_(&spoilt);
  };
  EXPECT_EQ(without(&weir_call::inputs), WEIR_INVALID_CALL);
  EXPECT_EQ(without(&weir_call::outputs), WEIR_INVALID_CALL);
  EXPECT_EQ(without(&weir_call::workspace), WEIR_INVALID_CALL);
  EXPECT_EQ(without(&weir_call::dims), WEIR_INVALID_CALL);
  EXPECT_EQ(without(&weir_call::weights), WEIR_OK) << "the program has no weights";
  inputs_[1] = nullptr;
  EXPECT_EQ(program_(&call_), WEIR_INVALID_CALL);
  inputs_[1] = b_.data();
  outputs_[0] = nullptr;
  EXPECT_EQ(program_(&call_), WEIR_INVALID_CALL);
}

TEST_F(RawCall, DimensionsOutOfRangeAreInvalid) {
  constexpr std::ptrdiff_t large = std::ptrdiff_t{1} << 40;
  for (auto [n, m] : {std::pair<std::ptrdiff_t, std::ptrdiff_t>{-1, 3},
                      {2, PTRDIFF_MIN},
                      {2, PTRDIFF_MAX},
                      {PTRDIFF_MAX, 3},
                      // Each is possible; their product overflows.
                      {large, large},
                      {std::ptrdiff_t{1} << 32, 1},
                      {(std::ptrdiff_t{1} << 31) + 1, 1}}) {
    dims_ = {n, m};
    if (executable_.symbols()[0] == "M") dims_ = {m, n};
    EXPECT_EQ(program_(&call_), WEIR_INVALID_CALL) << n << ", " << m;
    EXPECT_THROW((void)executable_.workspace_bytes(dims_), Error) << n << ", " << m;
  }
}

TEST_F(RawCall, NoRowsNeedNoMemory) {
  dims_.assign(2, 0);
  EXPECT_EQ(executable_.workspace_bytes(dims_), 0U);
  EXPECT_EQ(program_(&call_), WEIR_OK);
}

// Two workers, whose tasks run one after the other, the last first.
struct BackwardsExecutor {
  std::ptrdiff_t tasks = 0;
  weir_executor executor{this,
                         2,
                         [](void* context, std::ptrdiff_t count, weir_task task, void* argument) {
                           static_cast<BackwardsExecutor*>(context)->tasks += count;
                           for (std::ptrdiff_t i = count; i-- > 0;)
                             task(argument, i, static_cast<int>(i % 2));
                         },
                         nullptr,
                         nullptr,
                         nullptr};
};

// A program that is a single kernel gives its tasks a copy of the call if its lists are short: here
// one that does, and one of 21 pointers and a size that does not.
TEST(Call, TasksOfASingleKernelFindEveryTensor) {
  constexpr std::int64_t kElements = 20001;
  for (int inputs : {2, 20}) {
    std::string parameters, body, last = "%x0";
    std::vector<Tensor> given;
    std::vector<float> sums(kElements, 0.0f);
    for (int k = 0; k < inputs; ++k) {
      parameters += (k == 0 ? "" : ", ") + ("%x" + std::to_string(k)) + ": f32[N]";
      std::vector<float> elements(kElements);
      for (std::int64_t i = 0; i < kElements; ++i) {
        elements[static_cast<std::size_t>(i)] = static_cast<float>((i * (k + 3)) % 101);
        sums[static_cast<std::size_t>(i)] += elements[static_cast<std::size_t>(i)];
      }
      given.push_back(Tensor::from<float>(std::span<const float>(elements), {kElements}));
      if (k == 0) continue;
      const std::string sum = "%s" + std::to_string(k);
      body += "  " + sum + " = add(" + last + ", %x" + std::to_string(k) + ")\n";
      last = sum;
    }
    Executable executable = compile({test::parse("graph @sum(" + parameters + ") -> (f32[N]) {\n" +
                                                 body + "  return " + last + "\n}\n"),
                                     {}});
    BackwardsExecutor backwards;
    std::vector<Tensor> outputs = executable.run(given, &backwards.executor);
    EXPECT_GT(backwards.tasks, 1);
    EXPECT_EQ(outputs[0].to_string(kElements),
              Tensor::from<float>(std::span<const float>(sums), {kElements}).to_string(kElements));
  }
}

TEST(Workspace, GrowsWithTheDimensions) {
  Executable executable = with_workspace();
  auto bytes = [&](std::ptrdiff_t size) {
    std::vector<std::ptrdiff_t> dims{size, size};
    return executable.workspace_bytes(dims);
  };
  EXPECT_GE(bytes(64), 64U * 64U * 4U);
  EXPECT_EQ(bytes(64) % WEIR_ALIGNMENT, 0U);
  EXPECT_GE(bytes(1000), 4'000'000U);
  std::vector<std::ptrdiff_t> one{1};
  EXPECT_THAT(test::error_of([&] { (void)executable.workspace_bytes(one); }),
              HasSubstr("2 symbols, and 1 value is given"));
}

}  // namespace
}  // namespace weir
