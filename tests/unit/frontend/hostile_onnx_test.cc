// ONNX models that are made to do harm: each is refused with a message that can be shown, in time
// and memory that the file's size and the limits bound.

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/escape.h"
#include "ir/text.h"
#include "onnx_models.h"
#include "support.h"
#include "tests/support/growth.h"

namespace weir {
namespace {

using test::OnnxModel;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using namespace std::string_literals;

std::string message_of(const OnnxModel& model, const LoadLimits& limits = {}) {
  OnnxOptions options;
  options.limits = limits;
  return test::error_of([&] { model.load(options); });
}

// The message, each line of which can be shown as it is.
std::string shown_message_of(const OnnxModel& model, const LoadLimits& limits = {}) {
  std::string text = message_of(model, limits);
  EXPECT_LT(text.size(), 20'000u);
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = std::min(text.find('\n', start), text.size());
    std::string line = text.substr(start, end - start);
    EXPECT_EQ(printable(line), line);
    start = end + 1;
  }
  return text;
}

// x -> Neg -> ... -> Neg -> v<count>
OnnxModel chain(int count) {
  OnnxModel model;
  model.input("v0", {"N", 4}).output("v" + std::to_string(count));
  for (int i = 0; i < count; ++i)
    model.node("Neg", {"v" + std::to_string(i)}, {"v" + std::to_string(i + 1)});
  return model;
}

// --- Sizes -------------------------------------------------------------------

TEST(HostileOnnx, SizesOfInputs) {
  auto with = [](const std::vector<std::int64_t>& dims) {
    OnnxModel model;
    model.input("x", {}).output("y").node("Neg", {"x"}, {"y"});
    auto* shape =
        model.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    for (std::int64_t dim : dims) shape->add_dim()->set_dim_value(dim);
    return shown_message_of(model);
  };
  EXPECT_EQ(with({3, 4}), "no error");
  EXPECT_EQ(with({0, 4}), "no error");
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{INT64_MAX, 2},
                                              {std::int64_t{1} << 32, std::int64_t{1} << 32},
                                              {INT64_MAX, INT64_MAX, 0}})
    EXPECT_THAT(with(dims), HasSubstr("does not fit in 64 bits"));
  EXPECT_EQ(with(std::vector<std::int64_t>(64, 1)), "no error");
  for (std::size_t rank : {65u, 1000u, 100'000u})
    EXPECT_THAT(with(std::vector<std::int64_t>(rank, 1)), HasSubstr("64")) << rank;
}

TEST(HostileOnnx, SizesOfConstants) {
  OnnxModel model;
  model.output("y");
  model.initializer("shape", Tensor::from<std::int64_t>({1L << 40, 1L << 40}, {2}));
  model.node("ConstantOfShape", {"shape"}, {"y"});
  EXPECT_NE(shown_message_of(model), "no error");
}

TEST(HostileOnnx, SizesOfInitializers) {
  auto with = [](const std::vector<std::int64_t>& dims, const std::string& raw) {
    OnnxModel model;
    model.output("y").node("Neg", {"w"}, {"y"});
    auto* tensor = model.graph().add_initializer();
    tensor->set_name("w");
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    for (std::int64_t dim : dims) tensor->add_dims(dim);
    if (raw != "none") tensor->set_raw_data(raw);
    std::string text;
    std::size_t memory = test::peak_memory_of([&] { text = shown_message_of(model); });
    EXPECT_LT(memory, 300'000u);
    return text;
  };
  std::string four(4, '\0');
  EXPECT_EQ(with({1}, four), "no error");
  EXPECT_EQ(with({0}, ""), "no error");
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{2},
                                              {-1},
                                              {-1, -1},
                                              {0},
                                              {1 << 30},
                                              {INT64_MAX},
                                              {INT64_MIN},
                                              {1, -1},
                                              {std::int64_t{1} << 32, std::int64_t{1} << 32},
                                              {std::int64_t{1} << 62, 4}})
    EXPECT_NE(with(dims, four), "no error") << ::testing::PrintToString(dims);
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{1}, {-1}, {1 << 30}, {INT64_MAX}})
    EXPECT_NE(with(dims, "none"), "no error") << ::testing::PrintToString(dims);
  EXPECT_THAT(with(std::vector<std::int64_t>(65, 1), four), HasSubstr("64"));
  EXPECT_NE(with(std::vector<std::int64_t>(1000, 2), four), "no error");
}

