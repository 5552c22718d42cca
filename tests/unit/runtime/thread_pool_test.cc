// The thread pool: every task once, worker numbers never shared within a run, no deadlock however
// loops are nested or pools shared.
#include "runtime/thread_pool.h"

#include <gtest/gtest.h>

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace weir {
namespace {

// Calls `body(task, worker)` as the pool's task.
template <class Body>
void run(ThreadPool& pool, std::ptrdiff_t tasks, const Body& body) {
  pool.parallel_for(
      tasks,
      [](void* argument, std::ptrdiff_t task, int worker) {
        (*static_cast<const Body*>(argument))(task, worker);
      },
      const_cast<Body*>(&body));
}

// Watches one run: counts each task, and notices two tasks at the same time under one worker
// number.
class Watch {
 public:
  Watch(std::ptrdiff_t tasks, int workers)
      : calls_(static_cast<std::size_t>(tasks)), active_(static_cast<std::size_t>(workers)) {}

  void enter(std::ptrdiff_t task, int worker) {
    if (worker < 0 || worker >= static_cast<int>(active_.size())) {
      ++faults_;
      return;
    }
    if (active_[static_cast<std::size_t>(worker)].exchange(true)) ++faults_;
    ++calls_[static_cast<std::size_t>(task)];
  }
  void leave(int worker) { active_[static_cast<std::size_t>(worker)] = false; }

  void expect_each_task_once() const {
    EXPECT_EQ(faults_, 0);
    for (std::size_t i = 0; i < calls_.size(); ++i) ASSERT_EQ(calls_[i], 1) << "task " << i;
  }

 private:
  std::vector<std::atomic<int>> calls_;
  std::vector<std::atomic<bool>> active_;
  std::atomic<int> faults_{0};
};

void run_watched(ThreadPool& pool, std::ptrdiff_t tasks) {
  Watch watch(tasks, pool.threads());
  run(pool, tasks, [&](std::ptrdiff_t task, int worker) {
    watch.enter(task, worker);
    watch.leave(worker);
  });
  watch.expect_each_task_once();
}

class ThreadPoolOf : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOf, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolOf, RunsEachTaskOnce) {
  ThreadPool pool(GetParam());
  for (const std::ptrdiff_t tasks : {1, 2, 3, 7, 64, 1000}) {
    for (int repeat = 0; repeat < 50; ++repeat) run_watched(pool, tasks);
  }
}

TEST_P(ThreadPoolOf, RunsEachTaskOnceWhileAwake) {
  ThreadPool pool(GetParam());
  pool.begin();
  for (int repeat = 0; repeat < 2000; ++repeat) run_watched(pool, 1 + repeat % 9);
  pool.end();
}

TEST_P(ThreadPoolOf, ResultsOfTasksAreVisibleToTheCaller) {
  ThreadPool pool(GetParam());
  std::vector<int> values(100);
  for (int round = 1; round <= 200; ++round) {
    run(pool, 100, [&](std::ptrdiff_t task, int) { values[static_cast<std::size_t>(task)] += 1; });
    for (const int value : values) ASSERT_EQ(value, round);
  }
}

TEST_P(ThreadPoolOf, HasNothingToDoWithoutTasks) {
  ThreadPool pool(GetParam());
  for (const std::ptrdiff_t tasks : {0, -1}) {
    run(pool, tasks, [](std::ptrdiff_t, int) { ADD_FAILURE() << "a task was called"; });
  }
}

TEST_P(ThreadPoolOf, ServesManyHostThreadsAtOnce) {
  ThreadPool pool(GetParam());
  std::vector<std::thread> hosts;
  for (int host = 0; host < 6; ++host) {
    hosts.emplace_back([&pool, host] {
      for (int repeat = 0; repeat < 200; ++repeat) {
        if (host % 2 == 0) pool.begin();
        run_watched(pool, 1 + (host + repeat) % 20);
        if (host % 2 == 0) pool.end();
      }
    });
  }
  for (std::thread& host : hosts) host.join();
}

TEST_P(ThreadPoolOf, NestedLoopsRunUnderTheWorkerOfTheirTask) {
  ThreadPool pool(GetParam());
  constexpr std::ptrdiff_t outer_tasks = 20;
  constexpr std::ptrdiff_t inner_tasks = 5;
  for (int repeat = 0; repeat < 20; ++repeat) {
    Watch outer(outer_tasks, pool.threads());
    std::atomic<int> inner_calls{0};
    run(pool, outer_tasks, [&](std::ptrdiff_t task, int worker) {
      outer.enter(task, worker);
      run(pool, inner_tasks, [&](std::ptrdiff_t, int inner_worker) {
        EXPECT_EQ(inner_worker, worker);
        run(pool, 2, [&](std::ptrdiff_t, int innermost) { EXPECT_EQ(innermost, worker); });
        ++inner_calls;
      });
      outer.leave(worker);
    });
    outer.expect_each_task_once();
    EXPECT_EQ(inner_calls, outer_tasks * inner_tasks);
  }
}

TEST_P(ThreadPoolOf, PoolsMayCallEachOther) {
  ThreadPool first(GetParam());
  ThreadPool second(2);
  std::atomic<int> calls{0};
  const auto cross = [&](ThreadPool& from, ThreadPool& to) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      run(from, 4, [&](std::ptrdiff_t, int) { run(to, 4, [&](std::ptrdiff_t, int) { ++calls; }); });
    }
  };
  std::thread other([&] { cross(second, first); });
  cross(first, second);
  other.join();
  EXPECT_EQ(calls, 2 * 50 * 16);
}

