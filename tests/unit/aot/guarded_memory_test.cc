// A compiled object touches nothing but what it is handed: every input, output, workspace, block of
// state and of weights lies between pages that may not be touched, once up against the page behind
// it and once against the page before it.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/aot/model_programs.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "runtime/weir_runtime.h"
#include "tests/support/graphs.h"
#include "tests/support/guarded_memory.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using test::Against;
using test::GuardedMemory;

std::size_t element_bytes(int type) {
  switch (type) {
    case WEIR_F64:
    case WEIR_I64:
      return 8;
    case WEIR_F16:
    case WEIR_BF16:
      return 2;
    case WEIR_BOOL:
    case WEIR_I8:
    case WEIR_U8:
      return 1;
    default:
      return 4;
  }
}

// A model with its training, the params being state, in a shared object without weights.
class GuardedObject {
 public:
  GuardedObject(Model model, const TrainingOptions& training) {
    TrainingPrograms programs = training_programs(model.graph, {"adamw"}, training);
    model.weights.merge(programs.initial);
    CompileModelOptions options;
    options.form = ObjectForm::shared;
    options.embed_weights = false;
    CompiledModel compiled = compile_model(programs.programs, model.weights, options);
    weights_ = compiled.weights;
    has_panels_ = compiled.header.find("in panels of") != std::string::npos;
    std::string path = folder_ / "digits.so";
    write_file(path, {compiled.code});
    loaded_ = weir_model_open(path.c_str(), nullptr, 0);
  }
  ~GuardedObject() { weir_model_close(loaded_); }

  GuardedObject(const GuardedObject&) = delete;
  GuardedObject& operator=(const GuardedObject&) = delete;
  bool is_loaded() const { return loaded_ != nullptr; }
  bool has_panels() const { return has_panels_; }
  // What the last run's worker had.
  std::size_t per_worker() const { return per_worker_; }

  // The program's status; with a data fault, state must be as it was. All inputs of i32 are
  // `integer`, those of f32 0.25, and all others 0.
  int run(const char* name, std::ptrdiff_t rows, int integer, Against against) {
    const weir_model_info& info = *weir_model_describe(loaded_);
    const weir_program_info& program = *weir_model_program(loaded_, name);
    GuardedMemory weights(info.weight_bytes, against), state(info.state_bytes, against);
    std::memcpy(weights.data(), weights_.data(), info.weight_bytes);
    EXPECT_EQ(info.init_state(state.data(), weights.data()), WEIR_OK);
    std::size_t fixed = 0, per_worker = 0;
    EXPECT_EQ(program.workspace_size(&rows, &fixed, &per_worker), WEIR_OK);
    per_worker_ = per_worker;
    GuardedMemory workspace(fixed + per_worker, against);
    std::vector<std::ptrdiff_t> sizes(200);
    EXPECT_EQ(program.shapes(&rows, sizes.data()), WEIR_OK);
    std::vector<std::unique_ptr<GuardedMemory>> tensors;
    std::vector<void*> pointers;
    std::size_t next = 0;
    for (int i = 0; i < program.inputs + program.outputs; ++i) {
      std::size_t elements = 1;
      for (int k = 0; k < program.tensors[i].rank; ++k)
        elements *= static_cast<std::size_t>(sizes[next++]);
      const int type = program.tensors[i].type;
      tensors.push_back(std::make_unique<GuardedMemory>(elements * element_bytes(type), against));
      char* to = tensors.back()->data();
      pointers.push_back(to);
      for (std::size_t k = 0; i < program.inputs && k < elements; ++k) {
        if (type == WEIR_I32) {
          std::memcpy(to + k * sizeof(int), &integer, sizeof(int));
        } else if (type == WEIR_F32) {
          float number = 0.25F;
          std::memcpy(to + k * sizeof(float), &number, sizeof(float));
        }
      }
    }
    weir_call call{pointers.data(), pointers.data() + program.inputs,
                   weights.data(),  workspace.data(),
                   &rows,           nullptr,
                   state.data()};
    std::string before(state.data(), info.state_bytes);
    int status = program.run(&call);
    if (status == WEIR_DATA_FAULT) {
      EXPECT_EQ(std::memcmp(before.data(), state.data(), before.size()), 0) << name;
    }
    return status;
  }

