// y = leaky(x*a + b)*c + leaky(d - x) in ONNX Runtime, called through its C API on the caller's arrays.
//
// The library is loaded at run time, from the path in the environment variable WEIR_ONNXRUNTIME; its
// header is needed when this is compiled (CMake: WEIR_ONNXRUNTIME_INCLUDE). The model is written down here
// in the encoding of ONNX files, protobuf: fields of a number and a length or a varint.
#pragma once

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace weir::bench {

namespace onnx {

inline std::string varint(std::uint64_t number) {
  std::string bytes;
  for (; number >= 128; number >>= 7) bytes += static_cast<char>(number | 128);
  return bytes + static_cast<char>(number);
}
inline std::string field(unsigned id, std::uint64_t number) { return varint(id << 3) + varint(number); }
inline std::string field(unsigned id, const std::string& bytes) {
  return varint(id << 3 | 2) + varint(bytes.size()) + bytes;
}
inline std::string field(unsigned id, float number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  return varint(id << 3 | 5) + std::string(bytes, sizeof bytes);
}

// NodeProto: inputs, output, op_type, attributes.
inline std::string node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output) {
  std::string bytes;
  for (const std::string& input : inputs) bytes += field(1, input);
  bytes += field(2, output) + field(4, op);
  if (op == "LeakyRelu") bytes += field(5, field(1, std::string("alpha")) + field(2, 0.01f) + field(20, std::uint64_t{1}));
  return bytes;
}

// ValueInfoProto of an f32[N].
inline std::string vector_of_floats(const std::string& name) {
  std::string shape = field(1, field(2, std::string("N")));
  return field(1, name) + field(2, field(1, field(1, std::uint64_t{1}) + field(2, shape)));
}

// ModelProto: ir_version, graph, opset_import.
inline std::string chain_model() {
  std::string graph;
  for (const std::string& bytes :
       {node("Mul", {"x", "a"}, "xa"), node("Add", {"xa", "b"}, "s"), node("LeakyRelu", {"s"}, "ls"),
        node("Mul", {"ls", "c"}, "left"), node("Sub", {"d", "x"}, "dx"), node("LeakyRelu", {"dx"}, "right"),
        node("Add", {"left", "right"}, "y")})
    graph += field(1, bytes);
  graph += field(2, std::string("chain"));
  for (const char* name : {"x", "a", "b", "c", "d"}) graph += field(11, vector_of_floats(name));
  graph += field(12, vector_of_floats("y"));
  return field(1, std::uint64_t{7}) + field(7, graph) + field(8, field(1, std::string()) + field(2, std::uint64_t{13}));
}

}  // namespace onnx

// The library. It stays loaded.
class OnnxRuntime {
 public:
  explicit OnnxRuntime(const char* path) {
    void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    auto base = reinterpret_cast<const OrtApiBase* (*)()>(::dlsym(library, "OrtGetApiBase"));
    if (base == nullptr) throw std::runtime_error(std::string(path) + " has no OrtGetApiBase");
    api_ = base()->GetApi(ORT_API_VERSION);
    if (api_ == nullptr) throw std::runtime_error(std::string(path) + " does not know this version of its C API");
    version_ = base()->GetVersionString();
    check(api_->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "benchmark", &environment_));
    check(api_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
  }
  OnnxRuntime(const OnnxRuntime&) = delete;
  OnnxRuntime& operator=(const OnnxRuntime&) = delete;
  ~OnnxRuntime() {
    api_->ReleaseMemoryInfo(memory_);
    api_->ReleaseEnv(environment_);
  }

  const OrtApi& api() const { return *api_; }
  const std::string& version() const { return version_; }
  OrtEnv* environment() const { return environment_; }

  OrtValue* view(float* data, std::int64_t count) const {
    OrtValue* value = nullptr;
    check(api_->CreateTensorWithDataAsOrtValue(memory_, data, static_cast<std::size_t>(count) * sizeof(float), &count, 1,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return value;
  }

  void check(OrtStatus* status) const {
    if (status == nullptr) return;
    std::string message = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    throw std::runtime_error("ONNX Runtime: " + message);
  }

 private:
  const OrtApi* api_ = nullptr;
  std::string version_;
  OrtEnv* environment_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
};

// A session of the chain, and views of the caller's arrays: x, a, b, c, d and y.
class OnnxChain {
 public:
  OnnxChain(const OnnxRuntime& runtime, int threads, const std::vector<float*>& arrays, std::int64_t count)
      : runtime_(runtime) {
    OrtSessionOptions* options = nullptr;
    runtime.check(runtime.api().CreateSessionOptions(&options));
    runtime.check(runtime.api().SetIntraOpNumThreads(options, threads));
    std::string model = onnx::chain_model();
    runtime.check(
        runtime.api().CreateSessionFromArray(runtime.environment(), model.data(), model.size(), options, &session_));
    runtime.api().ReleaseSessionOptions(options);
    for (float* array : arrays) values_.push_back(runtime.view(array, count));
  }
  OnnxChain(const OnnxChain&) = delete;
  OnnxChain& operator=(const OnnxChain&) = delete;
  ~OnnxChain() {
    for (OrtValue* value : values_) runtime_.api().ReleaseValue(value);
    runtime_.api().ReleaseSession(session_);
  }

  void run() {
    static constexpr const char* kInputs[] = {"x", "a", "b", "c", "d"};
    static constexpr const char* kOutput[] = {"y"};
    runtime_.check(runtime_.api().Run(session_, nullptr, kInputs, values_.data(), 5, kOutput, 1, &values_[5]));
  }

 private:
  const OnnxRuntime& runtime_;
  OrtSession* session_ = nullptr;
  std::vector<OrtValue*> values_;
};

}  // namespace weir::bench
