#include "compiler/training/checkpoint.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "compiler/frontend/file.h"
#include "compiler/frontend/safetensors.h"

namespace weir {
namespace {

constexpr const char* kState = "state/";
constexpr const char* kBest = "best/";
constexpr const char* kSettings = "settings";
constexpr const char* kCounts = "fit.counts";
constexpr const char* kNumbers = "fit.numbers";
constexpr const char* kReportCounts = "fit.reports.counts";
constexpr const char* kReportNumbers = "fit.reports.numbers";
constexpr const char* kChecksum = "checksum";
constexpr std::int64_t kCountsOfReport = 3, kNumbersOfReport = 6;

[[noreturn]] void refuse(const std::string& folder, std::string_view action, int code) {
  throw Error(Location(std::make_shared<const std::string>(folder), 0, 0),
              fmt::format("the folder for checkpoints cannot be {}: {}", action,
                          std::generic_category().message(code)));
}

// NaN for what is not there.
double or_nan(std::optional<double> number) {
  return number.value_or(std::numeric_limits<double>::quiet_NaN());
}
std::optional<double> unless_nan(double number) {
  return std::isnan(number) ? std::nullopt : std::optional(number);
}

Tensor table(std::span<const double> numbers, std::int64_t columns) {
  return Tensor::from(numbers, {static_cast<std::int64_t>(numbers.size()) / columns, columns});
}
Tensor table(std::span<const std::int64_t> numbers, std::int64_t columns) {
  return Tensor::from(numbers, {static_cast<std::int64_t>(numbers.size()) / columns, columns});
}

void add_reports(const std::vector<EpochReport>& reports, Weights& tensors) {
  std::vector<std::int64_t> counts;
  std::vector<double> numbers;
  for (const EpochReport& report : reports) {
    counts.insert(counts.end(), {report.step, report.rows, report.validation ? 1 : 0});
    Quality validation = report.validation.value_or(Quality{});
    numbers.insert(numbers.end(), {report.rate, report.seconds, report.training.loss,
                                   or_nan(report.training.accuracy), validation.loss,
                                   or_nan(validation.accuracy)});
  }
  tensors.emplace(kReportCounts, table(counts, kCountsOfReport));
  tensors.emplace(kReportNumbers, table(numbers, kNumbersOfReport));
}

// FNV-1a. Each step is a bijection of what came before and of the byte, so that one byte that is
// another changes it.
class Hash {
 public:
  void add(std::string_view bytes) {
    for (char byte : bytes) value_ = (value_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  std::uint64_t value() const { return value_; }
  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

void add(Hash& hash, const Tensor& tensor) {
  hash.add(to_string(tensor.dtype(), tensor.sizes()));
  hash.add(bytes_of(tensor));
}

// Of all but the checksum itself: names, types and elements.
std::int64_t checksum_of(const Weights& tensors) {
  Hash hash;
  for (const auto& [name, tensor] : tensors) {
    if (name == kChecksum) continue;
    hash.add(name);
    add(hash, tensor);
  }
  return std::bit_cast<std::int64_t>(hash.value());
}

Weights tensors_of(const Checkpoint& checkpoint) {
  Weights tensors;
  std::string settings = nlohmann::json(checkpoint.settings).dump();
  Tensor text(DType::u8, {static_cast<std::int64_t>(settings.size())});
  std::copy(settings.begin(), settings.end(), static_cast<char*>(text.mutable_data()));
  tensors.emplace(kSettings, std::move(text));
  for (const auto& [name, value] : checkpoint.state) tensors.emplace(kState + name, value);
  for (const auto& [name, value] : checkpoint.fit.best) tensors.emplace(kBest + name, value);
  const FitState& fit = checkpoint.fit;
  tensors.emplace(kCounts,
                  Tensor::from<std::int64_t>({fit.epochs, fit.rows, fit.right ? 1 : 0,
                                              fit.right.value_or(0), fit.steps, fit.best_epoch},
                                             {6}));
  tensors.emplace(kNumbers, Tensor::from<double>({fit.loss, fit.seconds}, {2}));
  add_reports(fit.reports, tensors);
  tensors.emplace(kChecksum, Tensor::from<std::int64_t>({checksum_of(tensors)}, {1}));
  return tensors;
}

// The parts of the file, each of which must be there.
class Parts {
 public:
  explicit Parts(const std::string& path)
      : file_(map_file(path)), tensors_(read_safetensors(file_)) {
    // A file may be from before there were any.
    if (!tensors_.contains(kChecksum)) return;
    if (elements<std::int64_t>(kChecksum, {1})[0] != checksum_of(tensors_))
      file_.refuse(
          "the checkpoint is damaged: it does not have the bytes that were written (its checksum "
          "is another one); put a copy of it in its place, or remove it to start anew");
  }

  [[noreturn]] void refuse(std::string_view why) const {
    file_.refuse(fmt::format("this is not a checkpoint: {}", why));
  }

  template <class T>
  std::span<const T> elements(const char* name, const Tensor::Sizes& sizes) const {
    const Tensor& tensor = find(name);
    if (tensor.dtype() != dtype_of<T> || tensor.sizes() != sizes)
      refuse(fmt::format("{} is {}", name, to_string(tensor.dtype(), tensor.sizes())));
    return tensor.elements<T>();
  }

  const Tensor& find(const char* name) const {
    auto found = tensors_.find(name);
    if (found == tensors_.end()) refuse(fmt::format("it has no {}", name));
    return found->second;
  }

  // Copied: the file may be replaced while they are in use.
  Weights below(std::string_view prefix) const {
    Weights result;
    for (const auto& [name, value] : tensors_) {
      if (!name.starts_with(prefix)) continue;
      Tensor copy(value.dtype(), value.sizes());
      std::string_view bytes = bytes_of(value);
      std::copy(bytes.begin(), bytes.end(), static_cast<char*>(copy.mutable_data()));
      result.emplace(name.substr(prefix.size()), std::move(copy));
    }
    return result;
  }

  Checkpoint::Settings settings() const {
    std::string_view text = bytes_of(find(kSettings));
    nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    Checkpoint::Settings settings;
    if (!json.is_object()) refuse("its settings are no JSON object");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) refuse(fmt::format("its setting {} is no text", shown(key)));
      settings.emplace(key, value.get<std::string>());
    }
    return settings;
  }

 private:
  FileBytes file_;
  Weights tensors_;
};

std::vector<EpochReport> reports_of(const Parts& parts, std::int64_t epochs) {
  auto counts = parts.elements<std::int64_t>(kReportCounts, {epochs, kCountsOfReport});
  auto numbers = parts.elements<double>(kReportNumbers, {epochs, kNumbersOfReport});
  std::vector<EpochReport> reports;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    auto count = counts.subspan(static_cast<std::size_t>(epoch * kCountsOfReport));
    auto number = numbers.subspan(static_cast<std::size_t>(epoch * kNumbersOfReport));
    EpochReport report;
    report.epoch = epoch + 1;
    report.step = count[0];
    report.rows = count[1];
    report.rate = number[0];
    report.seconds = number[1];
    report.training = {number[2], unless_nan(number[3])};
    if (count[2] != 0) report.validation = Quality{number[4], unless_nan(number[5])};
    reports.push_back(report);
  }
  return reports;
}

constexpr const char* kOptimizer = "--optimizer";
constexpr const char* kValidation = "--validation";
constexpr const char* kRowsOfValidation = "the rows of --validation";
constexpr const char* kLeftOut = "left out";

std::string value_in(const Checkpoint::Settings& settings, const std::string& name) {
  auto found = settings.find(name);
  return found == settings.end() ? kLeftOut : found->second;
}

// What of two optimizers to show where they are not equal: their names, or if these are equal, the
// name with the numbers that are not.
std::pair<std::string, std::string> differing_parts(const std::string& one,
                                                    const std::string& other) {
  std::istringstream words(one), other_words(other);
  std::string name, other_name, word, other_word;
  words >> name;
  other_words >> other_name;
  if (name != other_name) return {name, other_name};
  std::vector<std::string> parts, other_parts;
  while (words >> word && other_words >> other_word) {
    if (word == other_word) continue;
    parts.push_back(word);
    other_parts.push_back(other_word);
  }
  return {fmt::format("{} with {}", name, fmt::join(parts, " ")),
          fmt::format("{} with {}", name, fmt::join(other_parts, " "))};
}

// In the order in which they are compared: the optimizer decides what others are that are left out.
std::vector<std::string> setting_names(const Checkpoint::Settings& saved,
                                       const Checkpoint::Settings& now) {
  Checkpoint::Settings all = saved;
  all.insert(now.begin(), now.end());
  std::vector<std::string> names{kOptimizer};
  for (const auto& [name, ignored] : all)
    if (name != kOptimizer) names.push_back(name);
  return names;
}

}  // namespace

std::string checkpoint_in(const std::string& folder) { return folder + "/checkpoint.safetensors"; }

CheckpointFolder::CheckpointFolder(std::string folder) : folder_(std::move(folder)) {
  std::error_code fault;
  std::filesystem::create_directories(folder_, fault);
  if (fault) refuse(folder_, "made", fault.value());
  lock_ = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) refuse(folder_, "opened", errno);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(lock_);
    throw Error(Location(std::make_shared<const std::string>(folder_), 0, 0),
                "another process trains with this folder for checkpoints");
  }
  remove_abandoned(folder_);
  try {
    check_writable(file());
  } catch (const Error&) {
    ::close(lock_);
    throw;
  }
}

