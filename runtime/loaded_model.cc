// Models from shared objects, for C: nothing passes but null and a reason.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/model_file.h"
#include "runtime/weir_runtime.h"

struct weir_loaded_model {
  void* library;
  const weir_model_info* info;
};

namespace {

// The model, or null with `fault` saying why.
weir_loaded_model* open_model(const char* path, std::string& fault) {
  if (path == nullptr) {
    fault = "there is no path";
    return nullptr;
  }
  fault = weir::fault_of_model_file(path);
  if (!fault.empty()) return nullptr;
  // A name without a slash would be looked for in the system's folders.
  std::string place = std::strchr(path, '/') == nullptr ? std::string("./") + path : path;
  void* library = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fault = ::dlerror();
    return nullptr;
  }
  const auto* info = static_cast<const weir_model_info*>(::dlsym(library, "weir_model"));
  if (info == nullptr || !weir::is_known_abi(info->abi_version)) {
    fault = "the model has no description; it is damaged";
  } else if (info->check_cpu() != WEIR_OK) {
    fault = std::string(
                "the model is compiled for a processor with instructions that this one lacks: ") +
            info->cpu;
  } else {
    return new weir_loaded_model{library, info};
  }
  ::dlclose(library);
  return nullptr;
}

}  // namespace

weir_loaded_model* weir_model_open(const char* path, char* reason, size_t reason_bytes) {
  std::string fault;
  weir_loaded_model* model = nullptr;
  try {
    model = open_model(path, fault);
  } catch (...) {
    fault = "there is not enough memory";
  }
  if (reason != nullptr && reason_bytes > 0) {
    size_t length = std::min(fault.size(), reason_bytes - 1);
    std::memcpy(reason, fault.data(), length);
    reason[length] = '\0';
  }
  return model;
}

void weir_model_close(weir_loaded_model* model) {
  if (model == nullptr) return;
  ::dlclose(model->library);
  delete model;
}

const weir_model_info* weir_model_describe(const weir_loaded_model* model) {
  return model == nullptr ? nullptr : model->info;
}

const weir_program_info* weir_model_program(const weir_loaded_model* model, const char* name) {
  if (model == nullptr || name == nullptr) return nullptr;
  for (int i = 0; i < model->info->programs; ++i)
    if (std::strcmp(model->info->program[i].name, name) == 0) return &model->info->program[i];
  return nullptr;
}
