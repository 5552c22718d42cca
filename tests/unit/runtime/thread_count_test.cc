// The rule for the number of threads, on sample files of real systems.
#include "runtime/thread_count.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

namespace weir {
namespace {

using Files = std::map<std::string, std::string>;

std::optional<double> quota(const Files& files) {
  return cgroup_cpu_quota([&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  });
}

constexpr const char* version_two_mount =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* version_one_mounts =
    "32 24 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup "
    "rw,xattr,name=systemd\n"
    "35 24 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:15 - cgroup cgroup rw,cpuset\n"
    "36 24 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:16 - cgroup cgroup "
    "rw,cpu,cpuacct\n";

TEST(ParseCpuMax, ReadsQuotaOverPeriod) {
  EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_max("50000 100000"), 0.5);
  EXPECT_EQ(parse_cpu_max("max 100000\n"), std::nullopt);
}

TEST(ParseCpuMax, MalformedTextIsNoLimit) {
  for (const char* text : {"", "\n", "100000", "max", "1 2 3", "-1 100000", "0 100000", "100000 0",
                           "1e5 100000", "99999999999999999999 100000"}) {
    EXPECT_EQ(parse_cpu_max(text), std::nullopt) << text;
  }
}

TEST(ParseCfsQuota, ReadsQuotaOverPeriod) {
  EXPECT_EQ(parse_cfs_quota("400000\n", "100000\n"), 4.0);
  EXPECT_EQ(parse_cfs_quota("-1\n", "100000\n"), std::nullopt);
  EXPECT_EQ(parse_cfs_quota("", "100000"), std::nullopt);
  EXPECT_EQ(parse_cfs_quota("400000", ""), std::nullopt);
  EXPECT_EQ(parse_cfs_quota("400000", "0"), std::nullopt);
}

TEST(CgroupQuota, NoFilesMeanNoLimit) { EXPECT_EQ(quota({}), std::nullopt); }

TEST(CgroupQuota, VersionTwoTakesTheLowestOnTheWayUp) {
  Files files = {{"/proc/self/cgroup", "0::/user.slice/user-1000.slice/work.scope\n"},
                 {"/proc/self/mountinfo", version_two_mount},
                 {"/sys/fs/cgroup/user.slice/user-1000.slice/work.scope/cpu.max", "max 100000\n"},
                 {"/sys/fs/cgroup/user.slice/user-1000.slice/cpu.max", "300000 100000\n"},
                 {"/sys/fs/cgroup/user.slice/cpu.max", "800000 100000\n"}};
  EXPECT_EQ(quota(files), 3.0);
  files["/sys/fs/cgroup/user.slice/user-1000.slice/work.scope/cpu.max"] = "200000 100000\n";
  EXPECT_EQ(quota(files), 2.0);
}

TEST(CgroupQuota, VersionTwoInsideANamespace) {
  EXPECT_EQ(quota({{"/proc/self/cgroup", "0::/\n"},
                   {"/proc/self/mountinfo", version_two_mount},
                   {"/sys/fs/cgroup/cpu.max", "250000 100000\n"}}),
            2.5);
}

TEST(CgroupQuota, APathOutsideTheNamespaceFallsBackToTheMount) {
  EXPECT_EQ(quota({{"/proc/self/cgroup", "0::/../other\n"},
                   {"/proc/self/mountinfo", version_two_mount},
                   {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
            1.0);
}

TEST(CgroupQuota, VersionOneFindsTheCpuController) {
  EXPECT_EQ(
      quota({{"/proc/self/cgroup", "12:cpuset:/a\n5:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n"},
             {"/proc/self/mountinfo", version_one_mounts},
             {"/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "600000\n"},
             {"/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n"},
             {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
             {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}}),
      6.0);
}

TEST(CgroupQuota, VersionOneMountedAtTheContainersGroup) {
  const Files files = {{"/proc/self/mountinfo",
                        "36 24 0:32 /docker/abc /sys/fs/cgroup/cpu ro,nosuid master:16 - cgroup "
                        "cgroup rw,cpu,cpuacct\n"},
                       {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"},
                       {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                       {"/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "100000\n"},
                       {"/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n"}};
  const auto with_path = [&](const char* path) {
    Files all = files;
    all["/proc/self/cgroup"] = std::string("5:cpu,cpuacct:") + path + "\n";
    return quota(all);
  };
  EXPECT_EQ(with_path("/docker/abc"), 2.0);
  EXPECT_EQ(with_path("/docker/abc/inner"), 1.0);
  EXPECT_EQ(with_path("/docker/abcd/inner"), 2.0);
}

TEST(CgroupQuota, BothVersionsAtOnce) {
  EXPECT_EQ(quota({{"/proc/self/cgroup", "5:cpu,cpuacct:/\n0::/\n"},
                   {"/proc/self/mountinfo",
                    std::string(version_one_mounts) +
                        "42 24 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}}),
            3.0);
}

TEST(CgroupQuota, MalformedFilesAreNoLimit) {
  for (const char* text : {"", ":", "::", "0:", "0::", "garbage", "0::/a:b\n\n"}) {
    for (const char* mounts :
         {"", "- - - -", "1 2 3 4 5 6 -", "1 2 3 4 5 6 - cgroup2", version_two_mount}) {
      EXPECT_EQ(quota({{"/proc/self/cgroup", text}, {"/proc/self/mountinfo", mounts}}),
                std::nullopt);
    }
  }
}

TEST(UsableThreads, IsTheLeastOfAllLimits) {
  EXPECT_EQ(usable_threads(8, 8, std::nullopt), 8);
  EXPECT_EQ(usable_threads(8, 4, std::nullopt), 4);
  EXPECT_EQ(usable_threads(8, 4, 2.0), 2);
  EXPECT_EQ(usable_threads(8, 4, 2.9), 2);
  EXPECT_EQ(usable_threads(8, 4, 0.5), 1);
  EXPECT_EQ(usable_threads(8, 4, 1e18), 4);
}

TEST(UsableThreads, UnknownCountsDoNotLimit) {
  EXPECT_EQ(usable_threads(0, 4, std::nullopt), 4);
  EXPECT_EQ(usable_threads(8, 0, std::nullopt), 8);
  EXPECT_EQ(usable_threads(0, 0, std::nullopt), 1);
  EXPECT_EQ(usable_threads(0, 0, 4.0), 1);
}

TEST(DefaultThreadCount, IsAtLeastOne) { EXPECT_GE(default_thread_count(), 1); }

}  // namespace
}  // namespace weir
