/* Plain C89 and two compiled models: no library, not even the one of C. `device` is the network of
 * 64, 64, 32 and 10 units with its training, whose params start from an initializer; `digits_data` holds
 * the digits. */
#include "train.h"

#include "device.h"
#include "digits_data.h"

#define TRAINED 1437 /* the first rows; the others are not trained on */
#define OTHERS 360
#define BATCH 32
#define EVALUATED 36 /* at once */
#define EPOCHS 15

#define BLOCK(name, size)                \
  static union {                         \
    double aligned;                      \
    char bytes[(size) + WEIR_ALIGNMENT]; \
  } name

BLOCK(state_memory, DEVICE_STATE_BYTES);
BLOCK(workspace_memory, 98304);

static float images[EVALUATED * 64], logits[EVALUATED * 10];
static int labels[EVALUATED], order[TRAINED], others[OTHERS];
static unsigned long random_state;

static char* aligned(char* p) {
  return p + (WEIR_ALIGNMENT - (size_t)p % WEIR_ALIGNMENT) % WEIR_ALIGNMENT;
}

/* Marsaglia's xorshift, of 32 bits. */
static unsigned long random_bits(void) {
  unsigned long x = random_state;
  x ^= x << 13 & 0xffffffffUL;
  x ^= x >> 17;
  x ^= x << 5 & 0xffffffffUL;
  return random_state = x;
}

static int load(const int* rows, int count, char* workspace) {
  digits_data_forward_inputs inputs;
  digits_data_forward_outputs outputs;
  inputs.rows = rows;
  outputs.images = images;
  outputs.labels = labels;
  return digits_data_forward(&inputs, &outputs, count, workspace, 0);
}

static int fits(int rows) {
  device_step_sizes step;
  device_forward_sizes forward;
  digits_data_forward_sizes data;
  return device_step_get_sizes(rows, &step) == WEIR_OK &&
         device_forward_get_sizes(rows, &forward) == WEIR_OK &&
         digits_data_forward_get_sizes(rows, &data) == WEIR_OK &&
         sizeof workspace_memory - WEIR_ALIGNMENT >= step.workspace + step.workspace_per_worker &&
         sizeof workspace_memory - WEIR_ALIGNMENT >=
             forward.workspace + forward.workspace_per_worker &&
         sizeof workspace_memory - WEIR_ALIGNMENT >= data.workspace + data.workspace_per_worker;
}

static int train_epoch(int epoch, char* state, char* workspace, struct training* result) {
  device_step_inputs inputs;
  device_step_outputs outputs;
  float rate = 0.012f * (float)(EPOCHS - epoch) / (float)EPOCHS;
  int i, status;
  inputs.x = images;
  inputs.target = labels;
  inputs.learning_rate = &rate;
  outputs.loss = &result->last_loss;
  for (i = TRAINED - 1; i > 0; --i) {
    int other = (int)(random_bits() % (unsigned long)(i + 1)), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
  for (i = 0; i + BATCH <= TRAINED; i += BATCH) {
    status = load(order + i, BATCH, workspace);
    if (status == WEIR_OK) status = device_step(&inputs, &outputs, BATCH, state, workspace, 0);
    if (status != WEIR_OK) return status;
    if (epoch == 0 && i == 0) result->first_loss = result->last_loss;
  }
  return WEIR_OK;
}

static int evaluate(const char* state, char* workspace, struct training* result) {
  device_forward_inputs inputs;
  device_forward_outputs outputs;
  int first, i, k, best, status;
  inputs.x = images;
  outputs.logits = logits;
  for (first = 0; first < OTHERS; first += EVALUATED) {
    status = load(others + first, EVALUATED, workspace);
    if (status == WEIR_OK)
      status = device_forward(&inputs, &outputs, EVALUATED, state, workspace, 0);
    if (status != WEIR_OK) return status;
    for (i = 0; i < EVALUATED; ++i) {
      for (best = 0, k = 1; k < 10; ++k)
        if (logits[i * 10 + k] > logits[i * 10 + best]) best = k;
      result->right += best == labels[i];
    }
  }
  return WEIR_OK;
}

int train(struct training* result) {
  char *state = aligned(state_memory.bytes), *workspace = aligned(workspace_memory.bytes);
  int i, status;
  if (!fits(BATCH) || !fits(EVALUATED)) return -1;
  for (i = 0; i < TRAINED; ++i) order[i] = i;
  for (i = 0; i < OTHERS; ++i) others[i] = TRAINED + i;
  status = device_init_state(state);
  random_state = 1;
  for (i = 0; i < EPOCHS && status == WEIR_OK; ++i)
    status = train_epoch(i, state, workspace, result);
  result->right = 0;
  result->others = OTHERS;
  if (status == WEIR_OK) status = evaluate(state, workspace, result);
  result->digest = 2166136261UL;
  for (i = 0; i < DEVICE_STATE_BYTES; ++i)
    result->digest = ((result->digest ^ (unsigned char)state[i]) * 16777619UL) & 0xffffffffUL;
  return status;
}