 private:
  test::TemporaryFolder folder_;
  std::string weights_;
  bool has_panels_ = false;
  std::size_t per_worker_ = 0;
  weir_loaded_model* loaded_ = nullptr;
};

TEST(GuardedObject, TouchesOnlyWhatItIsHanded) {
  Model model = load_model(WEIR_SOURCE_DIR "/examples/digits/digits.weir");
  model.graph = with_loss(model.graph, {.op = "cross_entropy", .labels = DType::i32});
  // Not all is trained, so there are weights, too.
  GuardedObject object(std::move(model), {.trained = {"w1", "b1", "w3", "b3"}});
  ASSERT_TRUE(object.is_loaded());
  for (const char* program : {"forward", "step", "evaluate"})
    for (std::ptrdiff_t rows : {1, 2, 3, 7, 16, 37})
      for (Against against : {Against::page_behind, Against::page_before})
        EXPECT_EQ(object.run(program, rows, 9, against), WEIR_OK) << program << " " << rows;
  // Labels that are no classes.
  for (int label : {10, -1, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(object.run("forward", 7, label, Against::page_behind), WEIR_OK);
    for (const char* program : {"step", "evaluate"})
      EXPECT_EQ(object.run(program, 7, label, Against::page_behind), WEIR_DATA_FAULT)
          << program << " " << label;
  }
}

// A pool reads a band of what its convolution computes, which ends where the workspace does: rows
// of vectors, and of some that are not whole.
TEST(GuardedObject, ReadsBandsAtTheEdge) {
  for (const char* width : {"40", "37"}) {
    std::string text = R"(graph @pooled(%x: f32[N, 3, 97, WIDTH]) -> (f32[N, 20, 48, HALF], f32[]) {
  param %w: f32[20, 3, 3, 3]
  %h = conv(%x, %w) {low = [1, 1], high = [1, 1]}
  %a = leaky_relu(%h)
  %y = max_pool(%a) {kernel = [2, 2], strides = [2, 2]}
  %m = mul(%y, %y)
  %loss = reduce_sum(%m)
  return %y, %loss as "loss"
})";
    text.replace(text.find("WIDTH"), 5, width);
    text.replace(text.find("HALF"), 4, std::string(width) == "40" ? "20" : "18");
    Weights weights;
    weights.emplace("w", Tensor(DType::f32, {20, 3, 3, 3}));
    GuardedObject object({test::parse(text), std::move(weights)}, {});
    ASSERT_TRUE(object.is_loaded());
    for (std::ptrdiff_t images : {1, 3})
      for (Against against : {Against::page_behind, Against::page_before})
        EXPECT_EQ(object.run("forward", images, 0, against), WEIR_OK) << width << " " << images;
    EXPECT_GT(object.per_worker(), 0U);
  }
}

// A convolution reads its filters from panels, rows of pixels with and without their frame, and
// whole vectors of output channels where it has as many.
TEST(GuardedObject, ReadsPanelsOfWeightsAndPixelsAtTheEdge) {
  Graph graph = test::parse(R"(graph @conv(%x: f32[N, 16, 5, 7]) -> (f32[N, 192, 5, 7], f32[]) {
  param %w: f32[192, 16, 3, 3]
  param %b: f32[192]
  %y = conv(%x, %w, %b) {low = [1, 1], high = [1, 1]}
  %a = leaky_relu(%y)
  %squares = mul(%a, %a)
  %loss = reduce_mean(%squares)
  return %a, %loss
})");
  Weights weights{{"w", Tensor(DType::f32, {192, 16, 3, 3})}, {"b", Tensor(DType::f32, {192})}};
  GuardedObject object({std::move(graph), std::move(weights)}, {.trained = {"b"}});
  ASSERT_TRUE(object.is_loaded());
  EXPECT_TRUE(object.has_panels());
  for (const char* program : {"forward", "step", "evaluate"})
    for (std::ptrdiff_t rows : {1, 3})
      for (Against against : {Against::page_behind, Against::page_before})
        EXPECT_EQ(object.run(program, rows, 0, against), WEIR_OK) << program << " " << rows;
}

