// Files of object code: what they need, and archives of them.
#pragma once

#include <string>
#include <vector>

namespace weir {

// The symbols that an object file expects from elsewhere, in order; none of those that the linker
// itself makes.
std::vector<std::string> undefined_symbols(const std::string& object);

// An archive of one object file, with an index of its symbols. It holds neither dates nor owners.
std::string archive_of(const std::string& object, const std::string& member);

}  // namespace weir
