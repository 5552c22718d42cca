// Compiling with a cache: the second time nothing is generated and the results have the same bits,
// and whatever code depends on makes another entry.

#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/cache/build_identity.h"
#include "compiler/cache/entry.h"
#include "compiler/cache/host_features.h"
#include "compiler/cache/program_key.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const char* const kText =
    "graph @net(%x: f32[N, 8]) -> (f32[N, 4]) {\n"
    "  param %w: f32[4, 8]\n"
    "  %h = linear(%x, %w)\n"
    "  %y = leaky_relu(%h)\n"
    "  return %y\n"
    "}\n";

Tensor ramp(std::int64_t rows, std::int64_t columns, float step) {
  Tensor result(DType::f32, {rows, columns});
  float value = -1;
  for (float& element : result.mutable_elements<float>()) element = value += step;
  return result;
}

bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && std::memcmp(a.data(), b.data(), a.byte_count()) == 0;
}

class CacheCompile : public testing::Test {
 protected:
  Model model(const std::string& text = kText, float step = 0.1F) {
    Model result;
    result.graph = parse_graph(text, "net.weir");
    result.weights.emplace("w", ramp(4, 8, step));
    return result;
  }
  CompileOptions options() {
    CompileOptions result;
    result.cache.folder = folder_ / "cache";
    result.cache.warn = [this](std::string_view message) { warnings_.emplace_back(message); };
    result.timing = [this](std::string_view step, double) { steps_.emplace_back(step); };
    return result;
  }
  Tensor run(const Model& model, const CompileOptions& options) {
    steps_.clear();
    return compile(model, options).run(NamedTensors{{"x", ramp(5, 8, 0.01F)}})[0];
  }
  bool generated() const {
    for (const std::string& step : steps_)
      if (step.find("LLVM") != std::string::npos || step == "target") return true;
    return false;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> paths;
    for (const auto& file : std::filesystem::directory_iterator(folder_ / "cache"))
      paths.push_back(file.path().string());
    return paths;
  }

  test::TemporaryFolder folder_;
  std::vector<std::string> warnings_, steps_;
};

TEST_F(CacheCompile, is_off_by_default) {
  CompileOptions plain;
  EXPECT_TRUE(plain.cache.folder.empty());
}

TEST_F(CacheCompile, the_second_time_nothing_is_generated) {
  Tensor without = run(model(), CompileOptions{});
  Tensor first = run(model(), options());
  EXPECT_TRUE(generated());
  Tensor second = run(model(), options());
  EXPECT_FALSE(generated()) << testing::PrintToString(steps_);
  EXPECT_THAT(steps_, Contains("load"));
  EXPECT_TRUE(equal_bits(without, first));
  EXPECT_TRUE(equal_bits(first, second));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CacheCompile, weights_and_places_in_files_are_no_part_of_the_key) {
  run(model(), options());
  // Two lines further down in another file, with other values.
  Model moved = model();
  moved.graph = parse_graph(std::string("\n\n") + kText, "elsewhere/net.weir");
  moved.weights.clear();
  moved.weights.emplace("w", ramp(4, 8, 0.3F));
  Tensor found = run(moved, options());
  EXPECT_FALSE(generated());
  EXPECT_TRUE(equal_bits(found, run(moved, CompileOptions{})));
}

