// The order of calls, so that less is alive at once.
//
// A call that writes more than it reads for the last time waits until something needs it: the
// gradient of a layer's filters is larger than the images that it is made of, where a layer has
// many channels, and stays until it is added to another or updates the filters. A call that frees
// more than it writes runs as soon as it may: the gradient of few filters frees large images. And
// where that is worth it, all calls that free nothing wait until something needs them: of a loss of
// several parts, as of a WGAN-GP's critic, a part whose gradient does not depend on the others is
// computed right before its gradient.
//
// Each move leaves no more alive wherever it changes anything, but for the moment of the call
// itself; so the order that has least alive at most is taken, of those on the way, and that of the
// graph if none has less by a few hundredths. Bits stay as they are: each call reads what it read.
// No call goes before a check of indices that was before it.
#pragma once

#include "compiler/lowering/program.h"

namespace weir {

// For a program whose buffers have no places in the workspace yet.
void shorten_lives(Program& program);

}  // namespace weir
