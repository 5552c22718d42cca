// Ctrl-C, and other signals that ask the command to end.
#pragma once

namespace weir::tool {

// From here on SIGINT, SIGTERM and SIGHUP end the process as they always do, but first what is half
// written is removed. One that the process was started with as ignored (as under nohup) stays so.
// To be called before any other thread is started.
void remove_unfinished_files_when_interrupted();

}  // namespace weir::tool
