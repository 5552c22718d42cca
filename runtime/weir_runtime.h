/* The runtime for a C program: threads and workspaces for compiled programs.
 *
 * Nothing here is needed to call a compiled program: its executor may be null, and its workspace any
 * aligned block. This is what most hosts want instead. Plain C (C89 and later, C++). Functions that
 * create or reserve return null on failure; destroying null does nothing.
 *
 *   weir_thread_pool* pool = weir_thread_pool_create(0);
 *   weir_workspace* workspace = weir_workspace_create();
 *   call.executor = weir_thread_pool_executor(pool);
 *   model_workspace_size(dims, &fixed, &per_worker);
 *   call.workspace = weir_workspace_reserve(workspace, fixed + per_worker * call.executor->max_workers);
 */
#ifndef WEIR_RUNTIME_WEIR_RUNTIME_H
#define WEIR_RUNTIME_WEIR_RUNTIME_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Threads that run the parallel loops of programs. One pool serves any number of calling threads at
 * once: while one loop has the threads, the others run on their callers. */
typedef struct weir_thread_pool weir_thread_pool;

/* The processors that this process can use: the least of the machine's, the affinity mask's and the
 * container's quota; at least 1. */
int weir_default_thread_count(void);

/* A pool of `threads` threads, the calling thread included, or of weir_default_thread_count() if
 * `threads` is 0. Null if `threads` is negative or above 1024, or if the system gives no more. */
weir_thread_pool* weir_thread_pool_create(int threads);

/* Ends the pool's threads. No program may be using it. */
void weir_thread_pool_destroy(weir_thread_pool* pool);

/* The pool as a program takes it. Lives as long as the pool. Null for null: a program without an
 * executor runs on the calling thread. */
const weir_executor* weir_thread_pool_executor(const weir_thread_pool* pool);

/* A block of scratch memory that grows on demand. Calls that run at the same time need one each. */
typedef struct weir_workspace weir_workspace;

weir_workspace* weir_workspace_create(void);
void weir_workspace_destroy(weir_workspace* workspace);

/* At least `bytes` bytes, aligned to WEIR_ALIGNMENT, with unspecified contents; valid until a call
 * that asks for more. Null if there is no such memory; the block from before then stays valid. */
void* weir_workspace_reserve(weir_workspace* workspace, size_t bytes);

/* The size of the block: 0 before the first reservation. */
size_t weir_workspace_bytes(const weir_workspace* workspace);

#ifdef __cplusplus
}
#endif

#endif
