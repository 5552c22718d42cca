// The source whose compilation makes the precompiled header.
#include "tests/support/test_headers.h"