TEST_F(CacheCompile, whatever_code_depends_on_is_part_of_the_key) {
  std::size_t entries = 0;
  auto is_new = [&](const Model& of, const CompileOptions& with) {
    Tensor compiled = run(of, with);
    bool made = generated() && files().size() == entries + 1;
    ++entries;
    Tensor found = run(of, with);
    return made && !generated() && equal_bits(compiled, found);
  };
  EXPECT_TRUE(is_new(model(), options()));
  std::string slope = kText;
  slope.replace(slope.find("leaky_relu(%h)"), 14, "leaky_relu(%h) {negative_slope = 0.02}");
  EXPECT_TRUE(is_new(model(slope), options()));
  std::string name = kText;
  name.replace(name.find("@net"), 4, "@met");
  EXPECT_TRUE(is_new(model(name), options()));
  std::string size = kText;
  for (char& letter : size)
    if (letter == 'N') letter = '5';
  EXPECT_TRUE(is_new(model(size), options()));
  CompileOptions unfused = options();
  unfused.fuse = false;
  EXPECT_TRUE(is_new(model(), unfused));
  std::string chain = kText;
  chain.replace(chain.find("%y = leaky_relu(%h)"), 19,
                "%a = exp(%h)\n  %b = neg(%a)\n  %c = exp(%b)\n  %y = exp(%c)");
  EXPECT_TRUE(is_new(model(chain), unfused));
  CompileOptions larger = unfused;
  larger.reuse_memory = false;
  EXPECT_TRUE(is_new(model(chain), larger));
#if defined(__x86_64__)
  CompileOptions lesser = options();
  lesser.target.features = "-fma";
  EXPECT_TRUE(is_new(model(), lesser));
  lesser.target.features.clear();
  lesser.target.cpu = "x86-64";
  EXPECT_TRUE(is_new(model(), lesser));
#endif
  Model gradients = model();
  std::vector<std::string> wrt{"w"};
  gradients.graph = gradient(gradients.graph, wrt);
  EXPECT_TRUE(is_new(gradients, options()));
  EXPECT_THAT(warnings_, IsEmpty());
}

// The parts of a program that no model above changes alone.
TEST(ProgramKey, tells_programs_apart) {
  Program program = lower_graph(parse_graph(kText, "net.weir"));
  std::set<std::string> keys{program_key(program)};
  auto differs = [&](auto change) {
    Program other = program;
    change(other);
    return keys.insert(program_key(other)).second;
  };
  EXPECT_TRUE(differs([](Program& p) { p.name += "_"; }));
  EXPECT_TRUE(differs([](Program& p) { p.symbols[0] += "_"; }));
  EXPECT_TRUE(differs([](Program& p) { p.symbols.push_back("M"); }));
  EXPECT_TRUE(differs([](Program& p) { p.kernels[0].name += "_"; }));
  EXPECT_TRUE(differs([](Program& p) { p.kernels[0].rows[0] = Dim(3); }));
  EXPECT_TRUE(differs([](Program& p) { p.kernels.push_back(p.kernels[0]); }));
  EXPECT_TRUE(differs([](Program& p) { p.calls.push_back(p.calls[0]); }));
  EXPECT_TRUE(differs([](Program& p) { p.calls[0].buffers[0] += 1; }));
  EXPECT_TRUE(differs([](Program& p) { p.calls.back().dims[0] = Dim::symbol("N") + 1; }));
  const Bands bands{0, 0, Dim(1), Dim(4), Dim(8), 2, Dim(64), 512};
  std::vector<Bands> others(9, bands);
  others[1].call = 1, others[2].buffer = 1, others[3].images = 2, others[4].rows = 3;
  others[5].source_rows = 9, others[6].stride = 1, others[7].source_bytes = 128;
  others[8].bytes = 256;
  for (const Bands& each : others)
    EXPECT_TRUE(differs([&](Program& p) { p.bands.push_back(each); }));
  EXPECT_TRUE(differs([](Program& p) { p.buffers[0].offset += 64; }));
  EXPECT_TRUE(differs([](Program& p) { p.buffers[0].index += 1; }));
  EXPECT_TRUE(differs([](Program& p) { p.buffers[0].place = Buffer::Place::weights; }));
  EXPECT_TRUE(differs([](Program& p) { p.buffers[0].type.dtype = DType::i32; }));
  EXPECT_TRUE(differs([](Program& p) { p.buffers[0].scratch = SlotSize{Dim(64)}; }));
  for (const SlotEnd& end : {SlotEnd{0, {Dim(64)}}, SlotEnd{0, {Dim(64), 2}},
                             SlotEnd{0, {Dim(64), 2, Dim(8)}}, SlotEnd{1, {Dim(64)}}}) {
    EXPECT_TRUE(differs([&](Program& p) { p.slots.push_back({{end}}); }));
    EXPECT_TRUE(differs([&](Program& p) { p.workspace.push_back(end); }));
  }
  EXPECT_TRUE(differs([](Program& p) { p.weight_bytes += 64; }));
  EXPECT_TRUE(differs([](Program& p) { p.outputs.push_back(p.outputs[0]); }));
  EXPECT_FALSE(differs([](Program& p) { p.kernels[0].locations.clear(); }));
  EXPECT_FALSE(differs([](Program& p) { p.buffers[0].name += "_"; }));
  EXPECT_FALSE(differs([](Program& p) { p.weights.clear(); }));
}

