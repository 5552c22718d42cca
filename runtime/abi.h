/* The contract between a compiled Weir program and whoever calls it.
 *
 * This header is all that a user of a compiled model includes besides the header generated for the
 * model. It is plain C (C89 and later, C++), self-contained and versioned.
 *
 * A compiled program is one function of type weir_program. It
 *   - allocates nothing, prints nothing, takes no locks and writes no globals;
 *   - reads and writes only what its weir_call names;
 *   - may be called from many threads at once, each call with a workspace of its own;
 *   - gives the same bits whatever the executor, and however many threads it has.
 *
 * Sizes and dimensions are ptrdiff_t: the target's own word.
 */
#ifndef WEIR_RUNTIME_ABI_H
#define WEIR_RUNTIME_ABI_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_ABI_VERSION 4
/* The oldest version whose programs run beside this header: those of version 3 do not know
 * weir_executor::hand_over, and need nothing of it. */
#define WEIR_ABI_OLDEST_VERSION 3

/* Alignment in bytes that the workspace, the weight block and the state block must have. Inputs and
 * outputs need only the alignment of their element type. */
#define WEIR_ALIGNMENT 64

/* What a program returns. */
enum weir_status {
  WEIR_OK = 0,
  WEIR_INVALID_CALL = 1, /* a null pointer, or a dimension that is negative or too large */
  WEIR_DATA_FAULT = 2,   /* data out of range, such as a gather index; outputs are unspecified, and
                          * the workspace begins with a weir_fault */
  WEIR_WRONG_CPU = 3,    /* this processor lacks instructions that the program is made of */
  WEIR_WRONG_RESULT = 4  /* a self test found other bits than were recorded */
};

/* What a program leaves at the beginning of the workspace when it ends with WEIR_DATA_FAULT. No data
 * makes a program touch memory that its weir_call does not name. */
typedef struct weir_fault {
  ptrdiff_t check;    /* which of the program's checks, in the order of its description */
  ptrdiff_t position; /* the first element at fault of the indices, row-major */
  ptrdiff_t index;    /* that element; the nearest ptrdiff_t where it is none */
} weir_fault;

/* One task of a parallel loop. `worker` identifies the thread that runs it: two tasks that run at the
 * same time never have the same worker number. */
typedef void (*weir_task)(void* argument, ptrdiff_t task, int worker);

/* How a program gets threads. A host may pass its own; the runtime's thread pool is one of them.
 * What a host does not set is null or 0, as in `weir_executor executor = {0}`: a later version may
 * add fields at the end. It has to set max_workers and parallel_for: no program checks them. */
typedef struct weir_executor {
  /* Given back to every function below as it is. */
  void* context;
  /* Worker numbers are 0 ... max_workers - 1; at least 1. One alone is as no executor: everything
   * runs on the calling thread, and no function below is called. */
  int max_workers;
  /* Calls task(argument, i, worker) once for every i in [0, tasks), in any order and on any threads,
   * and returns when all of them have returned. Tasks never wait for each other. Never null. */
  void (*parallel_for)(void* context, ptrdiff_t tasks, weir_task task, void* argument);
  /* Optional (may be null): bracket one run of a program, so that a pool may keep its threads awake
   * between the parallel loops of that run. */
  void (*begin)(void* context);
  void (*end)(void* context);
  /* Optional (may be null): what it costs to divide a loop, now. About how many nanoseconds a
   * parallel_for of one task for each worker takes where the tasks do nothing; not negative. A
   * program asks before it divides a loop: one of less work than twice that runs whole, and the
   * others' shares of a longer one are smaller by it than that of worker 0, who is taken to be the
   * calling thread and to run the first tasks. More than WEIR_HAND_OVER says that the threads have no
   * cache in common: on some processors large results go past the caches earlier then. Null:
   * WEIR_HAND_OVER, and all shares are equal. */
  int (*hand_over)(void* context);
} weir_executor;

/* The nanoseconds that dividing a loop is taken to cost by an executor that does not tell. */
#define WEIR_HAND_OVER 448

/* One call of a program. Every array has the length and order that the program's description gives. */
typedef struct weir_call {
  const void* const* inputs; /* row-major and dense; may not overlap an output */
  void* const* outputs;      /* row-major and dense */
  const void* weights;   /* the block of parameters and constants; null if the program has none */
  void* workspace;       /* null if the program needs none */
  const ptrdiff_t* dims; /* the value of each symbolic dimension; null if there is none */
  const weir_executor* executor; /* null: everything runs on the calling thread */
  void* state; /* the block of what is updated in place: parameters in training, what an optimizer
                * remembers; null if the program has none. Overlaps nothing else. A call that ends
                * with another status than WEIR_OK leaves it as it was. */
} weir_call;

/* A compiled program. Returns a weir_status. */
typedef int (*weir_program)(const weir_call* call);

/* The bytes of workspace that a program needs for the given dimensions: fixed + max_workers *
 * per_worker. Returns a weir_status. */
typedef int (*weir_workspace_size)(const ptrdiff_t* dims, size_t* fixed, size_t* per_worker);

/* The sizes of a program's inputs and then of its outputs for the given dimensions: of each one all
 * dimensions, outermost first. Returns a weir_status. */
typedef int (*weir_shapes)(const ptrdiff_t* dims, ptrdiff_t* sizes);

#ifdef __cplusplus
}
#endif

#endif
