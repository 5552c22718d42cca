// See thread_pool.h for the algorithm.
//
// Memory order: publishing a part is a release store of its `unclaimed`, claiming is an acquire of
// it, and claims in between keep the release sequence. Reporting is a release of `finished_` that
// the caller acquires. A caller that is about to publish looks for sleepers, and a thread that is
// about to sleep looks for a loop: each writes first and reads then, which only sequential
// consistency orders. That a caller writes `publishing` before it looks, and the parts after it,
// spares it to wait until other processors have seen the parts: a thread that finds a loop being
// published does not sleep.
#include "runtime/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <chrono>
#include <stdexcept>
#include <string>

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;

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

// From then on a spinning thread offers its processor: there may be more threads than processors.
constexpr auto yield_after = std::chrono::microseconds(20);
// The longest gap between two loops of a run that idle threads bridge awake.
constexpr auto idle_spin_limit = std::chrono::microseconds(1000);
// How long threads stay awake after the last run, for a host that calls again at once: waking one
// takes longer than a small run.
constexpr auto linger_limit = std::chrono::microseconds(100);
// How long a caller spins for the last tasks before it sleeps.
constexpr auto caller_spin_limit = std::chrono::microseconds(200);
// How long a thread leaves the tasks of a part to the worker whose they are and who is at it:
// fetching what a task works on from that worker's cache takes about as long.
constexpr unsigned pauses_before_help = 32;

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

// Fetches a line as one that will be written, so that writing it does not wait for other
// processors.
void prefetch_for_writing(const void* address) noexcept {
#if defined(__x86_64__)
  // Not every x86-64 has it, and those that have not take it for nothing.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

// A bounded busy wait.
class Spin {
 public:
  // The clock costs about as much as two pauses.
  static constexpr unsigned pauses_per_look = 64;

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
    executor_.hand_over = [](void* context) {
      return static_cast<ThreadPool*>(context)->hand_over();
    };
  }
  parts_ = std::vector<Part>(static_cast<std::size_t>(threads));
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
  // A task runs only while its loop has the threads, so whoever gets them is not inside a task.
  State none = State::none;
  if (tasks == 1 || threads_.empty() || state_.load(std::memory_order_relaxed) != none ||
      !state_.compare_exchange_strong(none, State::publishing)) {
    const int worker = current_worker();
    for (std::ptrdiff_t i = 0; i < tasks; ++i) task(argument, i, worker);
    return;
  }
  const bool asleep = sleepers_.load() > 0;
  publish(tasks, task, argument);
  state_.store(State::running, std::memory_order_release);
  if (asleep) wake_for(tasks);
  const std::ptrdiff_t done = run_as_caller();
  is_alone_.store(done == tasks, std::memory_order_relaxed);
  expected_ += static_cast<std::size_t>(tasks - done);
  await_finished();
  state_.store(State::none, std::memory_order_release);
}

// Divides the tasks, the first workers getting those that are left over. The caller's own part
// comes last: the others wait for theirs.
void ThreadPool::publish(std::ptrdiff_t tasks, weir_task task, void* argument) noexcept {
  const std::ptrdiff_t workers = threads();
  const std::ptrdiff_t each = tasks / workers, rest = tasks % workers;
  std::ptrdiff_t end = tasks;
  for (std::ptrdiff_t worker = workers; worker-- > 0;) {
    const std::ptrdiff_t count = each + (worker < rest ? 1 : 0);
    if (count == 0) continue;
    Part& part = parts_[static_cast<std::size_t>(worker)];
    part.end = end;
    part.task = task;
    part.argument = argument;
    part.is_begun.store(false, std::memory_order_relaxed);
    part.unclaimed.store(count, std::memory_order_release);
    end -= count;
  }
}

// The number under which the calling thread runs a loop serially. A host thread is worker 0 of its
// own run, whether it is inside a task of that run or not.
int ThreadPool::current_worker() const noexcept {
  // Between loops no thread of the pool runs a task.
  if (state_.load(std::memory_order_relaxed) == State::none) return 0;
  const std::thread::id self = std::this_thread::get_id();
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (threads_[i].get_id() == self) return static_cast<int>(i) + 1;
  }
  return 0;
}

// Whether there is a task to claim.
bool ThreadPool::is_claimable() const noexcept {
  for (const Part& part : parts_)
    if (part.unclaimed.load(std::memory_order_relaxed) > 0) return true;
  return false;
}

// Whether the part's own worker claims a task of it, or there is none left, within a moment.
bool ThreadPool::goes_on(const Part& part) noexcept {
  if (!part.is_begun.load(std::memory_order_relaxed)) return false;
  const std::ptrdiff_t left = part.unclaimed.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < pauses_before_help; ++i) {
    if (left <= 0 || part.unclaimed.load(std::memory_order_relaxed) != left) return true;
    processor_pause();
  }
  return false;
}

// Runs tasks of an owner's part until none is left to claim; returns how many.
std::ptrdiff_t ThreadPool::run_part(int owner, int worker) noexcept {
  Part& part = parts_[static_cast<std::size_t>(owner)];
  const bool is_own = owner == worker;
  std::ptrdiff_t count = 0;
  // Looking first keeps the counter from running away below zero.
  while (part.unclaimed.load(std::memory_order_relaxed) > 0) {
    if (!is_own && goes_on(part)) continue;
    const std::ptrdiff_t left = part.unclaimed.fetch_sub(1, std::memory_order_acquire);
    if (left <= 0) break;
    if (is_own) part.is_begun.store(true, std::memory_order_relaxed);
    part.task(part.argument, part.end - left, worker);
    ++count;
  }
  return count;
}

