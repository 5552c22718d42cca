#include "compiler/lowering/own_memory.h"

#include "compiler/lowering/estimated_size.h"

namespace weir {

double estimated_bytes(const Buffer& buffer) {
  if (!is_own(buffer)) return 0;
  if (buffer.scratch)
    return estimated_size(buffer.scratch->dividend) / static_cast<double>(buffer.scratch->divisor) +
           estimated_size(buffer.scratch->extra);
  return estimated_size(element_count(buffer.type.shape)) *
         static_cast<double>(byte_size(buffer.type.dtype));
}

}  // namespace weir
