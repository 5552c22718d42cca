// A model as an object file: compiled ahead of time, for this machine or another, to be linked into
// a program that knows nothing of Weir but runtime/abi.h. host/host.c is such a program.
//
// Usage: example_object [MODEL.weir FILE.o [TRIPLE]]. Without arguments one LeakyReLU is compiled
// for four kinds of machine; returns 0 if each object has its two functions.
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "compiler/frontend/file.h"
#include "compiler/pipeline.h"
#include "ir/text.h"

namespace {

weir::ObjectCode compile_model(const std::string& model, const std::string& triple) {
  weir::Graph graph = weir::parse_graph(weir::read_file(model), model);
  weir::CompileOptions options;
  options.target.triple = triple;
  return weir::compile_object(graph, options);
}

void describe(const std::string& name, const weir::ObjectCode& object) {
  std::printf("%s: %s and %s\n", name.c_str(), object.program_symbol.c_str(),
              object.workspace_symbol.c_str());
}

bool compile_for_four() {
  bool good = true;
  for (const char* triple :
       {"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu", "wasm32"}) {
    weir::ObjectCode object =
        compile_model(WEIR_SOURCE_DIR "/examples/leaky_relu/default_slope.weir", triple);
    describe(triple, object);
    good = good && object.bytes.find(object.program_symbol) != std::string::npos &&
           object.bytes.find(object.workspace_symbol) != std::string::npos;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::puts("usage: example_object [MODEL.weir FILE.o [TRIPLE]]");
    return 0;
  }
  if (argc < 3) return compile_for_four() ? 0 : 1;
  weir::ObjectCode object = compile_model(argv[1], argc > 3 ? argv[3] : "");
  weir::write_file(argv[2], {object.bytes});
  describe(argv[2], object);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
