// The memory that a command works in, had at once.
#pragma once

namespace weir::tool {

// Asks the system for the first pages of the heap, which every command touches, in one call: page
// by page each is an exception of the processor, of which a short command would see more than five
// hundred, and on a virtual machine one may take ten microseconds. Does nothing where the system or
// the C library has no such call.
void prepare_heap();

}  // namespace weir::tool
