// How many threads this process may use.
//
// A container sees every processor of its machine but is given a part of them, in two ways: an
// affinity mask, and a quota of processor time per period (the cgroup controller "cpu", in two
// versions of the file system). Threads beyond that part are worse than none: a loop waits for a
// thread that is throttled. A quota holds for a group and everything below it, so the lowest on the
// way up to the root counts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

// The processors that this process can really use, at least 1: the least of the machine's, the
// affinity mask's and the quota's.
int default_thread_count();

// The whole of default_thread_count's rule. A quota is rounded down, for a thread that uses the
// rest of it is throttled; unknown counts are 0.
int usable_threads(int hardware, int affinity, std::optional<double> quota);

// The text of a file, or nothing if it cannot be read.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;

// The quota of the process's group in processors, read from /proc/self and the cgroup file systems
// by `read_file`; nothing if there is no limit. Malformed text counts as no limit.
std::optional<double> cgroup_cpu_quota(const FileReader& read_file);

// The quota in a version 2 file cpu.max: "max 100000" is none, "150000 100000" is 1.5.
std::optional<double> parse_cpu_max(std::string_view text);

// The quota in the version 1 files cpu.cfs_quota_us and cpu.cfs_period_us: "-1" is none.
std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period);

}  // namespace weir