TEST(HostileOnnx, ElementsInMoreThanOneWay) {
  OnnxModel model;
  model.initializer("w", Tensor::from<float>({1, 2}, {2})).output("y").node("Neg", {"w"}, {"y"});
  model.graph().mutable_initializer(0)->add_float_data(3);
  EXPECT_THAT(shown_message_of(model), HasSubstr("more than one way"));
}

// --- Structure ---------------------------------------------------------------

TEST(HostileOnnx, CyclesAndNamesThatClash) {
  auto base = [] {
    OnnxModel model;
    model.input("x", {4}).output("y");
    return model;
  };
  OnnxModel self = base();
  self.node("Add", {"x", "y"}, {"y"});
  EXPECT_THAT(shown_message_of(self), HasSubstr("cycle"));
  OnnxModel mutual = base();
  mutual.node("Add", {"x", "b"}, {"a"});
  mutual.node("Neg", {"a"}, {"b"});
  mutual.node("Neg", {"x"}, {"y"});
  EXPECT_THAT(shown_message_of(mutual), HasSubstr("cycle"));
  OnnxModel twice = base();
  twice.node("Neg", {"x"}, {"y"}, "one");
  twice.node("Abs", {"x"}, {"y"}, "two");
  EXPECT_THAT(shown_message_of(twice),
              HasSubstr("Neg \"one\" and Abs \"two\" both have an output named \"y\""));
  OnnxModel shadows = base();
  shadows.node("Neg", {"x"}, {"x"});
  shadows.node("Neg", {"x"}, {"y"});
  EXPECT_THAT(shown_message_of(shadows), HasSubstr("which an input or initializer has"));
  OnnxModel missing = base();
  missing.node("Add", {"x", "z"}, {"y"}, "sum");
  EXPECT_THAT(shown_message_of(missing),
              HasSubstr("Add \"sum\" reads \"z\", which is neither an input, nor"));
  EXPECT_THAT(shown_message_of(base()), HasSubstr("output \"y\" in test.onnx"));
  EXPECT_THAT(shown_message_of(base()), HasSubstr("no output of a node"));
  OnnxModel inputs = base();
  inputs.input("x", {4}).node("Neg", {"x"}, {"y"});
  EXPECT_THAT(shown_message_of(inputs), AnyOf(HasSubstr("two inputs"), HasSubstr("already taken")));
  OnnxModel outputs = base();
  outputs.output("y").node("Neg", {"x"}, {"y"});
  EXPECT_THAT(shown_message_of(outputs), HasSubstr("two outputs"));
  OnnxModel more = base();  // computed on the way in, so that no op sees it
  more.node("Shape", {"x"}, {"sizes", "more"});
  more.node("Neg", {"more"}, {"y"});
  EXPECT_THAT(shown_message_of(more), HasSubstr("Shape has no output 1"));
  OnnxModel weights = base();
  weights.initializer("w", Tensor::from<float>({1}, {1}))
      .initializer("w", Tensor::from<float>({2}, {1}))
      .node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(shown_message_of(weights), HasSubstr("two initializers"));
  OnnxModel nameless = base();
  nameless.input("", {4}).node("Neg", {"x"}, {"y"});
  EXPECT_NE(shown_message_of(nameless), "no error");
  OnnxModel nothing;
  EXPECT_NE(shown_message_of(nothing), "no error");
}

