/* The runtime for a C program: threads, workspaces, and models from shared objects.
 *
 * Nothing here is needed to call a compiled program: its executor may be null, and its workspace any
 * aligned block. This is what most hosts want instead. Plain C (C89 and later, C++). Functions that
 * create or reserve return null on failure. Null, for what such a function gives or for a name, is no
 * fault: destroying it does nothing, and what is asked of it is null, or 0 where it is a number.
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
#include "model_info.h"

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

/* A model in a shared object, which `weir compile MODEL -o FILE.so` writes. */
typedef struct weir_loaded_model weir_loaded_model;

/* Loads it. Before any of it is mapped the file is looked at, and before any of it runs the processor
 * is. Null if it is missing, damaged, for another kind of machine or processor, of another version of
 * abi.h, or not a model at all: `reason`, unless it is null, then holds why, in at most `reason_bytes`
 * bytes with the zero at the end. A file that others may write to meanwhile is not safe to load. */
weir_loaded_model* weir_model_open(const char* path, char* reason, size_t reason_bytes);

/* No program of the model may be running, nor anything of its description be used later. */
void weir_model_close(weir_loaded_model* model);

/* What the model is; lives as long as it is open. */
const weir_model_info* weir_model_describe(const weir_loaded_model* model);

/* The program of that name; null if there is none. */
const weir_program_info* weir_model_program(const weir_loaded_model* model, const char* name);

#ifdef __cplusplus
}
#endif

#endif
