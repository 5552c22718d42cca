// VALUE of `--input NAME=VALUE`: where the value of an input comes from.
//
//   FILE         a file of tensors (tensor_file.h), or FILE:NAME for one of several in it
//   [[1.0, 2]]   a literal, also a single number or true or false
//   random:SEED  pseudo-random elements; SEED is an integer from 0
//   zeros, ones  what they say
#pragma once

#include <cstdint>
#include <string_view>

#include "compiler/frontend/tensor_header.h"
#include "ir/dim.h"
#include "ir/tensor.h"

namespace weir {

// A tensor of that type, for the input of that name: a file that holds several tensors by name need
// not be told which. Sizes of symbols that are not bound come from the file or the literal; the
// other forms need every symbol bound. Error if the value is of none of the forms or does not fit
// the type; also what `check` throws, which is asked about a tensor of a file.
Tensor input_value(std::string_view value, const TensorType& type, const Dim::Bindings& bindings,
                   std::string_view input = {}, const TensorCheck& check = {});

// Element i depends on the seed and on i alone: with mix the finalizer of SplitMix64 (Steele, Lea
// and Flood, 2014), its 64 bits are mix(mix(seed) + i). Floats are uniform on [-1, 1), integers on
// 0 ... 9.
Tensor random_tensor(DType dtype, Tensor::Sizes sizes, std::uint64_t seed);

}  // namespace weir
