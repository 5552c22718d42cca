// Pictures as text in Graphviz's language DOT.
#pragma once

#include <string>

#include "compiler/drawing/picture.h"

namespace weir {

std::string dot(const Picture& picture);

}  // namespace weir
