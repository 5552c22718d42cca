// Ctrl-C, and other signals that ask the command to end.
#pragma once

#include <string>

namespace weir::tool {

// From here on SIGINT, SIGTERM and SIGHUP end the process as they always do, but first what is half
// written is removed. One that the process was started with as ignored (as under nohup) stays so.
// Nor does the limit to sizes of files end it (SIGXFSZ): writing then fails, and says why.
// To be called before any other thread is started.
void remove_unfinished_files_when_interrupted();

// What is told when one of them ends the process from here on, until finish_when_interrupted().
void tell_when_interrupted(std::string message);

// From here on the first of these signals only waits to be seen, by whoever can bring what is under
// way to a good end; the second one ends the process at once. Nor does a reader that goes away end
// it (SIGPIPE): writing to it then fails.
void finish_when_interrupted();
// The signal that waits, or 0.
int waiting_interruption();

}  // namespace weir::tool
