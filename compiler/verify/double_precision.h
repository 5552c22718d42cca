// A model in f64 where it was in f32.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/bind_symbols.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace weir::verification {

// f32 becomes f64, exactly; other types stay.
Tensor in_double_precision(const Tensor& tensor);
std::map<std::string, Tensor, std::less<>> in_double_precision(
    const std::map<std::string, Tensor, std::less<>>& tensors);

// What the backward pass of a differentiated graph reads of what the forward pass computes.
std::vector<ValueId> read_by_backward_pass(const Graph& graph);

// The graph with f64 for every f32, in constants and casts too. Params become inputs. Of `given`
// values the backward pass reads the i-th from an input given_name(i).
Graph in_double_precision(const Graph& graph, std::span<const ValueId> given = {});
std::string given_name(std::size_t i);

}  // namespace weir::verification
