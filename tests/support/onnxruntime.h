// ONNX Runtime, loaded at run time through its C API, to compare with: the library's path stands in
// the environment variable WEIR_ONNXRUNTIME.
//
// No header of its is needed. The C API is one function that returns a table of function pointers,
// to which every version only appends (this is promised in its header, and holds since
// version 1.0), so a function is known by its place in the table. The few that are used stand
// below, with their places. Everything that is compiled can so be compiled everywhere, and the
// library is the only thing to fetch.
#pragma once

#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ir/tensor.h"

namespace weir::test {

// The path of the library; null where there is none.
inline const char* onnxruntime_path() { return std::getenv("WEIR_ONNXRUNTIME"); }

// The library. It stays loaded. Everything that fails throws std::runtime_error with its message.
class OnnxRuntime {
 public:
  explicit OnnxRuntime(const char* path) {
    void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    struct Base {
      const void* const* (*get_api)(std::uint32_t version);
      const char* (*get_version)();
    };
    auto get_base = reinterpret_cast<const Base* (*)()>(::dlsym(library, "OrtGetApiBase"));
    if (get_base == nullptr) throw std::runtime_error(std::string(path) + " has no OrtGetApiBase");
    api_ = get_base()->get_api(kApiVersion);
    has_statistics_ = get_base()->get_api(kStatisticsVersion) != nullptr;
    if (api_ == nullptr)
      throw std::runtime_error(std::string(path) + " does not know version 8 of its C API");
    version_ = get_base()->get_version();
    check(call<Status*, int, const char*, void**>(kCreateEnv, kLogFatal, "weir", &environment_));
    check(call<Status*, int, int, void**>(kCreateCpuMemoryInfo, 1, 0, &memory_));
  }
  OnnxRuntime(const OnnxRuntime&) = delete;
  OnnxRuntime& operator=(const OnnxRuntime&) = delete;
  ~OnnxRuntime() {
    release(kReleaseMemoryInfo, memory_);
    release(kReleaseEnv, environment_);
  }

  const std::string& version() const { return version_; }

 private:
  friend class OnnxSession;
  friend class OnnxTensor;

  struct Status;
  static constexpr std::uint32_t kApiVersion = 8;
  static constexpr std::uint32_t kStatisticsVersion = 23;  // has those of allocators
  static constexpr int kLogFatal = 4;
  // Places in the table of functions.
  enum Place : std::size_t {
    kGetErrorMessage = 2,
    kCreateEnv = 3,
    kCreateSession = 7,
    kCreateSessionFromArray = 8,
    kRun = 9,
    kCreateSessionOptions = 10,
    kSetGraphOptimizationLevel = 23,
    kSetIntraOpNumThreads = 24,
    kCreateTensorWithData = 49,
    kGetTensorMutableData = 51,
    kGetTensorElementType = 60,
    kGetDimensionsCount = 61,
    kGetDimensions = 62,
    kGetTensorTypeAndShape = 65,
    kCreateCpuMemoryInfo = 69,
    kReleaseEnv = 92,
    kReleaseStatus = 93,
    kReleaseMemoryInfo = 94,
    kReleaseSession = 95,
    kReleaseValue = 96,
    kReleaseTypeAndShape = 99,
    kReleaseSessionOptions = 100,
    kAddSessionConfigEntry = 130,
    kCreateAllocator = 131,
    kReleaseAllocator = 132,
    kGetKeyValue = 297,
    kReleaseKeyValuePairs = 300,
    kAllocatorGetStats = 319,
  };

  // The argument types are those of the C function, and stated at each call.
  template <class Result, class... Arguments>
  Result call(Place place, std::type_identity_t<Arguments>... arguments) const {
    auto function = reinterpret_cast<Result (*)(Arguments...)>(const_cast<void*>(api_[place]));
    return function(arguments...);
  }

  void release(Place place, void* object) const { call<void, void*>(place, object); }

  void check(Status* status) const {
    if (status == nullptr) return;
    std::string message = call<const char*, Status*>(kGetErrorMessage, status);
    call<void, Status*>(kReleaseStatus, status);
    throw std::runtime_error("ONNX Runtime: " + message);
  }

