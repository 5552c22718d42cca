// Makes masked stores of integers whose mask is known, and has a single lane, ones of scalars. LLVM
// does that itself, but on x86, up to 22 at least, with the element as wide as it was before it was
// truncated: `u8` of `i64` would store eight bytes.
#pragma once

namespace llvm {
class Function;
}

namespace weir {

void store_single_lanes(llvm::Function& function);

}  // namespace weir