TEST(HostileOnnx, BytesThatAreNoModel) {
  auto read = [](std::string bytes) {
    return test::error_of([&] { read_onnx(memory_file(std::move(bytes), "m.onnx"), "."); });
  };
  std::string whole = chain(3).proto().SerializeAsString();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::string text = read(whole.substr(0, length));
    // A message that ends behind a field is a shorter message.
    EXPECT_NE(text, "no error") << length;
  }
  EXPECT_THAT(read(""), HasSubstr("the file has no graph"));
  for (const std::string& other :
       {"graph @x() -> ()"s, std::string(100, '\0'), std::string(1000, '\xFF')})
    EXPECT_THAT(read(other), HasSubstr("this is no ONNX model"));
  // Graphs in attributes in nodes in graphs, deeper than any stack: 10,000 messages in each other.
  std::string nested;
  for (int i = 0; i < 10'000; ++i) {
    std::string outer = i % 3 == 0 ? "\x32" : i % 3 == 1 ? "\x2A" : "\x0A";
    for (std::size_t size = nested.size();; size >>= 7) {
      outer += static_cast<char>((size & 0x7F) | (size > 0x7F ? 0x80 : 0));
      if (size <= 0x7F) break;
    }
    nested = outer + nested;
  }
  EXPECT_NE(read("\x08\x08\x3A\x04" + nested), "no error");
}

// A thousand random changes of a model are a model or an Error, nothing else.
TEST(HostileOnnx, MutationsGiveAModelOrAnError) {
  OnnxModel model(13);
  model.input("x", {"N", 4}).output("y");
  model.initializer("w", Tensor(DType::f32, {4, 3}));
  model.initializer("shape", Tensor::from<std::int64_t>({-1, 1, 3}, {3}));
  model.node("MatMul", {"x", "w"}, {"h"});
  test::set_float(model.node("LeakyRelu", {"h"}, {"a"}), "alpha", 0.1f);
  model.node("Reshape", {"a", "shape"}, {"y"});
  std::string bytes = model.proto().SerializeAsString();
  OnnxOptions options;
  options.warn = [](const std::string&) {};
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string changed = bytes;
    for (int k = 0; k < 3; ++k) changed[random() % changed.size()] = static_cast<char>(random());
    test::error_of([&] { read_onnx(memory_file(changed, "f.onnx"), ".", options); });
  }
}

// --- Names -------------------------------------------------------------------

TEST(HostileOnnx, NamesOfNodesInMessages) {
  OnnxModel model;
  model.input("x", {2}).input("z", {3}).output("y");
  model.node("Add", {"x", "z"}, {"y"}, "evil\n\x1b[31m\xff");
  EXPECT_THAT(shown_message_of(model), HasSubstr("Add \"evil\\n\\x1b[31m\\xff\" in test.onnx"));
}

