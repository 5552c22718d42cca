// The explicit list of op declaration files: one function each.
#pragma once

namespace weir {

class OpTable;

void add_arithmetic_ops(OpTable& table);  // add ... pow, min, max, rounding
void add_elementary_ops(OpTable& table);  // exp, log, tanh, erf, sin ...
void add_logic_ops(OpTable& table);       // comparisons, select, casts, bits
void add_activation_ops(OpTable& table);  // leaky_relu and its family
void add_reduce_ops(OpTable& table);      // reduce_sum ...
void add_movement_ops(OpTable& table);    // reshape, transpose, broadcast
void add_part_ops(OpTable& table);        // slice, concat, pad
void add_rearrange_ops(OpTable& table);   // reverse, extend, tile, split ...
void add_contract_ops(OpTable& table);    // matmul, linear
void add_einsum_ops(OpTable& table);      // einsum
void add_conv_ops(OpTable& table);        // conv
void add_conv_transpose_ops(OpTable& table);
void add_conv_filter_gradient_ops(OpTable& table);
void add_conv_filter_gradient_columns_ops(OpTable& table);
void add_max_pool_ops(OpTable& table);     // max_pool, arg_max_pool
void add_window_take_ops(OpTable& table);  // window_take, window_put
void add_average_pool_ops(OpTable& table);
void add_resize_ops(OpTable& table);  // resize
void add_resize_gradient_ops(OpTable& table);
void add_gather_ops(OpTable& table);           // gather, gather_elements, gather_nd, in_range
void add_scatter_ops(OpTable& table);          // scatter_elements, scatter_nd
void add_scan_ops(OpTable& table);             // cumsum
void add_order_ops(OpTable& table);            // arg_max, arg_min, rank, top_k, one_hot
void add_softmax_ops(OpTable& table);          // softmax, log_softmax
void add_normalize_ops(OpTable& table);        // layer_norm, rms_norm
void add_channel_norm_ops(OpTable& table);     // instance_norm, batch_norm ...
void add_recurrent_ops(OpTable& table);        // rnn, gru, lstm
void add_loss_ops(OpTable& table);             // mse_loss, cross_entropy ...
void add_differentiation_ops(OpTable& table);  // stop_gradient, custom_gradient
void add_source_ops(OpTable& table);           // constant, iota, range
void add_random_ops(OpTable& table);           // random_uniform, dropout
void add_memory_ops(OpTable& table);           // keep, after

// All of the above, in this order.
void add_all_ops(OpTable& table);

}  // namespace weir
