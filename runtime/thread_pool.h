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
//   `unclaimed_` holds the number of tasks that nobody has claimed. Publishing a loop writes its
//   description and then this counter. A thread claims a task by decrementing it: a positive result
//   means that the task is the thread's own and that the description is stable, for it changes only
//   when all claimed tasks are reported; otherwise the thread has seen nothing and reads nothing. A
//   thread reports all tasks it ran in a loop at once, in `finished_`, which the caller waits for.
//   A decrement that arrives late, in the next loop, is simply a claim in that loop.
//
//   Between `begin` and `end` idle threads spin, at most about a millisecond at a time, so that the
//   next loop finds them awake. After a run they stay awake for a tenth of that, for a host that
//   calls again at once, and then they sleep. One that wakes on the processor of whoever began the
//   run moves to another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "runtime/abi.h"

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

 private:
  struct Loop {
    std::ptrdiff_t tasks = 0;
    weir_task task = nullptr;
    void* argument = nullptr;
  };

  int current_worker() const noexcept;
  std::ptrdiff_t run_tasks(int worker) noexcept;
  void await_finished(std::ptrdiff_t tasks) noexcept;
  void wake_for(std::ptrdiff_t tasks) noexcept;
  void work(int worker) noexcept;
  void idle() noexcept;
  void leave_caller() const noexcept;
  void stop() noexcept;

  // Two cache lines: processors fetch lines in pairs.
  static constexpr std::size_t separation = 128;

  // Written for each loop and each claim.
  alignas(separation) std::atomic<std::ptrdiff_t> unclaimed_{0};
  Loop loop_;

  // Written by the threads when they have run out of tasks.
  alignas(separation) std::atomic<std::ptrdiff_t> finished_{0};
  std::atomic<bool> caller_sleeps_{false};

  // Whether a loop has the threads.
  alignas(separation) std::atomic<bool> busy_{false};

  // Rarely written, often read.
  alignas(separation) std::atomic<int> runs_{0};  // begun and not ended
  std::atomic<int> sleepers_{0};                  // threads that sleep or are about to
  std::atomic<std::uint32_t> signal_{0};          // changes whenever sleepers should look again
  std::atomic<int> caller_processor_{-1};         // where the last run was begun
  std::atomic<bool> is_alone_{false};             // nobody helped with the last loop
  std::atomic<bool> stopping_{false};
  weir_executor executor_{};
  std::vector<std::thread> threads_;  // threads_[i] is worker i + 1
};

}  // namespace weir