TEST(HostileOnnx, NamesAreEscapedWhereverTheyAreShown) {
  for (const std::string& name :
       {"a\nb"s, "\x1B[2J\x1B]0;owned\x07"s, "\xC3\x28\xFF"s, "a\0b"s,
        "\xC2\x9B"
        "2J"s,
        "\r\n// \"%x\" {"s, std::string(50'000, 'x'), std::string(5'000, '\n'), "\"\\"s}) {
    SCOPED_TRACE(printable(name.substr(0, 20)));
    OnnxModel model;
    model.graph().set_name(name);
    model.input(name, {"N", 4})
        .output(name + "y")
        .initializer(name + "w", Tensor::from<float>({1}, {1}));
    model.node("Neg", {name}, {name + "m"}, name);
    model.node("Add", {name + "m", name + "w"}, {name + "y"}, name);
    Model loaded = model.load();
    for (bool comments : {false, true}) {
      std::string text = print(loaded.graph, {.types = comments, .locations = comments});
      for (std::size_t start = 0; start < text.size();) {
        std::size_t end = text.find('\n', start);
        std::string line = text.substr(start, end - start);
        ASSERT_EQ(printable(line), line);
        start = end + 1;
      }
      Graph again = parse_graph(text, "printed.weir");
      EXPECT_EQ(again.inputs().size(), 1u);
      EXPECT_EQ(again.value(again.inputs()[0]).name, name);
      EXPECT_EQ(again.outputs()[0].name, name + "y");
    }

    // The same names in what is wrong.
    auto broken = [&](auto change) {
      OnnxModel other = model;
      change(other);
      EXPECT_NE(shown_message_of(other), "no error");
    };
    broken([&](OnnxModel& m) { m.graph().mutable_node(0)->set_op_type(name); });
    broken([&](OnnxModel& m) { m.graph().mutable_node(0)->set_domain(name); });
    broken([&](OnnxModel& m) { m.graph().mutable_node(0)->set_input(0, name + "?"); });
    broken([&](OnnxModel& m) { m.graph().mutable_node(0)->set_output(0, name); });
    broken([&](OnnxModel& m) { m.graph().mutable_node(0)->set_input(0, name + "m"); });
    broken([&](OnnxModel& m) { m.graph().mutable_node(0)->set_output(0, name + "y"); });
    broken([&](OnnxModel& m) { test::set_int(*m.graph().mutable_node(0), name, 1); });
    broken([&](OnnxModel& m) { m.graph().mutable_output(0)->set_name(name + "?"); });
    broken([&](OnnxModel& m) { m.graph().mutable_initializer(0)->add_dims(7); });
    broken([&](OnnxModel& m) { *m.graph().add_initializer() = m.graph().initializer(0); });
    broken([&](OnnxModel& m) { *m.graph().add_input() = m.graph().input(0); });
    broken([&](OnnxModel& m) { *m.graph().add_output() = m.graph().output(0); });
    broken([&](OnnxModel& m) { m.graph().mutable_node(1)->add_input(name); });
    broken([&](OnnxModel& m) {
      auto* shape =
          m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
      shape->mutable_dim(1)->set_dim_param(name);
      m.initializer("other", Tensor::from<float>({1, 2, 3}, {3}));
      m.graph().mutable_node(1)->set_input(1, "other");
    });
  }
}

TEST(HostileOnnx, DimensionNamesBecomeSymbols) {
  OnnxModel model;
  model.input("x", {"a b", "a_b", "a\nb", "\xFF", "", "?", "9", "N"})
      .output("y")
      .node("Neg", {"x"}, {"y"});
  Model loaded = model.load();
  EXPECT_EQ(loaded.graph.symbols().size(), 8u);
  for (const std::string& symbol : loaded.graph.symbols())
    EXPECT_TRUE(is_identifier(symbol)) << symbol;
}

// --- Limits ------------------------------------------------------------------

TEST(HostileOnnx, NodesAreLimited) {
  EXPECT_EQ(shown_message_of(chain(100), {.nodes = 100}), "no error");
  EXPECT_THAT(shown_message_of(chain(101), {.nodes = 100}), HasSubstr("--max-nodes"));
}