  const void* const* api_ = nullptr;
  bool has_statistics_ = false;
  std::string version_;
  void* environment_ = nullptr;
  void* memory_ = nullptr;
};

// Element types by ONNX's numbers.
inline constexpr std::array<std::pair<int, DType>, 9> kOnnxTypes{{{1, DType::f32},
                                                                  {2, DType::u8},
                                                                  {3, DType::i8},
                                                                  {6, DType::i32},
                                                                  {7, DType::i64},
                                                                  {9, DType::boolean},
                                                                  {10, DType::f16},
                                                                  {11, DType::f64},
                                                                  {16, DType::bf16}}};

// A tensor for ONNX Runtime: a view of the caller's, or a result of its own.
class OnnxTensor {
 public:
  OnnxTensor(const OnnxRuntime& runtime, const Tensor& tensor) : runtime_(&runtime) {
    int type = 0;
    for (auto [number, dtype] : kOnnxTypes)
      if (dtype == tensor.dtype()) type = number;
    // ONNX Runtime does not write to inputs.
    runtime.check(runtime.call<OnnxRuntime::Status*, const void*, void*, std::size_t,
                               const std::int64_t*, std::size_t, int, void**>(
        OnnxRuntime::kCreateTensorWithData, runtime.memory_, const_cast<void*>(tensor.data()),
        tensor.byte_count(), tensor.sizes().data(), tensor.sizes().size(), type, &value_));
  }
  OnnxTensor(const OnnxRuntime& runtime, void* value) : runtime_(&runtime), value_(value) {}
  OnnxTensor(OnnxTensor&& other) noexcept
      : runtime_(other.runtime_), value_(std::exchange(other.value_, nullptr)) {}
  OnnxTensor& operator=(OnnxTensor&&) = delete;
  ~OnnxTensor() {
    if (value_ != nullptr) runtime_->release(OnnxRuntime::kReleaseValue, value_);
  }

  void* value() const { return value_; }

  // A copy.
  Tensor tensor() const {
    using Status = OnnxRuntime::Status;
    void* info = nullptr;
    runtime_->check(runtime_->call<Status*, const void*, void**>(
        OnnxRuntime::kGetTensorTypeAndShape, value_, &info));
    int type = 0;
    std::size_t rank = 0;
    runtime_->check(runtime_->call<Status*, const void*, int*>(OnnxRuntime::kGetTensorElementType,
                                                               info, &type));
    runtime_->check(runtime_->call<Status*, const void*, std::size_t*>(
        OnnxRuntime::kGetDimensionsCount, info, &rank));
    Tensor::Sizes sizes(rank);
    runtime_->check(runtime_->call<Status*, const void*, std::int64_t*, std::size_t>(
        OnnxRuntime::kGetDimensions, info, sizes.data(), rank));
    runtime_->release(OnnxRuntime::kReleaseTypeAndShape, info);
    void* data = nullptr;
    runtime_->check(
        runtime_->call<Status*, void*, void**>(OnnxRuntime::kGetTensorMutableData, value_, &data));
    for (auto [number, dtype] : kOnnxTypes) {
      if (number != type) continue;
      Tensor result(dtype, std::move(sizes));
      if (result.byte_count() > 0) std::memcpy(result.mutable_data(), data, result.byte_count());
      return result;
    }
    throw std::runtime_error("ONNX Runtime returned a tensor of element type " +
                             std::to_string(type));
  }

 private:
  const OnnxRuntime* runtime_;
  void* value_ = nullptr;
};

// A model made ready to run.
class OnnxSession {
 public:
  // Of a file's bytes. `rests`: its threads sleep between runs; else they spin on for a while after
  // each.
  OnnxSession(const OnnxRuntime& runtime, std::string_view model, int threads = 1,
              bool rests = false)
      : runtime_(runtime), rests_(rests) {
    with_options(threads, [&](void* options) {
      return runtime_
          .call<OnnxRuntime::Status*, const void*, const void*, std::size_t, const void*, void**>(
              OnnxRuntime::kCreateSessionFromArray, runtime_.environment_, model.data(),
              model.size(), options, &session_);
    });
  }
  // Of a file, with what lies beside it.
  static OnnxSession of_file(const OnnxRuntime& runtime, const std::string& path, int threads = 1,
                             bool rests = false) {
    OnnxSession session(runtime);
    session.rests_ = rests;
    session.with_options(threads, [&](void* options) {
      return runtime.call<OnnxRuntime::Status*, const void*, const char*, const void*, void**>(
          OnnxRuntime::kCreateSession, runtime.environment_, path.c_str(), options,
          &session.session_);
    });
    return session;
  }
  OnnxSession(OnnxSession&& other) noexcept
      : runtime_(other.runtime_),
        rests_(other.rests_),
        session_(std::exchange(other.session_, nullptr)) {}
  OnnxSession& operator=(OnnxSession&&) = delete;
  ~OnnxSession() {
    if (session_ != nullptr) runtime_.release(OnnxRuntime::kReleaseSession, session_);
  }

