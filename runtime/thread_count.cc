// See thread_count.h. The formats are those of proc(5), cgroups(7) and the kernel's cgroup-v2
// document:
//   /proc/self/cgroup      HIERARCHY:CONTROLLERS:PATH     version 2 is hierarchy 0 without controllers
//   /proc/self/mountinfo   ID PARENT DEVICE ROOT MOUNT_POINT OPTIONS [TAG...] - TYPE SOURCE SUPER_OPTIONS
// PATH is relative to the hierarchy's root, and ROOT is the part of the hierarchy seen at
// MOUNT_POINT.
#include "runtime/thread_count.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>

#include <cerrno>
#endif

namespace weir {
namespace {

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return parts;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

bool contains(const std::vector<std::string_view>& parts, std::string_view part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ratio(std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> lower(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

enum class Version { one, two };

// The path of the process's group in the hierarchy of the controller "cpu".
std::optional<std::string_view> group_path(std::string_view groups, Version version) {
  for (const std::string_view line : split(groups, "\n")) {
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool found = version == Version::two ? line.substr(0, first) == "0" && controllers.empty()
                                               : contains(split(controllers, ","), "cpu");
    if (found) return line.substr(second + 1);
  }
  return std::nullopt;
}

struct Mount {
  std::string_view root;
  std::string_view point;
};

std::optional<Mount> controller_mount(std::string_view mounts, Version version) {
  for (const std::string_view line : split(mounts, "\n")) {
    const std::vector<std::string_view> fields = split(line, " ");
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4) continue;
    const bool found = version == Version::two
                           ? dash[1] == "cgroup2"
                           : dash[1] == "cgroup" && contains(split(dash[3], ","), "cpu");
    if (found) return Mount{fields[3], fields[4]};
  }
  return std::nullopt;
}

// The folders of the process's group and of the groups around it, as far as they are mounted.
std::vector<std::string> group_folders(std::string_view groups, std::string_view mounts,
                                       Version version) {
  const std::optional<Mount> mount = controller_mount(mounts, version);
  std::optional<std::string_view> path = group_path(groups, version);
  if (!mount || !path) return {};
  if (mount->root != "/") {
    // A container may see its own group as the mount's root, but its path as the host has it.
    const bool below = path->starts_with(mount->root) &&
                       (path->size() == mount->root.size() || (*path)[mount->root.size()] == '/');
    path = below ? path->substr(mount->root.size()) : std::string_view();
  }
  std::vector<std::string_view> names = split(*path, "/");
  // A path that leaves the namespace's root ("/../host") names nothing that is mounted.
  if (contains(names, "..")) names.clear();
  std::vector<std::string> folders{std::string(mount->point)};
  for (const std::string_view name : names)
    folders.push_back(folders.back() + "/" + std::string(name));
  return folders;
}

std::optional<std::string> read_text_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The processors in the affinity mask, or 0 if that is unknown.
int affinity_count() {
#ifdef __linux__
  // The kernel refuses a mask shorter than its own.
  for (int processors = 1024; processors <= 1 << 20; processors *= 4) {
    std::vector<std::uint64_t> words(static_cast<std::size_t>(processors) / 64);
    const std::size_t bytes = words.size() * sizeof(words[0]);
    auto* mask = reinterpret_cast<cpu_set_t*>(words.data());
    if (sched_getaffinity(0, bytes, mask) == 0) return CPU_COUNT_S(bytes, mask);
    if (errno != EINVAL) return 0;
  }
#endif
  return 0;
}

}  // namespace

std::optional<double> parse_cpu_max(std::string_view text) {
  const std::vector<std::string_view> fields = split(text, " \n");
  if (fields.size() != 2) return std::nullopt;
  return ratio(parse_integer(fields[0]), parse_integer(fields[1]));
}

std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period) {
  const std::vector<std::string_view> quota_fields = split(quota, " \n");
  const std::vector<std::string_view> period_fields = split(period, " \n");
  if (quota_fields.size() != 1 || period_fields.size() != 1) return std::nullopt;
  return ratio(parse_integer(quota_fields[0]), parse_integer(period_fields[0]));
}

std::optional<double> cgroup_cpu_quota(const FileReader& read_file) {
  const std::string groups = read_file("/proc/self/cgroup").value_or("");
  const std::string mounts = read_file("/proc/self/mountinfo").value_or("");
  std::optional<double> quota;
  for (const std::string& folder : group_folders(groups, mounts, Version::two)) {
    quota = lower(quota, parse_cpu_max(read_file(folder + "/cpu.max").value_or("")));
  }
  for (const std::string& folder : group_folders(groups, mounts, Version::one)) {
    quota = lower(quota, parse_cfs_quota(read_file(folder + "/cpu.cfs_quota_us").value_or(""),
                                         read_file(folder + "/cpu.cfs_period_us").value_or("")));
  }
  return quota;
}

int usable_threads(int hardware, int affinity, std::optional<double> quota) {
  int threads = std::max(hardware, 1);
  if (affinity > 0) threads = hardware > 0 ? std::min(threads, affinity) : affinity;
  if (quota && *quota < threads) threads = static_cast<int>(std::floor(*quota));
  return std::max(threads, 1);
}

int default_thread_count() {
  return usable_threads(static_cast<int>(std::thread::hardware_concurrency()), affinity_count(),
                        cgroup_cpu_quota(read_text_file));
}

}  // namespace weir