// An empty node takes two bytes of a file, and hundreds in memory: the file is refused as it lies.
TEST(HostileOnnx, MoreThanAMillionNodesAreRefusedUnread) {
  auto file_with = [](int nodes) {
    std::string graph;
    for (int i = 0; i < nodes; ++i) graph += "\x0A\0"s;
    std::string size;
    for (std::size_t rest = graph.size(); rest > 0; rest >>= 7)
      size += static_cast<char>((rest & 127) | (rest > 127 ? 128 : 0));
    return memory_file("\x08\x08\x3A"s + size + graph, "test.onnx");
  };
  FileBytes million = file_with(1'000'000), beyond = file_with(1'000'001);
  std::string message;
  EXPECT_LT(
      test::peak_memory_of([&] { message = test::error_of([&] { read_onnx(beyond, "."); }); }),
      10'000u);
  EXPECT_THAT(message, HasSubstr("has 1000001 nodes, and at most 1000000 are allowed"));
  OnnxOptions options;
  options.limits.memory = 100'000'000;
  EXPECT_THAT(test::error_of([&] { read_onnx(million, ".", options); }),
              HasSubstr("reading the model takes about"));
}

TEST(HostileOnnx, MemoryIsLimited) {
  OnnxModel model;
  model.initializer("w", Tensor(DType::f32, {1000})).output("y").node("Neg", {"w"}, {"y"});
  EXPECT_EQ(shown_message_of(model, {.memory = 1'000'000}), "no error");
  for (std::int64_t memory : {0, 1, 100, 4000})
    EXPECT_THAT(shown_message_of(model, {.memory = memory}), HasSubstr("--max-memory")) << memory;
  // What is too much is not taken before it is refused.
  FileBytes file = memory_file(chain(2000).proto().SerializeAsString(), "test.onnx");
  OnnxOptions options;
  options.limits.memory = 100'000;
  std::string message;
  EXPECT_LT(test::peak_memory_of(
                [&] { message = test::error_of([&] { read_onnx(file, ".", options); }); }),
            10'000u);
  EXPECT_THAT(message, HasSubstr("--max-memory sets this limit"));
}

// --- Time --------------------------------------------------------------------

// growth() of loading a model of that many parts.
template <class Build>
double loading_growth(Build build, int size) {
  auto load = [](const std::string& bytes) {
    try {
      read_onnx(memory_file(bytes, "m.onnx"), ".");
    } catch (const Error&) {
    }
  };
  std::map<int, std::string> files;
  for (int count : {size, 8 * size}) files[count] = build(count).proto().SerializeAsString();
  return test::growth([&](int count) { load(files.at(count)); }, size);
}

std::string numbered(const std::string& name, int i) { return name + std::to_string(i); }

TEST(HostileOnnxGrowth, Nodes) { EXPECT_LT(loading_growth(chain, 2000), test::kLinearGrowth); }

TEST(HostileOnnxGrowth, NodesInReverse) {
  auto build = [](int count) {
    OnnxModel model = chain(count);
    auto& nodes = *model.graph().mutable_node();
    for (int i = 0; i < count / 2; ++i) nodes.SwapElements(i, count - 1 - i);
    return model;
  };
  EXPECT_LT(loading_growth(build, 2000), test::kLinearGrowth);
}

TEST(HostileOnnxGrowth, InputsWithDimensionsOfSimilarNames) {
  auto build = [](int count) {
    OnnxModel model;
    model.output("y").input("x", {2}).node("Neg", {"x"}, {"y"});
    for (int i = 0; i < count; ++i) {
      std::string name = "\xFF";
      for (int k = i; k > 0; k /= 32) name += static_cast<char>(0x80 + k % 32);
      name.resize(8, '\xFE');
      model.input(numbered("x", i), {name.c_str(), "?"});
    }
    return model;
  };
  EXPECT_LT(loading_growth(build, 500), test::kLinearGrowth);
}

TEST(HostileOnnxGrowth, Initializers) {
  auto build = [](int count) {
    OnnxModel model;
    model.output("y").input("x", {2});
    std::string last = "x";
    for (int i = 0; i < count; ++i) {
      model.initializer(numbered("w", i), Tensor::from<float>({1}, {1}));
      model.node("Add", {last, numbered("w", i)}, {i + 1 == count ? "y" : numbered("v", i)});
      last = numbered("v", i);
    }
    return model;
  };
  EXPECT_LT(loading_growth(build, 1000), test::kLinearGrowth);
}

TEST(HostileOnnxGrowth, OneNodeOfManyInputs) {
  auto build = [](int count) {
    OnnxModel model;
    model.output("y").input("x", {2});
    test::set_int(
        model.node("Concat", std::vector<std::string>(static_cast<std::size_t>(count), "x"), {"y"}),
        "axis", 0);
    return model;
  };
  EXPECT_LT(loading_growth(build, 5000), test::kLinearGrowth);
}

TEST(HostileOnnxGrowth, OneNodeOfManyAttributes) {
  auto build = [](int count) {
    OnnxModel model;
    model.output("y").input("x", {2});
    auto& node = model.node("Neg", {"x"}, {"y"});
    for (int i = 0; i < count; ++i) test::set_int(node, numbered("a", i), i);
    return model;
  };
  EXPECT_LT(loading_growth(build, 5000), test::kLinearGrowth);
}

TEST(HostileOnnxGrowth, OutputsAndUnsupportedOps) {
  auto outputs = [](int count) {
    OnnxModel model;
    model.input("x", {2});
    for (int i = 0; i < count; ++i)
      model.output(numbered("y", i)).node("Neg", {"x"}, {numbered("y", i)});
    return model;
  };
  EXPECT_LT(loading_growth(outputs, 1000), test::kLinearGrowth);
  auto unsupported = [](int count) {
    OnnxModel model;
    model.input("x", {2}).output("x");
    for (int i = 0; i < count; ++i) model.node(numbered("Op", i), {"x"}, {numbered("y", i)});
    return model;
  };
  EXPECT_LT(loading_growth(unsupported, 2000), test::kLinearGrowth);
}

// Arithmetic on shapes: sums and products of dimensions must not grow without a bound.
TEST(HostileOnnx, PolynomialsOfDimensions) {
  auto build = [](const std::string& op, int count) {
    OnnxModel model;
    model.input("x", {"A", "B"}).output("y");
    model.node("Shape", {"x"}, {"s"});
    model.node("ReduceSum", {"s"}, {"v0"});
    for (int i = 0; i < count; ++i)
      model.node(op, {numbered("v", i), numbered("v", i)}, {numbered("v", i + 1)});
    model.node("ConstantOfShape", {numbered("v", count)}, {"c"});
    model.node("Neg", {"c"}, {"y"});
    return model;
  };
  for (const char* op : {"Add", "Mul"}) {
    OnnxModel model = build(op, 2000);
    std::size_t size = model.proto().ByteSizeLong();
    std::size_t memory = test::peak_memory_of([&] { shown_message_of(model); });
    EXPECT_LT(memory, 1024 * size) << op;
  }
}

// A function of few bytes stands for many nodes, each with a polynomial of its own for a size.
TEST(HostileOnnx, PolynomialsInFunctions) {
  OnnxModel model;
  std::string sum = "N0";
  for (int i = 1; i < 60; ++i) sum += " + N" + std::to_string(i);
  for (int i = 1; i < 60; ++i)
    model.input("i" + std::to_string(i), {("N" + std::to_string(i)).c_str()});
  model.input("0", {sum.c_str()}).input("z", {1}).output("0");
  auto* opset = model.proto().add_opset_import();
  opset->set_domain("d");
  opset->set_version(1);
  auto& function = *model.proto().add_functions();
  function.set_domain("d");
  function.set_name("Longer");
  function.add_input("0");
  function.add_input("z");
  function.add_output("500");
  *function.add_opset_import() = model.proto().opset_import(0);
  for (int i = 0; i < 500; ++i) {
    auto& node = *function.add_node();
    node.set_op_type("Concat");
    node.add_input(std::to_string(i));
    node.add_input("z");
    node.add_output(std::to_string(i + 1));
    test::set_int(node, "axis", 0);
  }
  for (int i = 0; i < 200; ++i)
    model.node("Longer", {std::to_string(i), "z"}, {std::to_string(i + 1)}).set_domain("d");
  std::size_t size = model.proto().ByteSizeLong();
  std::string message;
  std::size_t memory = test::peak_memory_of([&] { message = shown_message_of(model); });
  EXPECT_LT(memory, 1024 * size + (4 << 20));
  EXPECT_THAT(message, HasSubstr("Concat (node"));
  EXPECT_THAT(message, HasSubstr("for a file of this size; use fewer symbols"));
}

}  // namespace
}  // namespace weir
