#include "tests/unit/pipeline/seed_on_signal.h"

#include <csignal>
#include <cstdio>

namespace weir::test {
namespace {

std::uint64_t current_seed = 0;

void name_the_seed(int signal) {
  std::fprintf(stderr, "signal %d in the program of seed %llu\n", signal,
               static_cast<unsigned long long>(current_seed));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

void name_on_signal(std::uint64_t seed) {
  current_seed = seed;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, name_the_seed);
}

}  // namespace weir::test
