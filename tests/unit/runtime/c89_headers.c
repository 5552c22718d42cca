/* The public headers as a C89 program sees them. weir_runtime_test.cc calls it, and has a compiler check
 * it against the 1989 standard. */
#include "runtime/abi.h"
#include "runtime/weir_runtime.h"
#include "runtime/weir_trainer.h"

static void add_task(void* argument, ptrdiff_t task, int worker) {
  (void)worker;
  ((int*)argument)[task] += (int)task + 1;
}

/* Runs a loop on a pool of the C interface and fills a workspace; returns 0 if all is right. */
int weir_test_c_interface(void);

int weir_test_c_interface(void) {
  enum { tasks = 100 };
  int sums[tasks];
  int i;
  int fault = 0;
  unsigned char* bytes;
  weir_thread_pool* pool = weir_thread_pool_create(2);
  weir_workspace* workspace = weir_workspace_create();
  const weir_executor* executor = weir_thread_pool_executor(pool);
  if (pool == NULL || workspace == NULL || executor == NULL) return 1;

  for (i = 0; i < tasks; ++i) sums[i] = 0;
  if (executor->hand_over(executor->context) <= 0) fault = 7;
  executor->begin(executor->context);
  executor->parallel_for(executor->context, tasks, add_task, sums);
  executor->end(executor->context);
  for (i = 0; i < tasks; ++i) {
    if (sums[i] != i + 1) fault = 2;
  }

  if (weir_workspace_bytes(workspace) != 0) fault = 3;
  bytes = (unsigned char*)weir_workspace_reserve(workspace, 1000);
  if (bytes == NULL || weir_workspace_bytes(workspace) < 1000) return 4;
  bytes[999] = 1;
  if (weir_workspace_reserve(workspace, (size_t)-1) != NULL) fault = 5;
  if (bytes[999] != 1) fault = 6;

  weir_workspace_destroy(workspace);
  weir_thread_pool_destroy(pool);
  return fault;
}
