// What most benchmarks include, precompiled. No source relies on it: each includes what it uses.
#pragma once

#include "benchmarks/networks.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"
#include "ir/room_headers.h"
