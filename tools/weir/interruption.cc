// The signals are blocked in every thread but one, which waits for them: it may take locks and
// touch files, as no handler may.
#include "interruption.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "compiler/frontend/file.h"
#include "output.h"

namespace weir::tool {
namespace {

std::atomic<bool> may_finish = false;
std::atomic<int> waiting = 0;

struct Told {
  std::mutex mutex;
  std::string message;
};
// Never destroyed: the thread outlives main.
Told& told() {
  static auto* const told = new Told;
  return *told;
}
void set_told(std::string message) {
  std::lock_guard lock(told().mutex);
  told().message = std::move(message);
}

// As if the signal had not been blocked.
[[noreturn]] void end_by(int signal) {
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::kill(::getpid(), signal);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  // Reached only if a handler does not end the process.
  ::_exit(128 + signal);
}

}  // namespace

void remove_unfinished_files_when_interrupted() {
  // A file that passes the limit to sizes of files is a write that fails, which is reported.
  std::signal(SIGXFSZ, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  bool any = false;
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction current{};
    ::sigaction(signal, nullptr, &current);
    if (current.sa_handler == SIG_IGN) continue;
    sigaddset(&signals, signal);
    any = true;
  }
  if (!any || pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) return;
  try {
    std::thread([signals] {
      int signal = 0;
      do {
        while (::sigwait(&signals, &signal) != 0) {
        }
      } while (may_finish && waiting.exchange(signal) == 0);
      abandon_writing();
      if (std::lock_guard lock(told().mutex); !told().message.empty()) warn(told().message);
      end_by(signal);
    }).detach();
  } catch (const std::system_error&) {
    // Without a thread they end the process at once.
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  }
}

void tell_when_interrupted(std::string message) { set_told(std::move(message)); }

void finish_when_interrupted() {
  set_told("");
  std::signal(SIGPIPE, SIG_IGN);
  may_finish = true;
}

int waiting_interruption() { return waiting; }

}  // namespace weir::tool
