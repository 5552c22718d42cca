/* The description that a model compiled ahead of time carries, for programs that know nothing of it but the
 * file: loaders. Who links a model needs only the header that was generated with it.
 *
 * Every compiled model `NAME` defines one weir_model_info, NAME_model; a shared object shows it as
 * weir_model, too, and repeats its first field in an ELF note (name "Weir", type WEIR_NOTE_TYPE, an int),
 * so that it can be judged before anything of it is loaded. Plain C (C89 and later, C++). Strings are UTF-8.
 */
#ifndef WEIR_RUNTIME_MODEL_INFO_H
#define WEIR_RUNTIME_MODEL_INFO_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_NOTE_TYPE 1

enum weir_type {
  WEIR_F32 = 0,
  WEIR_F64 = 1,
  WEIR_F16 = 2,
  WEIR_BF16 = 3,
  WEIR_I8 = 4,
  WEIR_U8 = 5,
  WEIR_I32 = 6,
  WEIR_I64 = 7,
  WEIR_BOOL = 8 /* one byte, 0 or 1 */
};

typedef struct weir_tensor_info {
  const char* name;
  const char* text; /* "f32[N, 64]" */
  int type;         /* a weir_type */
  int rank;
} weir_tensor_info;

/* What programs update in place. */
typedef struct weir_variable {
  const char* name;
  const char* text; /* "f32[10, 64]" */
  size_t offset;    /* in bytes into the state block, a multiple of WEIR_ALIGNMENT */
  size_t bytes;
} weir_variable;

/* What a program does with weir_call::state. */
enum weir_state_use {
  WEIR_NO_STATE = 0,    /* it may be null */
  WEIR_READS_STATE = 1, /* runs at the same time may share it */
  WEIR_UPDATES_STATE = 2
};

typedef struct weir_program_info {
  const char* name; /* "forward" */
  weir_program run;
  weir_workspace_size workspace_size;
  weir_shapes shapes;
  int inputs, outputs, dims;       /* how many there are */
  const weir_tensor_info* tensors; /* inputs, then outputs */
  const char* const* dim_names;    /* in the order of weir_call::dims */
  int state;                       /* a weir_state_use */
} weir_program_info;

typedef struct weir_model_info {
  int abi_version; /* WEIR_ABI_VERSION */
  int programs;    /* how many there are */
  const char* name;
  const char* version; /* of the Weir that compiled it */
  const char* hash;    /* of the model: graph and weights */
  const char* target;  /* "x86_64-unknown-linux-gnu" */
  const char* cpu;     /* the processor that it needs, and features, for people */
  const void* weights; /* for weir_call::weights; null if the model does not carry them */
  size_t weight_bytes;
  int (*check_cpu)(void); /* WEIR_OK or WEIR_WRONG_CPU */
  /* Null, or what has to be called once for every workspace before it is used. */
  int (*init)(void* workspace);
  const weir_program_info* program;
  size_t state_bytes; /* of the one block that all programs take as weir_call::state */
  /* Null, or writes the first values into such a block; `weights` are those of weir_call. WEIR_OK, or
   * WEIR_INVALID_CALL where a pointer that is needed is null. */
  int (*init_state)(void* state, const void* weights);
  int variables; /* how many there are */
  const weir_variable* variable;
} weir_model_info;

#ifdef __cplusplus
}
#endif

#endif
