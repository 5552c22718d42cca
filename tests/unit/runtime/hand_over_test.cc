// The figure of what handing over a loop costs: a median within bounds, from samples that are given
// here, and what a pool's own samples make of it while loops run beside them.
#include "runtime/hand_over.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "runtime/thread_pool.h"

namespace weir {
namespace {

using std::chrono::nanoseconds;

constexpr int kMost = static_cast<int>(HandOver::most.count());

int figure_of(std::array<int, HandOver::samples> durations) {
  HandOver hand_over;
  std::size_t next = 0;
  hand_over.measure([&] { return nanoseconds(durations.at(next++)); });
  return hand_over.figure();
}

TEST(HandOver, IsTheMedian) {
  EXPECT_EQ(figure_of({200, 210, 190, 205, 220, 180, 230}), 205);
  EXPECT_EQ(figure_of({3999, 210, 3500, 205, 220, 2000, 230}), 230)
      << "three samples that were disturbed";
}

TEST(HandOver, IsBounded) {
  EXPECT_EQ(figure_of({0, 0, 0, 0, 0, 0, 0}), 1);
  EXPECT_EQ(figure_of({3999, 3999, 3999, 3999, 3999, 3999, 3999}), kMost - 1);
}

// Of a thread that is not there nothing is learnt, unless it stays away.
TEST(HandOver, IsThatOfFarThreadsWhenTheyStayAway) {
  HandOver hand_over;
  int asked = 0;
  auto away = [&] {
    ++asked;
    return nanoseconds(10'000'000);
  };
  auto there = [] { return nanoseconds(300); };
  hand_over.measure(there);
  for (int round = 0; round < 2; ++round) {
    for (int i = 1; i < HandOver::patience; ++i) {
      hand_over.measure(away);
      EXPECT_EQ(hand_over.figure(), 300);
    }
    hand_over.measure(there);
  }
  asked = 0;
  for (int i = 0; i < HandOver::patience; ++i) hand_over.measure(away);
  EXPECT_EQ(hand_over.figure(), HandOver::away.count());
  EXPECT_EQ(asked, HandOver::patience) << "one sample tells";
  hand_over.measure(there);
  EXPECT_EQ(hand_over.figure(), 300);
}

TEST(HandOver, IsDueAtOnceAndAgainLater) {
  HandOver hand_over;
  EXPECT_EQ(hand_over.figure(), WEIR_HAND_OVER);
  EXPECT_TRUE(hand_over.is_due());
  const auto start = HandOver::Clock::now();
  hand_over.measure([] { return nanoseconds(300); });
  while (!hand_over.is_due()) {
    ASSERT_LT(HandOver::Clock::now() - start, std::chrono::seconds(20));
    std::this_thread::yield();
  }
  EXPECT_GE(HandOver::Clock::now() - start, HandOver::lifetime);
}

// Until the pool has measured, or the test gives up.
int measured(ThreadPool& pool) {
  const weir_executor& executor = pool.executor();
  const auto start = HandOver::Clock::now();
  int figure = WEIR_HAND_OVER;
  while (figure == WEIR_HAND_OVER && HandOver::Clock::now() - start < std::chrono::seconds(20))
    figure = executor.hand_over(executor.context);
  return figure;
}

TEST(HandOver, APoolMeasuresIt) {
  for (int threads : {2, 3, 8}) {
    ThreadPool pool(threads);
    int figure = measured(pool);
    EXPECT_NE(figure, WEIR_HAND_OVER);
    // No two processors exchange lines in a few cycles.
    EXPECT_GT(figure, 10);
    EXPECT_LE(figure, kMost);
  }
}

TEST(HandOver, APoolOfOneThreadHasNone) {
  ThreadPool pool(1);
  EXPECT_EQ(pool.executor().hand_over, nullptr);
  EXPECT_EQ(pool.hand_over(), WEIR_HAND_OVER);
}

// A pool whose threads sleep wakes them for it.
TEST(HandOver, APoolMeasuresItAfterAPause) {
  ThreadPool pool(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_NE(measured(pool), WEIR_HAND_OVER);
}

// Hosts ask all the time, between loops and within tasks; each task runs once nevertheless.
TEST(HandOver, MeasuringDisturbsNoLoop) {
  ThreadPool pool(3);
  const weir_executor& executor = pool.executor();
  std::atomic<int> faults{0};
  auto ask = [&] {
    int figure = executor.hand_over(executor.context);
    if (figure < 1 || figure > kMost) ++faults;
  };
  std::vector<std::thread> hosts;
  for (int host = 0; host < 3; ++host) {
    hosts.emplace_back([&] {
      const auto start = HandOver::Clock::now();
      while (HandOver::Clock::now() - start < 5 * HandOver::lifetime) {
        for (int repeat = 0; repeat < 20; ++repeat) ask();
        struct Run {
          decltype(ask)& ask_again;
          std::array<std::atomic<int>, 9> calls{};
        } run{ask};
        executor.parallel_for(
            executor.context, 9,
            [](void* argument, std::ptrdiff_t task, int) {
              auto& [again, calls] = *static_cast<Run*>(argument);
              again();
              ++calls[static_cast<std::size_t>(task)];
            },
            &run);
        for (std::atomic<int>& calls : run.calls)
          if (calls != 1) ++faults;
      }
    });
  }
  for (std::thread& host : hosts) host.join();
  EXPECT_EQ(faults, 0);
}

}  // namespace
}  // namespace weir
