#include "compiler/codegen/jit.h"

#include <cstring>
#include <mutex>

#include <fmt/format.h>
#include <fmt/ranges.h>
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

#include "compiler/codegen/take.h"
#include "ir/diagnostic.h"

namespace weir {

using namespace llvm::orc;  // NOLINT: every name below is ORC's

namespace {

void require(llvm::Error error, const char* what) {
  if (error) WEIR_CHECK(false, std::string(what) + ": " + llvm::toString(std::move(error)));
}

}  // namespace

struct LoadedCode::Session {
  explicit Session(std::unique_ptr<ExecutorProcessControl> control)
      : execution(std::move(control)),
        memory(take(llvm::jitlink::InProcessMemoryManager::Create(), "memory manager")),
        layer(execution, *memory) {
    // The lookup that fails tells only that it does, and not which functions the code lacks.
    execution.setErrorReporter([this](llvm::Error fault) {
      fault = llvm::handleErrors(std::move(fault), [this](const SymbolsNotFound& lacking) {
        std::lock_guard lock(mutex);
        for (const SymbolStringPtr& name : lacking.getSymbols()) missing.push_back((*name).str());
      });
      llvm::consumeError(std::move(fault));
    });
  }
  ~Session() {
    // A failure to give memory back has nobody to go to.
    llvm::consumeError(execution.endSession());
  }

  ExecutionSession execution;
  std::unique_ptr<llvm::jitlink::InProcessMemoryManager> memory;
  ObjectLinkingLayer layer;
  std::mutex mutex;
  std::vector<std::string> missing;  // functions that the code calls and nobody has
};

LoadedCode::LoadedCode(const LoadableCode& code) {
  session_ =
      std::make_unique<Session>(take(SelfExecutorProcessControl::Create(), "process control"));
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
    auto found = session_->execution.lookup({&library}, name);
    if (!found && !session_->missing.empty()) {
      llvm::consumeError(found.takeError());
      throw Error(fmt::format(
          "the code calls {}, which nobody has here; take another CPU, or fewer features",
          fmt::join(session_->missing, ", ")));
    }
    return take(std::move(found), "lookup").getAddress();
  };
  program_ = lookup(code.program_symbol).toPtr<weir_program>();
  workspace_size_ = lookup(code.workspace_symbol).toPtr<weir_workspace_size>();
}

LoadedCode::~LoadedCode() = default;
LoadedCode::LoadedCode(LoadedCode&&) noexcept = default;
LoadedCode& LoadedCode::operator=(LoadedCode&&) noexcept = default;

}  // namespace weir
