// A model as one file of code: its programs behind C functions, its weights as data, and a
// description for loaders. Of a model `NAME` with a program `forward` the file defines
//
//   int NAME_forward(const NAME_forward_inputs*, const NAME_forward_outputs*, ptrdiff_t..., const
//   void* weights,
//                    void* workspace, const weir_executor*)
//     runs the program. The structs hold one pointer for each input and output; a side that is
//     empty has no argument, each symbolic dimension has one, and weights have one if the file does
//     not carry them.
//   int NAME_forward_get_sizes(ptrdiff_t..., size_t* sizes)
//     if there are symbolic dimensions: bytes of workspace, fixed and for each worker, then the
//     number of elements of each input and output.
//   const char* NAME_message(int status)
//   int NAME_check_cpu(void)
//   const weir_model_info NAME_model
//
// Everything else is local to the file. Nothing in it is written to, and nothing runs before it is
// called.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/codegen/object.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

enum class CodeForm { object, assembly, llvm_ir, bitcode };

struct ModelObject {
  struct Entry {
    std::string name;  // a C identifier: "forward"
    Program program;   // its weights have their places in the block that all programs share
  };
  std::string name;  // a C identifier: what every symbol begins with
  std::vector<Entry> programs;
  // The block of weights, or null: then the caller hands it to every run. In the text forms it does
  // not stand among the code but in a file, `weights_file`, which the assembler includes.
  const std::string* weights = nullptr;
  std::uint64_t weight_bytes = 0;
  std::string weights_file;
  std::string version;  // of Weir
  std::string hash;     // of the model
  bool shared = false;  // to be linked into a shared object: weir_model stands for NAME_model
};

std::string generate_model(const ModelObject& model, const Target& target, CodeForm form,
                           const CodegenOptions& options = {});

}  // namespace weir
