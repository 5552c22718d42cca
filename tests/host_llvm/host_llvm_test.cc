// A host that carries an LLVM of its own: linked statically into this program and exported with
// -rdynamic, so that the dynamic linker would offer its symbols to every library. Both compilers
// work in one process, in either order and at the same time, and neither sees the other.

#include <dlfcn.h>

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/TargetSelect.h>

#include "compiler/pipeline.h"

namespace {

// What the host's LLVM makes of f(x) = x * factor + 1.
int host_result(int factor, int x) {
  static const bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  EXPECT_TRUE(initialized);
  auto context = std::make_unique<llvm::LLVMContext>();
  auto module = std::make_unique<llvm::Module>("host", *context);
  llvm::IRBuilder<> builder(*context);
  auto* type = llvm::FunctionType::get(builder.getInt32Ty(), {builder.getInt32Ty()}, false);
  auto* function =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, "host_function", *module);
  builder.SetInsertPoint(llvm::BasicBlock::Create(*context, "entry", function));
  builder.CreateRet(builder.CreateAdd(
      builder.CreateMul(function->getArg(0), builder.getInt32(static_cast<unsigned>(factor))),
      builder.getInt32(1)));
  auto jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
  llvm::cantFail(
      jit->addIRModule(llvm::orc::ThreadSafeModule(std::move(module), std::move(context))));
  auto address = llvm::cantFail(jit->lookup("host_function"));
#if LLVM_VERSION_MAJOR >= 15
  auto* compiled = address.toPtr<int (*)(int)>();
#else
  auto* compiled = reinterpret_cast<int (*)(int)>(address.getAddress());
#endif
  return compiled(x);
}

// Checks a model that uses vectors, elementary functions and a reduction.
void run_model(int columns) {
  weir::GraphBuilder builder("model");
  weir::Var x = builder.input("x", weir::DType::f32, {weir::Dim::symbol("N"), columns});
  builder.output("y", builder.apply("leaky_relu", {x}));
  builder.output("p", builder.apply("softmax", {x}));
  weir::Executable executable = weir::compile(builder.finish());
  weir::Tensor input(weir::DType::f32, {2, columns});
  input.mutable_elements<float>()[1] = -100;
  std::vector<weir::Tensor> outputs = executable.run({&input, 1});
  EXPECT_EQ(outputs[0].elements<float>()[1], -1.0F);
  EXPECT_NEAR(outputs[1].elements<float>()[0], 1.0 / (columns - 1), 1e-6);
  EXPECT_NEAR(outputs[1].elements<float>()[static_cast<std::size_t>(columns)], 1.0 / columns, 1e-6);
}

TEST(HostLlvm, OursFirst) {
  run_model(33);
  EXPECT_EQ(host_result(3, 5), 16);
  run_model(17);
}

TEST(HostLlvm, TheHostsFirst) {
  EXPECT_EQ(host_result(7, 6), 43);
  run_model(20);
  EXPECT_EQ(host_result(2, 2), 5);
}

TEST(HostLlvm, AtTheSameTime) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([i] { run_model(10 + i); });
    threads.emplace_back([i] { EXPECT_EQ(host_result(i, 10), 10 * i + 1); });
  }
  for (std::thread& thread : threads) thread.join();
}

// Options that the host sets in its LLVM are its own; ours registers none there.
TEST(HostLlvm, OptionsAreTheHosts) {
  std::size_t before = llvm::cl::getRegisteredOptions().size();
  run_model(12);
  EXPECT_EQ(llvm::cl::getRegisteredOptions().size(), before);
  const char* arguments[] = {"host", "-verify-machineinstrs"};
  ASSERT_TRUE(llvm::cl::ParseCommandLineOptions(2, arguments));
  run_model(13);
  EXPECT_EQ(host_result(4, 4), 17);
  llvm::cl::ResetAllOptionOccurrences();
}

// The premise of these tests: another version, and its symbols on offer to every library.
TEST(HostLlvm, AnotherVersionIsExported) {
  EXPECT_LT(LLVM_VERSION_MAJOR, 20);
  void* symbol = dlsym(RTLD_DEFAULT, "_ZN4llvm11LLVMContextC1Ev");  // its constructor
  ASSERT_NE(symbol, nullptr);
  Dl_info of_symbol{}, of_program{};
  ASSERT_NE(dladdr(symbol, &of_symbol), 0);
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&host_result), &of_program), 0);
  EXPECT_STREQ(of_symbol.dli_fname, of_program.dli_fname);
}

}  // namespace