TEST_F(CacheCompile, an_entry_that_holds_no_code_is_told_and_replaced) {
  Tensor expected = run(model(), options());
  const std::string path = files().at(0);
  std::string bytes;
  {
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  // The key stands between the lengths of the parts and the parts.
  std::uint32_t count = 0;
  std::uint64_t key_size = 0;
  std::memcpy(&count, bytes.data() + 12, sizeof count);
  std::memcpy(&key_size, bytes.data() + 32, sizeof key_size);
  const std::string key = bytes.substr(40 + 8 * count, key_size);
  const std::vector<std::string> whole = decode_entry(bytes, key).parts;
  ASSERT_GT(whole.size(), 2u);

  std::vector<std::vector<std::string>> hostile{
      {}, {"a"}, {"a", "b"}, {"a", "b", "no object"}, {whole[0], whole[1], ""}};
  hostile.push_back(whole);
  hostile.back()[0] = "another_name";
  for (std::size_t size :
       {std::size_t{16}, std::size_t{64}, whole[2].size() / 2, whole[2].size() - 1}) {
    hostile.push_back(whole);
    hostile.back()[2].resize(size);
  }
  for (const std::vector<std::string>& parts : hostile) {
    std::ofstream(path, std::ios::binary) << encode_entry(key, parts);
    warnings_.clear();
    EXPECT_TRUE(equal_bits(run(model(), options()), expected));
    EXPECT_TRUE(generated());
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("holds no code that can be loaded")));
    EXPECT_TRUE(equal_bits(run(model(), options()), expected));
    EXPECT_FALSE(generated());
  }
}

TEST_F(CacheCompile, a_folder_that_cannot_be_written_stops_nothing) {
  CompileOptions with = options();
  with.cache.folder = "/proc/weir";
  EXPECT_TRUE(equal_bits(run(model(), with), run(model(), CompileOptions{})));
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(CacheCompile, a_target_that_cannot_run_here_is_an_error_still) {
  CompileOptions with = options();
  with.target.triple = "wasm32";
  EXPECT_THROW(compile(model(), with), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache"));
}

TEST(BuildIdentity, has_version_and_build) {
  EXPECT_THAT(build_identity(), testing::MatchesRegex("weir [0-9.]+ [0-9a-f]+"));
  EXPECT_THAT(code_generator(), testing::MatchesRegex("LLVM [0-9.]+"));
}

TEST(CoreKey, tells_each_figure_of_a_core) {
  std::vector<Core> cores(10);
  cores[1].first.bytes *= 2;
  cores[2].first.ways *= 2;
  cores[3].second.bytes *= 2;
  cores[4].second.ways *= 2;
  cores[5].fma_ports *= 2;
  cores[6].fma_cycles *= 2;
  cores[7].fma_bytes *= 2;
  cores[8].past_caches = PastCaches::late;
  cores[9].asks_ahead = 4096;
  std::set<std::string> keys;
  for (const Core& core : cores) keys.insert(core_key(core));
  EXPECT_EQ(keys.size(), cores.size());
  EXPECT_EQ(core_key(Core()), core_key(cores[0]));
}

TEST(HostFeatures, are_bits_and_no_names) {
  std::string features = host_features();
  EXPECT_EQ(features, host_features());
  EXPECT_THAT(features, Not(testing::ContainsRegex("[G-Zg-wyz]")));
#if defined(__x86_64__)
  // AVX2 is bit 5 of the first word of leaf 7: the fifth word there is.
  std::size_t at = 0;
  for (int i = 0; i < 4; ++i) at = features.find(' ', at) + 1;
  unsigned long word = std::stoul(features.substr(at), nullptr, 16);
  __builtin_cpu_init();
  EXPECT_EQ((word >> 5 & 1) != 0, __builtin_cpu_supports("avx2") != 0);
#endif
}

}  // namespace
}  // namespace weir
