// What output is made for.
#pragma once

#include <cstddef>

namespace weir::tool {

// How wide the text is that the command prints, for a person to read.
inline constexpr std::size_t kTerminalColumns = 80;

}  // namespace weir::tool