CheckpointFolder::~CheckpointFolder() { ::close(lock_); }

bool CheckpointFolder::holds_one() const {
  std::error_code ignored;
  return std::filesystem::exists(file(), ignored);
}

void CheckpointFolder::write(const Checkpoint& checkpoint) const {
  write_safetensors(file(), tensors_of(checkpoint));
}

Checkpoint CheckpointFolder::read() const {
  Parts parts(file());
  auto counts = parts.elements<std::int64_t>(kCounts, {6});
  auto numbers = parts.elements<double>(kNumbers, {2});
  for (std::int64_t count : counts)
    if (count < 0) parts.refuse(fmt::format("{} has {}", kCounts, count));
  Checkpoint result;
  result.settings = parts.settings();
  result.state = parts.below(kState);
  FitState& fit = result.fit;
  fit.epochs = counts[0];
  fit.rows = counts[1];
  fit.right = counts[2] != 0 ? std::optional(counts[3]) : std::nullopt;
  fit.steps = counts[4];
  fit.best_epoch = counts[5];
  fit.loss = numbers[0];
  fit.seconds = numbers[1];
  fit.reports = reports_of(parts, fit.epochs);
  fit.best = parts.below(kBest);
  return result;
}

void check_settings(const Checkpoint::Settings& saved, const Checkpoint::Settings& now,
                    const std::string& file) {
  // A file may hold the fingerprint of the rows where others say how these were given.
  const bool rows_alone = saved.contains(kValidation) && !saved.contains(kRowsOfValidation) &&
                          saved.at(kValidation) != kLeftOut && now.contains(kRowsOfValidation);
  Location place(std::make_shared<const std::string>(file), 0, 0);
  for (const std::string& name : setting_names(saved, now)) {
    if (rows_alone && name == kValidation) continue;
    std::string then =
        value_in(saved, rows_alone && name == kRowsOfValidation ? kValidation : name);
    std::string today = value_in(now, name);
    if (then == today) continue;
    if (name.starts_with("the "))
      throw Error(place,
                  fmt::format("{}: not what the checkpoint was made with (fingerprint {}, and now "
                              "{}); a training is resumed with what it was started with",
                              name, then, today));
    if (name == kOptimizer) std::tie(then, today) = differing_parts(then, today);
    throw Error(place,
                fmt::format("the checkpoint was made with {} {}, and it is {} now; a training is "
                            "resumed with what it was started with",
                            name, then, today));
  }
}

std::string fingerprint(const DataSet& set) {
  Hash hash;
  for (const Tensor* tensor : {&set.data, &set.targets}) add(hash, *tensor);
  return hash.text();
}

std::string fingerprint(std::string_view text) {
  Hash hash;
  hash.add(text);
  return hash.text();
}

}  // namespace weir
