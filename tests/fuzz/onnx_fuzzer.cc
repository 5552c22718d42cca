// ONNX models: what is read is a well-formed graph whose params have values, and prints as text
// that reads back as the same graph.

#include <filesystem>
#include <fstream>

#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/onnx_file.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "tests/fuzz/framed.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/message_mutation.h"
#include "tests/fuzz/same_graph.h"
#include "tests/fuzz/scratch.h"

namespace {

using namespace weir;

// An empty message takes two bytes of the file, and some hundreds in memory.
constexpr fuzz::Bound kBound{1024, 4 << 20};

// A folder with what the seeds call "weights": 64 bytes of external data.
const std::string& data_folder() {
  static const fuzz::ScratchFolder folder;
  static const std::string path = [] {
    std::ofstream(folder.path("weights"), std::ios::binary) << std::string(64, '\0');
    return folder.path();
  }();
  return path;
}

void check(const Model& model) {
  verify(model.graph, "fuzzed model");
  fuzz::require(model.graph.params().size() == model.weights.size(),
                "the weights are not those of the params");
  for (ValueId id : model.graph.params()) {
    const Value& param = model.graph.value(id);
    auto weight = model.weights.find(param.name);
    fuzz::require(weight != model.weights.end(), "a param has no value");
    fuzz::require(weight->second.type() == param.type, "a param's value has another type");
  }
  std::string printed = print(model.graph);
  Graph again = parse_graph(print(model.graph, {.types = true, .locations = true}), "printed.weir");
  fuzz::require(print(again) == printed, "the graph that was printed reads back changed");
}

std::size_t serialized(const onnx::ModelProto& model, std::uint8_t* data, std::size_t largest) {
  std::size_t size = model.ByteSizeLong();
  if (size > largest || !model.SerializeToArray(data, static_cast<int>(size))) return 0;
  return size;
}

bool parsed(onnx::ModelProto& model, const std::uint8_t* data, std::size_t size) {
  return model.ParseFromArray(data, static_cast<int>(size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FileBytes file = fuzz::file_of(data, size, "input.onnx");
  const std::string& folder = data_folder();
  OnnxOptions options;
  options.warn = [](const std::string&) {};
  auto model = fuzz::accepted(size, kBound, [&] { return read_onnx(file, folder, options); });
  if (model) check(*model);
  return 0;
}

// Most changes are made to the message, some to its bytes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t largest, unsigned seed) {
  onnx::ModelProto model;
  if (seed % 8 > 0 && parsed(model, data, size)) {
    fuzz::change(model, model, seed);
    if (std::size_t changed = serialized(model, data, largest)) return changed;
  }
  return fuzz::mutate(data, size, largest);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* data, std::size_t size,
                                                 const std::uint8_t* other, std::size_t other_size,
                                                 std::uint8_t* out, std::size_t largest,
                                                 unsigned seed) {
  onnx::ModelProto model, donor;
  if (!parsed(model, data, size) || !parsed(donor, other, other_size)) return 0;
  fuzz::change(model, donor, seed);
  return serialized(model, out, largest);
}
