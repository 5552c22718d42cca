#include "ir/ops/ops.h"

namespace weir {

void add_all_ops(OpTable& table) {
  add_arithmetic_ops(table);
  add_elementary_ops(table);
  add_logic_ops(table);
  add_activation_ops(table);
  add_reduce_ops(table);
  add_movement_ops(table);
  add_part_ops(table);
  add_rearrange_ops(table);
  add_contract_ops(table);
  add_einsum_ops(table);
  add_conv_ops(table);
  add_conv_transpose_ops(table);
  add_conv_filter_gradient_ops(table);
  add_conv_filter_gradient_columns_ops(table);
  add_max_pool_ops(table);
  add_window_take_ops(table);
  add_average_pool_ops(table);
  add_resize_ops(table);
  add_resize_gradient_ops(table);
  add_gather_ops(table);
  add_scatter_ops(table);
  add_scan_ops(table);
  add_order_ops(table);
  add_softmax_ops(table);
  add_normalize_ops(table);
  add_channel_norm_ops(table);
  add_recurrent_ops(table);
  add_loss_ops(table);
  add_differentiation_ops(table);
  add_source_ops(table);
  add_random_ops(table);
  add_memory_ops(table);
}

}  // namespace weir
