// Code that goes wrong may end the process; what it was made from is named then as well.
#pragma once

#include <cstdint>

namespace weir::test {

// From here on a signal that ends the process prints this seed.
void name_on_signal(std::uint64_t seed);

}  // namespace weir::test
