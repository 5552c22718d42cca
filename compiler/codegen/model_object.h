// A model as one file of code: its programs behind C functions, its weights as data, and a
// description for loaders. Of a model `NAME` with a program `forward` the file defines
//
//   int NAME_forward(const NAME_forward_inputs*, const NAME_forward_outputs*, ptrdiff_t...,
//                    const void* weights, void* state, void* workspace, const weir_executor*)
//     runs the program. The structs hold one pointer for each input and output; a side that is
//     empty has no argument, each symbolic dimension has one, and weights have one if the file does
//     not carry them. State is what the program updates in place; it is const where it is only
//     read, and no argument where there is none.
//   int NAME_forward_get_sizes(ptrdiff_t..., size_t* sizes)
//     if there are symbolic dimensions: bytes of workspace, fixed and for each worker, then the
//     number of elements of each input and output.
//   int NAME_init_state(void* state, const void* weights)
//     if programs have state: writes the first values of all of it, or draws them. Weights are an
//     argument if the first values lie in them and the file does not carry them.
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
#include "ir/initializer.h"

namespace weir {

enum class CodeForm { object, assembly, llvm_ir, bitcode };

struct ModelObject {
  struct Entry {
    std::string name;  // a C identifier: "forward"
    Program program;   // its weights have their places in the block that all programs share
    std::optional<SelfTest> self_test;
  };
  // What gives a param its first value where the model runs.
  struct Draw {
    InitialElement element;
    std::uint64_t elements;
    // In the block of state. Without a place the elements are drawn all the same, because the
    // generator stands elsewhere behind them.
    std::optional<std::uint64_t> offset;
  };
  // What the programs update in place: a block of the caller's, in which all of them find the same
  // entries at the same places.
  struct State {
    std::vector<StateEntry> entries;
    std::uint64_t bytes = 0;
    // Its first values: so many bytes of the block of weights, from `first_source` there to
    // `first_offset` here, and zeros before and behind them. All are multiples of WEIR_ALIGNMENT.
    std::uint64_t first_offset = 0;
    std::uint64_t first_source = 0;
    std::uint64_t first_bytes = 0;
    // Where there is no block of weights to be: those bytes, which the file then carries.
    const std::string* own_values = nullptr;
    // Written over these values, in this order, by one generator that starts with the seed.
    std::vector<Draw> draws;
    std::uint64_t seed = 0;
  };
  std::string name;  // a C identifier: what every symbol begins with
  std::vector<Entry> programs;
  // The block of weights, or null: then the caller hands it to every run. In the text forms it does
  // not stand among the code but in a file, `weights_file`, which the assembler includes.
  const std::string* weights = nullptr;
  std::uint64_t weight_bytes = 0;
  State state;
  // Whether the first values come from a block that the caller has.
  bool first_values_are_given() const {
    return weights == nullptr && state.own_values == nullptr && state.first_bytes > 0;
  }
  std::string weights_file;
  std::string version;  // of Weir
  std::string hash;     // of the model
  bool shared = false;  // to be linked into a shared object: weir_model stands for NAME_model
  // Machines to generate code for, lesser ones first: one, or several of x86-64; and what all else
  // is compiled for.
  std::vector<Target> variants;
  Target base;
  // What a workspace holds beside what its program takes: which of several variants runs.
  std::uint64_t variant_bytes() const { return variants.size() > 1 ? WEIR_ALIGNMENT : 0; }
  // What of a program's workspace each worker has, whichever variant runs.
  std::uint64_t bytes_per_worker(const Program& program, const Dim::Bindings& bindings) const;
};

std::string generate_model(const ModelObject& model, CodeForm form,
                           const CodegenOptions& options = {});

// The bytes of memory, aligned to WEIR_ALIGNMENT, that the self test takes: inputs, outputs,
// state and workspace of the program that needs most. Error if that leaves 63 bits.
std::uint64_t self_test_bytes(const ModelObject& model);

}  // namespace weir
