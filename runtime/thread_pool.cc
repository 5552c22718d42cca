// See thread_pool.h for the algorithm.
//
// Memory order: publishing a loop is a release store of `unclaimed_`, claiming is an acquire of it,
// and claims in between keep the release sequence. Reporting is a release of `finished_` that the
// caller acquires. Going to sleep and waking are store-then-load on both sides (I sleep / is there
// work; there is work / does anyone sleep), which only sequential consistency orders.
#include "runtime/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <chrono>
#include <stdexcept>
#include <string>

namespace weir {
namespace {

// The processor that the calling thread runs on; negative where that is not known.
int this_processor() noexcept {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Moves the calling thread to another one of the processors that it may use, if there is any; where
// it may run is the same afterwards.
void leave_this_processor() noexcept {
#if defined(__linux__)
  const int here = this_processor();
  cpu_set_t allowed;
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return;
  cpu_set_t others = allowed;
  CPU_CLR(static_cast<std::size_t>(here), &others);
  if (CPU_COUNT(&others) == 0) return;
  if (sched_setaffinity(0, sizeof others, &others) == 0)
    sched_setaffinity(0, sizeof allowed, &allowed);
#endif
}

using Clock = std::chrono::steady_clock;

// From then on a spinning thread offers its processor: there may be more threads than processors.
constexpr auto yield_after = std::chrono::microseconds(20);
// The longest gap between two loops of a run that idle threads bridge awake.
constexpr auto idle_spin_limit = std::chrono::microseconds(1000);
// How long threads stay awake after the last run, for a host that calls again at once: waking one
// takes longer than a small run.
constexpr auto linger_limit = std::chrono::microseconds(100);
// How long a caller spins for the last tasks before it sleeps.
constexpr auto caller_spin_limit = std::chrono::microseconds(200);

void processor_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#elif defined(__arm__)
  asm volatile("yield" ::: "memory");
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

// A bounded busy wait.
class Spin {
 public:
  explicit Spin(Clock::duration limit) : limit_(limit) {}

  // Whether it is time to look at more than a counter.
  bool is_look() const noexcept { return count_ % pauses_per_look == 0; }

  // Passes a moment; false when the limit is reached.
  bool pause() noexcept {
    processor_pause();
    ++count_;
    if (!is_look()) return true;
    const Clock::time_point now = Clock::now();
    if (count_ == pauses_per_look) start_ = now;
    if (now - start_ >= limit_) return false;
    if (now - start_ >= yield_after) std::this_thread::yield();
    return true;
  }

 private:
  // The clock costs about as much as two pauses.
  static constexpr unsigned pauses_per_look = 64;

  Clock::duration limit_;
  Clock::time_point start_{};
  unsigned count_ = 0;
};

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads < 1 || threads > maximum_threads) {
    throw std::invalid_argument("a thread pool has 1 to " + std::to_string(maximum_threads) +
                                " threads, not " + std::to_string(threads));
  }
  executor_.context = this;
  executor_.max_workers = threads;
  executor_.parallel_for = [](void* context, std::ptrdiff_t tasks, weir_task task, void* argument) {
    static_cast<ThreadPool*>(context)->parallel_for(tasks, task, argument);
  };
  if (threads > 1) {
    executor_.begin = [](void* context) { static_cast<ThreadPool*>(context)->begin(); };
    executor_.end = [](void* context) { static_cast<ThreadPool*>(context)->end(); };
  }
  threads_.reserve(static_cast<std::size_t>(threads - 1));
  try {
    for (int worker = 1; worker < threads; ++worker) {
      threads_.emplace_back([this, worker] { work(worker); });
    }
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  stopping_.store(true);
  signal_.fetch_add(1);
  signal_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::parallel_for(std::ptrdiff_t tasks, weir_task task, void* argument) noexcept {
  if (tasks <= 0) return;
  // A task runs only while its loop is busy, so whoever gets the threads is not inside a task.
  if (tasks == 1 || threads_.empty() || busy_.load(std::memory_order_relaxed) ||
      busy_.exchange(true, std::memory_order_acquire)) {
    const int worker = current_worker();
    for (std::ptrdiff_t i = 0; i < tasks; ++i) task(argument, i, worker);
    return;
  }
  loop_ = {tasks, task, argument};
  finished_.store(0, std::memory_order_relaxed);
  unclaimed_.store(tasks);
  wake_for(tasks);
  const std::ptrdiff_t done = run_tasks(0);
  is_alone_.store(done == tasks, std::memory_order_relaxed);
  await_finished(tasks - done);
  busy_.store(false, std::memory_order_release);
}

// The number under which the calling thread runs a loop serially. A host thread is worker 0 of its
// own run, whether it is inside a task of that run or not.
int ThreadPool::current_worker() const noexcept {
  // Between loops no thread of the pool runs a task.
  if (!busy_.load(std::memory_order_relaxed)) return 0;
  const std::thread::id self = std::this_thread::get_id();
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (threads_[i].get_id() == self) return static_cast<int>(i) + 1;
  }
  return 0;
}

// Claims and runs tasks until none is left; returns how many.
std::ptrdiff_t ThreadPool::run_tasks(int worker) noexcept {
  std::ptrdiff_t count = 0;
  // Looking first keeps the counter from running away below zero.
  while (unclaimed_.load(std::memory_order_relaxed) > 0) {
    const std::ptrdiff_t left = unclaimed_.fetch_sub(1, std::memory_order_acquire);
    if (left <= 0) break;
    loop_.task(loop_.argument, loop_.tasks - left, worker);
    ++count;
  }
  return count;
}

// Waits until the other threads have reported `tasks` tasks.
void ThreadPool::await_finished(std::ptrdiff_t tasks) noexcept {
  Spin spin(caller_spin_limit);
  while (finished_.load(std::memory_order_acquire) != tasks) {
    if (spin.pause()) continue;
    caller_sleeps_.store(true);
    for (std::ptrdiff_t seen = finished_.load(); seen != tasks; seen = finished_.load())
      finished_.wait(seen);
    caller_sleeps_.store(false);
  }
}

// Wakes as many sleepers as `tasks` tasks can use beside the caller and the threads that are awake.
void ThreadPool::wake_for(std::ptrdiff_t tasks) noexcept {
  const std::ptrdiff_t asleep = sleepers_.load();
  if (asleep == 0) return;
  const std::ptrdiff_t awake = static_cast<std::ptrdiff_t>(threads_.size()) - asleep;
  const std::ptrdiff_t wanted = tasks - 1 - awake;
  if (wanted <= 0) return;
  signal_.fetch_add(1);
  if (wanted >= asleep) {
    signal_.notify_all();
  } else {
    for (std::ptrdiff_t i = 0; i < wanted; ++i) signal_.notify_one();
  }
}

// The life of one thread.
void ThreadPool::work(int worker) noexcept {
  while (!stopping_.load(std::memory_order_relaxed)) {
    const std::ptrdiff_t count = run_tasks(worker);
    if (count == 0) {
      idle();
      continue;
    }
    finished_.fetch_add(count);
    if (caller_sleeps_.load()) finished_.notify_one();
  }
}

// Returns when there may be something to do.
void ThreadPool::idle() noexcept {
  // Read before anything else: a begin() from here on changes it, and then the wait below does not
  // wait.
  const std::uint32_t seen = signal_.load();
  Spin spin(idle_spin_limit);
  while (runs_.load(std::memory_order_relaxed) > 0) {
    if (unclaimed_.load(std::memory_order_relaxed) > 0) return;
    if (spin.is_look()) leave_caller();
    if (!spin.pause()) break;
  }
  Spin linger(linger_limit);
  while (linger.pause()) {
    if (unclaimed_.load(std::memory_order_relaxed) > 0) return;
    if (linger.is_look()) leave_caller();
  }
  sleepers_.fetch_add(1);
  if (unclaimed_.load() <= 0 && !stopping_.load()) signal_.wait(seen);
  sleepers_.fetch_sub(1);
  leave_caller();
}

// A thread may be woken on the processor of whoever wakes it, while others are idle; the system
// takes milliseconds to move it, and all that time the caller works alone.
void ThreadPool::leave_caller() const noexcept {
  const int caller = caller_processor_.load(std::memory_order_relaxed);
  if (caller >= 0 && caller == this_processor()) leave_this_processor();
}

void ThreadPool::begin() noexcept {
  caller_processor_.store(this_processor(), std::memory_order_relaxed);
  runs_.fetch_add(1);
  signal_.fetch_add(1);
  const bool asleep = sleepers_.load() > 0;
  if (asleep) signal_.notify_all();
  // Whoever waits for this processor leaves it, once it gets it.
  if (asleep || is_alone_.load(std::memory_order_relaxed)) std::this_thread::yield();
}

void ThreadPool::end() noexcept { runs_.fetch_sub(1); }

}  // namespace weir
