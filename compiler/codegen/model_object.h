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
//   int NAME_selftest(void* memory, const void* weights)
//     if programs have tests: runs them in self_test_bytes() of memory. WEIR_OK, or else
//     WEIR_WRONG_RESULT or the status of the program that failed. Weights are an argument as they
//     are for the programs.
//   const char* NAME_message(int status)
//   int NAME_check_cpu(void)
//   const weir_model_info NAME_model
//
// With several variants of the code, for processors of one kind, each program is there as often,
// and
//   int NAME_init(void* workspace)
//     chooses the last variant that the processor can run, and notes it in the first
//     WEIR_ALIGNMENT bytes of the workspace, which every program then needs beside its own. A
//     program whose workspace has not been made ready says so.
//
// Everything else is local to the file. Nothing in it is written to, and nothing runs before it is
// called.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/codegen/object.h"
#include "compiler/codegen/self_test.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

enum class CodeForm { object, assembly, llvm_ir, bitcode };

struct ModelObject {
  struct Entry {
    std::string name;  // a C identifier: "forward"
    Program program;   // its weights have their places in the block that all programs share
    std::optional<SelfTest> self_test;
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
  // Machines to generate code for, lesser ones first: one, or several of x86-64; and what all else
  // is compiled for.
  std::vector<Target> variants;
  Target base;
};

std::string generate_model(const ModelObject& model, CodeForm form,
                           const CodegenOptions& options = {});

// The bytes of memory, aligned to WEIR_ALIGNMENT, that the self test takes: inputs, outputs and
// workspace of the program that needs most. Error if that leaves 63 bits.
std::uint64_t self_test_bytes(const ModelObject& model);

}  // namespace weir