TEST(GuardedObject, LoadsOnlyWhereAGuardHolds) {
  Graph graph = test::parse(R"(graph @guards(%x: f32[N, 37]) -> (f32[N, 46], f32[]) {
  param %b: f32[46]
  %reversed = reverse(%x) {axes = [1]}
  %padded = pad(%reversed) {low = [0, 4], high = [0, 5]}
  %y = mul(%padded, %b)
  %loss = reduce_mean(%y)
  return %y, %loss
})");
  GuardedObject object({std::move(graph), {{"b", Tensor(DType::f32, {46})}}}, {});
  ASSERT_TRUE(object.is_loaded());
  for (const char* program : {"forward", "step", "evaluate"})
    for (std::ptrdiff_t rows : {1, 2, 9})
      for (Against against : {Against::page_behind, Against::page_before})
        EXPECT_EQ(object.run(program, rows, 0, against), WEIR_OK) << program << " " << rows;
}

// Whatever is left for the last vector, of elements that were wider before they are stored.
TEST(GuardedObject, StoresNarrowElementsUpToTheLast) {
  for (const char* narrow : {"bool", "u8", "i8", "i32", "f16"}) {
    for (const char* wide : {"i64", "f64", "i32", "f32"}) {
      std::string inputs = "%unused: f32[N]", nodes, outputs, types;
      for (int size = 1; size < 70; ++size) {
        if (size > 9 && size % 8 > 1) continue;
        const std::string n = std::to_string(size);
        inputs += ", %x" + n + ": " + wide + "[" + n + "]";
        nodes += "%y" + n + " = cast(%x" + n + ") {dtype = " + narrow + "}\n";
        outputs += "%y" + n + ", ";
      }
      Graph graph = test::parse(("graph @casts(" + inputs + ") { param %w: f32[] " + nodes +
                                 "%p = mul(%unused, %w) %loss = reduce_mean(%p) return " + outputs +
                                 "%loss }")
                                    .c_str());
      GuardedObject object({std::move(graph), {{"w", Tensor(DType::f32, {})}}}, {});
      ASSERT_TRUE(object.is_loaded());
      for (Against against : {Against::page_behind, Against::page_before})
        EXPECT_EQ(object.run("forward", 3, 0, against), WEIR_OK) << wide << " " << narrow;
    }
  }
}

TEST(GuardedObject, IsHandedIndicesThatAreNone) {
  Graph graph = test::parse(R"(graph @embedding(%at: i32[N]) -> (f32[N, 4], f32[]) {
  param %table: f32[6, 4]
  %rows = gather(%table, %at)
  %squares = mul(%rows, %rows)
  %loss = reduce_mean(%squares)
  return %rows, %loss
})");
  GuardedObject object({std::move(graph), {{"table", Tensor(DType::f32, {6, 4})}}}, {});
  ASSERT_TRUE(object.is_loaded());
  for (const char* program : {"forward", "step", "evaluate"})
    for (Against against : {Against::page_behind, Against::page_before}) {
      for (int index : {5, -6})
        EXPECT_EQ(object.run(program, 7, index, against), WEIR_OK) << program << " " << index;
      for (int index : {6, -7, 1 << 20, INT32_MAX, INT32_MIN})
        EXPECT_EQ(object.run(program, 7, index, against), WEIR_DATA_FAULT)
            << program << " " << index;
    }
}

}  // namespace
}  // namespace weir
