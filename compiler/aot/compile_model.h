// A model, or several programs of one model, as one file that a C program links, and the header it
// includes.
//
//   graphs --lowering--> programs --one block of weights--> object, archive, assembly or LLVM IR,
//   with a header
//
// The code of each program is that which compile() loads into memory: the same instructions.
// Everything depends on the model and the options alone, never on the machine or the folder.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/aot/size_table.h"
#include "compiler/initialize.h"
#include "compiler/pipeline.h"

namespace weir {

enum class ObjectForm { object, archive, shared, assembly, llvm_ir, bitcode };
// By the ending of a file's name, or by the name for --emit, which is the ending without its dot.
std::optional<ObjectForm> object_form(std::string_view ending);
// "o, a, so, s, ll, bc"
std::span<const std::string_view> object_endings();

// One of the model's programs: "forward".
struct ModelProgram {
  std::string name;
  Graph graph;
};

struct CompileModelOptions {
  CompileOptions compile;
  std::string prefix;  // of all names; empty: the name of the first graph
  ObjectForm form = ObjectForm::object;
  bool embed_weights = true;
  // No params: they need no values. Implies that no weights are embedded, unless all that there are
  // are constants. State that `weights` has no value for is drawn where it is among `drawn`, by
  // NAME_init_state: the bits are those of initialize() with the seed. Otherwise it is zeros.
  bool strip_weights = false;
  std::vector<DrawnParam> drawn;
  std::uint64_t seed = 0;
  // What the result's file will be called, without a folder. A form that is text finds the weights
  // beside it, in the file of that name that ends in .weights; a shared object is looked for under
  // it.
  std::string file_name = "model.so";
  // Variants of the code in one file, by names of processors, lesser ones first: "x86-64-v2",
  // "x86-64-v3". None: the one of compile.target.
  std::vector<std::string> variants;
  // A function that runs every program on recorded values.
  bool self_test = false;
  // Of the code before it becomes an archive or a shared object. Error if it is not of the form
  // ELF.
  SizeLimits limits;
  // Sizes of symbolic dimensions for which the workspace is counted; 1 for those left out.
  Dim::Bindings counted;
  // Error if the code needs any function from outside, memcpy and memset included, or is no machine
  // code, of which nobody can tell.
  bool freestanding = false;
};

struct CompiledModel {
  std::string code;  // of the form; of a shared object the object that is to be linked
  std::string header;
  std::string weights;  // the block, where it is not in the code
  std::string name;     // what all names begin with
  std::string triple;
  SizeTable sizes;  // if the code is machine code of the form ELF
};

// The block's file beside that of the code: FILE.weights for FILE.o.
std::string weights_file(const std::string& path);

// Error if a param has no value or one of another type, if there is no such target, or if what
// comes out would be too large for the form.
CompiledModel compile_model(std::span<const ModelProgram> programs, const Weights& weights,
                            const CompileModelOptions& options = {});

}  // namespace weir
