// What most sources of the command include, precompiled. No source relies on it: each includes what
// it uses.
#pragma once

#include <CLI/CLI.hpp>

#include "ir/room_headers.h"
#include "tools/weir/common.h"