  // Outputs that are null are allocated; the others are written to.
  void run(const std::vector<const char*>& input_names, const std::vector<const void*>& inputs,
           const std::vector<const char*>& output_names, std::vector<void*>& outputs) const {
    runtime_.check(
        runtime_.call<OnnxRuntime::Status*, void*, const void*, const char* const*,
                      const void* const*, std::size_t, const char* const*, std::size_t, void**>(
            OnnxRuntime::kRun, session_, nullptr, input_names.data(), inputs.data(), inputs.size(),
            output_names.data(), output_names.size(), outputs.data()));
  }

  // A statistic in bytes of the arena that the session takes its memory from, such as InUse and
  // MaxInUse. None from versions before 1.23.
  std::optional<std::int64_t> arena(const char* statistic) const {
    using Status = OnnxRuntime::Status;
    if (!runtime_.has_statistics_) return std::nullopt;
    void *allocator = nullptr, *pairs = nullptr;
    runtime_.check(runtime_.call<Status*, const void*, const void*, void**>(
        OnnxRuntime::kCreateAllocator, session_, runtime_.memory_, &allocator));
    Status* status = runtime_.call<Status*, const void*, void**>(OnnxRuntime::kAllocatorGetStats,
                                                                 allocator, &pairs);
    runtime_.release(OnnxRuntime::kReleaseAllocator, allocator);
    runtime_.check(status);
    const char* value = runtime_.call<const char*, const void*, const char*>(
        OnnxRuntime::kGetKeyValue, pairs, statistic);
    std::optional<std::int64_t> result;
    if (value != nullptr) result = std::strtoll(value, nullptr, 10);
    runtime_.release(OnnxRuntime::kReleaseKeyValuePairs, pairs);
    return result;
  }

 private:
  explicit OnnxSession(const OnnxRuntime& runtime) : runtime_(runtime) {}

  template <class Create>
  void with_options(int threads, Create&& create) {
    using Status = OnnxRuntime::Status;
    void* options = nullptr;
    runtime_.check(runtime_.call<Status*, void**>(OnnxRuntime::kCreateSessionOptions, &options));
    runtime_.check(
        runtime_.call<Status*, void*, int>(OnnxRuntime::kSetIntraOpNumThreads, options, threads));
    if (rests_)
      runtime_.check(runtime_.call<Status*, void*, const char*, const char*>(
          OnnxRuntime::kAddSessionConfigEntry, options, "session.force_spinning_stop", "1"));
    Status* status = create(options);
    runtime_.release(OnnxRuntime::kReleaseSessionOptions, options);
    runtime_.check(status);
  }

  const OnnxRuntime& runtime_;
  bool rests_ = false;
  void* session_ = nullptr;
};

// Runs a model on inputs by name.
inline std::vector<Tensor> run_onnx(const OnnxRuntime& runtime, const OnnxSession& session,
                                    const std::map<std::string, Tensor, std::less<>>& inputs,
                                    const std::vector<std::string>& output_names) {
  std::vector<OnnxTensor> given;
  std::vector<const char*> names, results;
  std::vector<const void*> values;
  for (const auto& [name, tensor] : inputs) {
    given.emplace_back(runtime, tensor);
    names.push_back(name.c_str());
  }
  for (const OnnxTensor& tensor : given) values.push_back(tensor.value());
  for (const std::string& name : output_names) results.push_back(name.c_str());
  std::vector<void*> outputs(results.size(), nullptr);
  session.run(names, values, results, outputs);
  std::vector<OnnxTensor> owned;
  for (void* output : outputs) owned.emplace_back(runtime, output);
  std::vector<Tensor> tensors;
  for (const OnnxTensor& output : owned) tensors.push_back(output.tensor());
  return tensors;
}

}  // namespace weir::test
