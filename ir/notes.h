// The words that passes put before the notes of locations; see Location in ir/diagnostic.h.
#pragma once

#include <string_view>

namespace weir {

// Of what autodiff makes: the location is that of the node it differentiates.
inline constexpr std::string_view kGradientOf = "gradient of";

// Of what an optimizer does: the location is that of the param.
inline constexpr std::string_view kUpdateOf = "update of";

// Of what is computed again for the backward pass: the location is that of the node that computed
// it.
inline constexpr std::string_view kRecomputationOf = "recomputation of";

}  // namespace weir
