// Threads for compiled programs: the runtime's own implementation of weir_executor.
//
// A pool of K threads is K - 1 persistent threads and whoever calls parallel_for: the caller takes
// part as worker 0. A pool of one thread creates none.
//
// Invariants
//   - parallel_for never blocks on another run. While one loop has the pool's threads, every other
//     loop runs serially on its own caller: a loop of another host thread as worker 0 of that run,
//     a loop nested in a task under the worker number of that task. So nothing can deadlock, and
//     within one run no two tasks ever share a worker number at the same time.
//   - A loop never waits for a thread that has not claimed a task: a thread that sleeps or that the
//     system has not scheduled costs its help, and nothing else.
//   - Two pools share nothing; there is no state outside the object.
//
// Algorithm
//   The tasks of a loop are divided into parts of consecutive tasks, one for each worker. They
//   depend on the number of tasks alone, so a loop that runs again finds what its tasks read and
//   write in the caches of the processors that it has left it in. A worker runs its own part first
//   and then helps with those of others, the next worker's before the one after.
//
//   `Part::unclaimed` holds the number of tasks of a part that nobody has claimed. Publishing a
//   loop writes the description of each part and then this counter. A thread claims a task by
//   decrementing it: a positive result means that the task is the thread's own and that the
//   description is stable, for it changes only when all claimed tasks are reported; otherwise the
//   thread has seen nothing and reads nothing. A thread reports all tasks it ran of a part at once,
//   in `finished_`, which counts up for ever and which the caller waits for. A decrement that
//   arrives late, in the next loop, is simply a claim in that loop.
//
//   A short loop costs what moving lines between two processors' caches costs, so each line has few
//   readers. A thread waits for its next loop at its own part, which holds all that it needs to
//   run; at anything else it looks only from time to time.
//
//   What handing over a loop costs is measured from time to time with loops of nothing, when a
//   program asks for it and the threads are awake (hand_over.h). The caller only waits in these, so
//   that they last as long as the threads need.
//
//   Between `begin` and `end` idle threads spin, at most about a millisecond at a time, so that the
//   next loop finds them awake. After a run they stay awake for a tenth of that, for a host that
//   calls again at once, and then they sleep. One that wakes on the processor of whoever began the
//   run moves to another.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "runtime/abi.h"
#include "runtime/hand_over.h"

namespace weir {

// A fixed set of threads that run parallel loops. All members but the destructor may be called from
// many threads at once.
class ThreadPool {
 public:
  static constexpr int maximum_threads = 1024;

  // Starts threads - 1 threads. Throws std::invalid_argument unless 1 <= threads <=
  // maximum_threads, and std::system_error if the system gives no more threads; then none is left
  // behind.
  explicit ThreadPool(int threads);
  // Joins the threads. No loop may be running.
  ~ThreadPool();

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The number of workers, the caller of a loop included.
  int threads() const noexcept { return executor_.max_workers; }

  // The pool as a compiled program sees it. Lives as long as the pool.
  const weir_executor& executor() const noexcept { return executor_; }

  // Calls task(argument, i, worker) once for every i in [0, tasks), 0 <= worker < threads(), and
  // returns when all have returned. No task for tasks <= 0. A task that throws ends the process.
  void parallel_for(std::ptrdiff_t tasks, weir_task task, void* argument) noexcept;

  // Bracket a run: from begin() on, and for a moment after end(), idle threads are awake. Runs may
  // overlap; each begin() has its end().
  void begin() noexcept;
  void end() noexcept;

  // What it costs to divide a loop, in nanoseconds; see weir_executor.
  int hand_over() noexcept;

 private:
  // Two cache lines: processors fetch lines in pairs.
  static constexpr std::size_t separation = 128;

  // The tasks of the current loop that are one worker's to begin with.
  struct alignas(separation) Part {
    std::atomic<std::ptrdiff_t> unclaimed{0};
    std::atomic<bool> is_begun{false};  // by the worker whose it is
    std::ptrdiff_t end = 0;  // the task behind the last one; they are claimed in ascending order
    weir_task task = nullptr;
    void* argument = nullptr;
  };
  // Of the one loop that may have the threads.
  enum class State : std::uint8_t { none, publishing, running };

  int current_worker() const noexcept;
  void publish(std::ptrdiff_t tasks, weir_task task, void* argument) noexcept;
  bool is_claimable() const noexcept;
  static bool goes_on(const Part& part) noexcept;
  std::ptrdiff_t run_part(int owner, int worker) noexcept;
  int owner_of(int help, int worker) const noexcept;
  std::ptrdiff_t run_as_caller() noexcept;
  bool help(int worker) noexcept;
  void await_finished() noexcept;
  void measure_hand_over() noexcept;
  std::chrono::nanoseconds hand_over_nothing() noexcept;
  void wake_for(std::ptrdiff_t tasks) noexcept;
  void work(int worker) noexcept;
  static void await_next(const Part& own) noexcept;
  bool spin(const Part& own, std::chrono::nanoseconds limit, bool in_run) const noexcept;
  void idle(const Part& own) noexcept;
  void leave_caller() const noexcept;
  void stop() noexcept;

  // Never written once the threads run.
  alignas(separation) weir_executor executor_{};
  std::vector<Part> parts_;
  std::vector<std::thread> threads_;  // threads_[i] is worker i + 1

  // Written by the threads when they have run out of tasks of a part.
  alignas(separation) std::atomic<std::size_t> finished_{0};  // tasks that threads have run, ever
  std::atomic<bool> caller_sleeps_{false};

  // The caller's.
  alignas(separation) std::atomic<State> state_{State::none};
  std::size_t expected_ = 0;  // finished_ when the last loop was done
  HandOver hand_over_;

  // Written by callers; the threads look at it when they have waited for a while.
  alignas(separation) std::atomic<int> runs_{0};  // begun and not ended
  std::atomic<int> sleepers_{0};                  // threads that sleep or are about to
  std::atomic<std::uint32_t> signal_{0};          // changes whenever sleepers should look again
  std::atomic<int> caller_processor_{-1};         // where the last run was begun
  std::atomic<bool> is_alone_{false};             // nobody helped with the last loop
  std::atomic<bool> stopping_{false};
};

}  // namespace weir