// The worker's own part is the first that it runs, and then come those that it helps with.
int ThreadPool::owner_of(int help, int worker) const noexcept {
  const int owner = worker + help;
  return owner < threads() ? owner : owner - threads();
}

// Runs tasks until none is left to claim; returns how many.
std::ptrdiff_t ThreadPool::run_as_caller() noexcept {
  std::ptrdiff_t count = 0;
  for (int i = 0; i < threads(); ++i) count += run_part(owner_of(i, 0), 0);
  return count;
}

// The same for a thread, which reports what it has run; returns whether that is anything.
bool ThreadPool::help(int worker) noexcept {
  bool helped = false;
  prefetch_for_writing(&finished_);
  for (int i = 0; i < threads(); ++i) {
    const std::ptrdiff_t count = run_part(owner_of(i, worker), worker);
    if (count == 0) continue;
    helped = true;
    finished_.fetch_add(static_cast<std::size_t>(count));
    if (caller_sleeps_.load()) finished_.notify_one();
  }
  return helped;
}

// Waits until the threads have reported all tasks that are not the caller's.
void ThreadPool::await_finished() noexcept {
  Spin spin(caller_spin_limit);
  while (finished_.load(std::memory_order_acquire) != expected_) {
    if (spin.pause()) continue;
    caller_sleeps_.store(true);
    for (std::size_t seen = finished_.load(); seen != expected_; seen = finished_.load())
      finished_.wait(seen);
    caller_sleeps_.store(false);
  }
}

int ThreadPool::hand_over() noexcept {
  if (!threads_.empty() && hand_over_.is_due()) measure_hand_over();
  return hand_over_.figure();
}

void ThreadPool::measure_hand_over() noexcept {
  State none = State::none;
  if (!state_.compare_exchange_strong(none, State::publishing)) return;
  // Threads that sleep are awake when it is asked for again: a program in which no loop is worth
  // dividing never wakes them.
  if (sleepers_.load() > 0) {
    signal_.fetch_add(1);
    signal_.notify_all();
  } else {
    hand_over_.measure([this] { return hand_over_nothing(); });
  }
  state_.store(State::none, std::memory_order_release);
}

// How long a loop takes whose tasks only read what they are given, as much as a program's do. The
// caller's task is done before it begins, and it takes those of others only where they are not
// claimed for so long that the figure is at its bound.
std::chrono::nanoseconds ThreadPool::hand_over_nothing() noexcept {
  struct alignas(separation) Given {
    std::ptrdiff_t words[separation / sizeof(std::ptrdiff_t)];
  } given;
  const auto read = [](void* argument, std::ptrdiff_t, int) {
    const volatile std::ptrdiff_t* words = static_cast<const Given*>(argument)->words;
    static_cast<void>(words[0]);
    static_cast<void>(words[separation / sizeof(std::ptrdiff_t) - 1]);
  };
  const Clock::time_point start = Clock::now();
  for (std::ptrdiff_t& word : given.words) word = 0;
  const std::ptrdiff_t tasks = threads();
  publish(tasks, read, &given);
  Part& own = parts_.front();
  std::ptrdiff_t done = own.unclaimed.fetch_sub(1, std::memory_order_acquire) > 0 ? 1 : 0;
  state_.store(State::running, std::memory_order_release);
  const std::size_t all = expected_ + static_cast<std::size_t>(tasks - done);
  Spin spin(HandOver::most);
  while (finished_.load(std::memory_order_acquire) != all) {
    if (spin.pause()) continue;
    done += run_as_caller();
    break;
  }
  const Clock::duration duration = Clock::now() - start;
  expected_ += static_cast<std::size_t>(tasks - done);
  await_finished();
  state_.store(State::publishing, std::memory_order_relaxed);
  return duration;
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
  const Part& own = parts_[static_cast<std::size_t>(worker)];
  while (!stopping_.load(std::memory_order_relaxed)) {
    while (help(worker)) await_next(own);
    idle(own);
  }
}

// Waits for a moment for the next loop. Nothing else is looked at, so what the caller writes in
// between stays in its cache.
void ThreadPool::await_next(const Part& own) noexcept {
  for (unsigned i = 0; i < Spin::pauses_per_look; ++i) {
    if (own.unclaimed.load(std::memory_order_relaxed) > 0) return;
    processor_pause();
  }
}

// Waits awake for a loop, if so asked only as long as a run is under way; whether there is one.
bool ThreadPool::spin(const Part& own, std::chrono::nanoseconds limit, bool in_run) const noexcept {
  Spin spin(limit);
  do {
    if (own.unclaimed.load(std::memory_order_relaxed) > 0) return true;
    if (!spin.is_look()) continue;
    if (is_claimable()) return true;
    if (in_run && runs_.load(std::memory_order_relaxed) == 0) return false;
    leave_caller();
  } while (spin.pause());
  return false;
}

// Returns when there may be something to do.
void ThreadPool::idle(const Part& own) noexcept {
  // Read before anything else: a begin() from here on changes it, and then the wait below does not
  // wait.
  const std::uint32_t seen = signal_.load();
  if (spin(own, idle_spin_limit, true) || spin(own, linger_limit, false)) return;
  sleepers_.fetch_add(1);
  if (state_.load() != State::publishing && !is_claimable() && !stopping_.load())
    signal_.wait(seen);
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
