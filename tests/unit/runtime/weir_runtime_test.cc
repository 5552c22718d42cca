// The C interface, from C and from C++.
#include "runtime/weir_runtime.h"
#include "runtime/weir_trainer.h"

#include <gtest/gtest.h>

#include <climits>
#include <cstdlib>
#include <string>

extern "C" int weir_test_c_interface(void);

namespace {

TEST(CInterface, WorksFromC) { EXPECT_EQ(weir_test_c_interface(), 0); }

TEST(CInterface, HeadersAreStrictC89) {
  if (std::system("cc --version >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "there is no C compiler named cc";
  const std::string root = WEIR_SOURCE_DIR;
  const std::string command =
      "cc -std=c89 -pedantic-errors -Wall -Wextra -Werror -fsyntax-only -I\"" + root + "\" \"" +
      root + "/tests/unit/runtime/c89_headers.c\"";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(CInterface, ZeroThreadsMeansTheDefault) {
  weir_thread_pool* pool = weir_thread_pool_create(0);
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(weir_thread_pool_executor(pool)->max_workers, weir_default_thread_count());
  weir_thread_pool_destroy(pool);
}

TEST(CInterface, FailureIsNull) {
  EXPECT_EQ(weir_thread_pool_create(-1), nullptr);
  EXPECT_EQ(weir_thread_pool_create(INT_MAX), nullptr);
}

TEST(CInterface, NullIsHarmless) {
  weir_thread_pool_destroy(nullptr);
  weir_workspace_destroy(nullptr);
  EXPECT_EQ(weir_thread_pool_executor(nullptr), nullptr);
  EXPECT_EQ(weir_workspace_reserve(nullptr, 64), nullptr);
  EXPECT_EQ(weir_workspace_bytes(nullptr), 0u);
  weir_model_close(nullptr);
  EXPECT_EQ(weir_model_describe(nullptr), nullptr);
  EXPECT_EQ(weir_model_program(nullptr, "forward"), nullptr);
  weir_trainer_destroy(nullptr);
  EXPECT_EQ(weir_trainer_create(nullptr), nullptr);
  EXPECT_EQ(weir_trainer_of_model(nullptr), nullptr);
  EXPECT_EQ(weir_trainer_step(nullptr, nullptr, nullptr, nullptr, nullptr), -1);
  EXPECT_EQ(weir_trainer_evaluate(nullptr, nullptr, nullptr, nullptr, nullptr), -1);
  EXPECT_EQ(weir_trainer_fault(nullptr), nullptr);
  EXPECT_EQ(weir_trainer_state(nullptr, "w", nullptr), nullptr);
  EXPECT_EQ(weir_trainer_state_block(nullptr), nullptr);
}

}  // namespace
