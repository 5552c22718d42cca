// The C face of the runtime: handles are the C++ objects, and no exception passes.
#include "runtime/weir_runtime.h"

#include "runtime/thread_count.h"
#include "runtime/thread_pool.h"
#include "runtime/workspace.h"

struct weir_thread_pool {
  explicit weir_thread_pool(int threads) : pool(threads) {}
  weir::ThreadPool pool;
};

struct weir_workspace {
  weir::Workspace workspace;
};

int weir_default_thread_count() {
  try {
    return weir::default_thread_count();
  } catch (...) {
    return 1;
  }
}

weir_thread_pool* weir_thread_pool_create(int threads) {
  try {
    return new weir_thread_pool(threads == 0 ? weir::default_thread_count() : threads);
  } catch (...) {
    return nullptr;
  }
}

void weir_thread_pool_destroy(weir_thread_pool* pool) { delete pool; }

const weir_executor* weir_thread_pool_executor(const weir_thread_pool* pool) {
  return pool == nullptr ? nullptr : &pool->pool.executor();
}

weir_workspace* weir_workspace_create() {
  try {
    return new weir_workspace;
  } catch (...) {
    return nullptr;
  }
}

void weir_workspace_destroy(weir_workspace* workspace) { delete workspace; }

void* weir_workspace_reserve(weir_workspace* workspace, size_t bytes) {
  if (workspace == nullptr) return nullptr;
  try {
    return workspace->workspace.reserve(bytes);
  } catch (...) {
    return nullptr;
  }
}

size_t weir_workspace_bytes(const weir_workspace* workspace) {
  return workspace == nullptr ? 0 : workspace->workspace.bytes();
}
