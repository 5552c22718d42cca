// Names near to one that does not exist, for messages.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// Those of the candidates that contain the wanted name, or that a third as many edits as it has
// letters make of it: nearest first, at most `most`. A name of more than 64 letters is near to
// nothing.
std::vector<std::string> similar_names(std::string_view wanted,
                                       std::span<const std::string> candidates, std::size_t most);

}  // namespace weir