TEST_P(ThreadPoolOf, StartsAndStopsAtAnyMoment) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    ThreadPool pool(GetParam());
    if (repeat % 3 == 0) pool.begin();
    if (repeat % 2 == 0) run_watched(pool, 10);
    if (repeat % 3 == 0) pool.end();
  }
}

// Parts of a loop are the same in every call, so what a task works on stays with its thread. Each
// task waits for the others to start, so nobody helps; but who is still looking for tasks of the
// loop before may take one of another.
TEST_P(ThreadPoolOf, AWorkerRunsItsOwnTasksFirst) {
  ThreadPool pool(GetParam());
  const int threads = pool.threads();
  constexpr int repeats = 50;
  std::atomic<int> own{0};
  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::atomic<int> started{0};
    run(pool, threads, [&](std::ptrdiff_t task, int worker) {
      if (task == worker) ++own;
      ++started;
      while (started < threads) std::this_thread::yield();
    });
  }
  EXPECT_GT(own, threads * repeats / 2);
}

// Worker 1 begins with its part and does not go on before all else is done.
TEST(ThreadPool, OthersRunTheTasksOfAWorkerThatStopsShort) {
  ThreadPool pool(3);
  constexpr int tasks = 12;
  for (int repeat = 0; repeat < 20; ++repeat) {
    Watch watch(tasks, 3);
    std::atomic<int> others{0};
    std::atomic<bool> is_stopped{false};
    run(pool, tasks, [&](std::ptrdiff_t task, int worker) {
      watch.enter(task, worker);
      if (worker == 1 && !is_stopped.exchange(true))
        while (others < tasks - 1) std::this_thread::yield();
      else
        ++others;
      watch.leave(worker);
    });
    watch.expect_each_task_once();
  }
}

TEST(ThreadPool, UsesAllItsThreads) {
  ThreadPool pool(4);
  // Each task waits for the others to start, which a program's tasks never do: all four threads
  // must come.
  std::atomic<int> started{0};
  Watch watch(4, 4);
  run(pool, 4, [&](std::ptrdiff_t task, int worker) {
    watch.enter(task, worker);
    ++started;
    while (started < 4) std::this_thread::yield();
    watch.leave(worker);
  });
  watch.expect_each_task_once();
}

#if defined(__linux__)

