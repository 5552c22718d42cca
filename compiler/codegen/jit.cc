#include "compiler/codegen/jit.h"

#include <cstring>

#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#if __has_include(<llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>)
#include <llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>
#else  // LLVM 20
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#endif
#include <llvm/ExecutionEngine/Orc/Shared/ExecutorSymbolDef.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/Process.h>

#include "ir/diagnostic.h"

namespace weir {

using namespace llvm::orc;  // NOLINT: every name below is ORC's

namespace {

template <class T>
T take(llvm::Expected<T> expected, const char* what) {
  if (!expected) WEIR_CHECK(false, std::string(what) + ": " + llvm::toString(expected.takeError()));
  return std::move(*expected);
}

void require(llvm::Error error, const char* what) {
  if (error) WEIR_CHECK(false, std::string(what) + ": " + llvm::toString(std::move(error)));
}

}  // namespace

struct LoadedCode::Session {
  explicit Session(std::unique_ptr<ExecutorProcessControl> control)
      : execution(std::move(control)),
        memory(take(llvm::jitlink::InProcessMemoryManager::Create(), "memory manager")),
        layer(execution, *memory) {
    // What is wrong with the code is told by the lookup that fails.
    execution.setErrorReporter([](llvm::Error fault) { llvm::consumeError(std::move(fault)); });
  }
  ~Session() {
    // A failure to give memory back has nobody to go to.
    llvm::consumeError(execution.endSession());
  }

  ExecutionSession execution;
  std::unique_ptr<llvm::jitlink::InProcessMemoryManager> memory;
  ObjectLinkingLayer layer;
};

LoadedCode::LoadedCode(const LoadableCode& code) {
  session_ = std::make_unique<Session>(take(SelfExecutorProcessControl::Create(), "process control"));
  JITDylib& library = session_->execution.createBareJITDylib("program");
  auto symbol = [](auto* function) {
    return ExecutorSymbolDef(ExecutorAddr::fromPtr(function), llvm::JITSymbolFlags::Exported);
  };
  SymbolMap symbols;
  symbols[session_->execution.intern("memcpy")] = symbol(&std::memcpy);
  symbols[session_->execution.intern("memset")] = symbol(&std::memset);
  require(library.define(absoluteSymbols(std::move(symbols))), "memcpy and memset");
  for (const std::string& object : code.objects)
    require(session_->layer.add(library, llvm::MemoryBuffer::getMemBufferCopy(object, "program")),
            "object code");
  auto lookup = [&](const std::string& name) {
    return take(session_->execution.lookup({&library}, name), "lookup").getAddress();
  };
  program_ = lookup(code.program_symbol).toPtr<weir_program>();
  workspace_size_ = lookup(code.workspace_symbol).toPtr<weir_workspace_size>();
}

LoadedCode::~LoadedCode() = default;
LoadedCode::LoadedCode(LoadedCode&&) noexcept = default;
LoadedCode& LoadedCode::operator=(LoadedCode&&) noexcept = default;

}  // namespace weir