TEST(ThreadPool, AThreadLeavesTheCallersProcessorAndMayComeBack) {
  cpu_set_t allowed, here, seen;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  if (CPU_COUNT(&allowed) < 2) GTEST_SKIP() << "there is one processor";
  ThreadPool pool(2);
  const int processor = sched_getcpu();
  CPU_ZERO(&here);
  CPU_SET(static_cast<std::size_t>(processor), &here);
  ASSERT_EQ(sched_setaffinity(0, sizeof here, &here), 0);
  // Each of the two threads runs one of the tasks.
  auto on_the_other = [&](auto body) {
    std::atomic<int> arrived{0};
    pool.executor().begin(&pool);
    run(pool, 2, [&](std::ptrdiff_t, int worker) {
      for (++arrived; arrived < 2;) std::this_thread::yield();
      if (worker == 1) body();
    });
    pool.executor().end(&pool);
  };
  bool came = false, left = false;
  on_the_other([&] {
    came = sched_setaffinity(0, sizeof here, &here) == 0 && sched_getcpu() == processor &&
           sched_setaffinity(0, sizeof allowed, &allowed) == 0;
  });
  for (int runs = 0; runs < 100 && !left; ++runs)
    on_the_other([&] {
      left = sched_getcpu() != processor;
      sched_getaffinity(0, sizeof seen, &seen);
    });
  EXPECT_EQ(sched_setaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_TRUE(came);
  EXPECT_TRUE(left);
  EXPECT_TRUE(CPU_EQUAL(&seen, &allowed));
}

#endif

TEST(ThreadPool, ANestedLoopStaysOnItsThread) {
  ThreadPool pool(3);
  run(pool, 12, [&](std::ptrdiff_t, int) {
    const std::thread::id self = std::this_thread::get_id();
    run(pool, 6, [&](std::ptrdiff_t, int) { EXPECT_EQ(std::this_thread::get_id(), self); });
  });
}

TEST(ThreadPool, ABusyPoolLetsOtherHostsRunSerially) {
  ThreadPool pool(2);
  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  std::thread holder([&] {
    run(pool, 2, [&](std::ptrdiff_t, int) {
      entered = true;
      while (!release) std::this_thread::yield();
    });
  });
  while (!entered) std::this_thread::yield();
  const std::thread::id self = std::this_thread::get_id();
  int calls = 0;
  run(pool, 100, [&](std::ptrdiff_t, int worker) {
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), self);
    ++calls;
  });
  EXPECT_EQ(calls, 100);
  release = true;
  holder.join();
}

TEST(ThreadPool, ACallerOutlastsALongTask) {
  ThreadPool pool(2);
  std::atomic<int> started{0};
  std::atomic<bool> slow_returned{false};
  run(pool, 2, [&](std::ptrdiff_t, int worker) {
    ++started;
    while (started < 2) std::this_thread::yield();
    if (worker == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      slow_returned = true;
    }
  });
  EXPECT_TRUE(slow_returned);
}

TEST(ThreadPool, ThreadsSleepThroughALongPauseInARun) {
  ThreadPool pool(3);
  pool.begin();
  for (int repeat = 0; repeat < 5; ++repeat) {
    run_watched(pool, 30);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  pool.end();
}

TEST(ThreadPool, TheExecutorIsThePool) {
  ThreadPool pool(2);
  const weir_executor& executor = pool.executor();
  EXPECT_EQ(executor.max_workers, 2);
  ASSERT_NE(executor.begin, nullptr);
  ASSERT_NE(executor.end, nullptr);
  std::atomic<int> sum{0};
  executor.begin(executor.context);
  executor.parallel_for(
      executor.context, 10,
      [](void* argument, std::ptrdiff_t task, int) {
        *static_cast<std::atomic<int>*>(argument) += static_cast<int>(task);
      },
      &sum);
  executor.end(executor.context);
  EXPECT_EQ(sum, 45);
}

TEST(ThreadPool, OneThreadIsTheCaller) {
  ThreadPool pool(1);
  EXPECT_EQ(pool.executor().begin, nullptr);
  EXPECT_EQ(pool.executor().end, nullptr);
  const std::thread::id self = std::this_thread::get_id();
  std::ptrdiff_t next = 0;
  run(pool, 10, [&](std::ptrdiff_t task, int worker) {
    EXPECT_EQ(task, next++);
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), self);
  });
}

TEST(ThreadPool, RejectsImpossibleSizes) {
  EXPECT_THROW(ThreadPool(0), std::invalid_argument);
  EXPECT_THROW(ThreadPool(-1), std::invalid_argument);
  EXPECT_THROW(ThreadPool(ThreadPool::maximum_threads + 1), std::invalid_argument);
}

}  // namespace
}  // namespace weir
