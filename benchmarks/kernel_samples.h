// In which kernels a training step passes its time, from samples: a timer interrupts the thread
// that runs it a thousand times a second, and the function that it is in is noted. So every kernel
// is met where it stands in the step, with the caches as the others have left them, and what a
// contraction loses by itself counts as its own.
//
// The step is compiled once more, into one object file, whose symbols say where each kernel is.
// What is neither in it nor in a function of a kernel, such as the checks of a call, is outside
// contractions.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compiler/make_executable.h"
#include "compiler/pipeline.h"
#include "compiler/trainer.h"

#if defined(__linux__) && defined(__x86_64__)
#include <elf.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#define WEIR_SAMPLES_KERNELS
#endif

namespace weir::bench {

// The sum of products over an axis, with all that is done where the sums are: panels, activation,
// update.
inline bool is_contraction(const Kernel& kernel) {
  for (const Stage& stage : kernel.stages)
    if (stage.fold && stage.fold->name.starts_with("dot")) return true;
  return false;
}

#ifdef WEIR_SAMPLES_KERNELS

// A function of a loaded object.
struct LoadedFunction {
  std::string name;
  std::uint64_t begin = 0, end = 0;  // within its section
};

// The functions of an ELF file with one section of code.
inline std::vector<LoadedFunction> functions_of(const std::string& object) {
  auto read = [&]<class T>(T, std::uint64_t at) {
    T value;
    if (at + sizeof value > object.size()) throw Error("an object file that ends early");
    std::memcpy(&value, object.data() + at, sizeof value);
    return value;
  };
  const auto header = read(Elf64_Ehdr(), 0);
  auto section = [&](std::uint64_t number) {
    return read(Elf64_Shdr(), header.e_shoff + number * header.e_shentsize);
  };
  std::vector<LoadedFunction> functions;
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr symbols = section(i);
    if (symbols.sh_type != SHT_SYMTAB) continue;
    const Elf64_Shdr names = section(symbols.sh_link);
    for (std::uint64_t at = 0; at < symbols.sh_size; at += symbols.sh_entsize) {
      const auto symbol = read(Elf64_Sym(), symbols.sh_offset + at);
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
        functions.push_back({object.data() + names.sh_offset + symbol.st_name, symbol.st_value,
                             symbol.st_value + symbol.st_size});
    }
  }
  return functions;
}

// Where this thread was, a thousand times a second, while this lives.
class ThreadSamples {
 public:
  ThreadSamples() {
    count_ = 0;
    struct sigaction action{};
    action.sa_sigaction = note;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGPROF, &action, &before_);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) throw Error("there is no timer");
    const itimerspec every{{0, 997'000}, {0, 997'000}};
    timer_settime(timer_, 0, &every, nullptr);
  }
  ~ThreadSamples() {
    timer_delete(timer_);
    sigaction(SIGPROF, &before_, nullptr);
  }
  ThreadSamples(const ThreadSamples&) = delete;
  ThreadSamples& operator=(const ThreadSamples&) = delete;

  static std::span<const std::uint64_t> addresses() {
    return {addresses_.data(), std::min(count_.load(), addresses_.size())};
  }

 private:
  static void note(int, siginfo_t*, void* context) {
    const std::size_t at = count_++;
    if (at < addresses_.size())
      addresses_[at] = static_cast<std::uint64_t>(
          static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  }

  static inline std::array<std::uint64_t, 1 << 16> addresses_;
  static inline std::atomic<std::size_t> count_;
  timer_t timer_{};
  struct sigaction before_{};
};

// The share of a step's time on one thread that passes outside contractions, from so many seconds
// of it.
inline std::optional<double> share_outside_contractions(const Trainer& trainer,
                                                        const Weights& weights,
                                                        std::span<const Tensor> inputs, double rate,
                                                        double seconds) {
  CompileOptions options;
  options.orders_state = true;  // as Trainer has it
  const Program program = lower_graph(trainer.step_graph(), options);
  ObjectCode object = compile_object(program, resolve_target({}));
  const std::vector<LoadedFunction> functions = functions_of(object.bytes);
  std::vector<LoadedFunction> contractions;
  for (std::size_t i = 0; i < program.kernels.size(); ++i)
    if (is_contraction(program.kernels[i]))
      for (const LoadedFunction& function : functions)
        if (function.name.starts_with("k" + std::to_string(i) + "_"))
          contractions.push_back(function);
  std::uint64_t entry = 0;
  for (const LoadedFunction& function : functions)
    if (function.name == object.program_symbol) entry = function.begin;
  Weights all = trainer.read_state();
  all.insert(weights.begin(), weights.end());
  const Executable step = make_executable(
      program, LoadedCode({{object.bytes}, object.program_symbol, object.workspace_symbol}), all);
  const auto base = reinterpret_cast<std::uint64_t>(step.program()) - entry;

  std::vector<Tensor> given(inputs.begin(), inputs.end());
  given.emplace_back(step.inputs().back().type.dtype, Tensor::Sizes{});
  given.back().set_bits(0, scalar::bits_of(given.back().dtype(), rate));
  std::vector<Tensor> outputs = step.outputs_in_place(given);
  const std::size_t bytes =
      (step.state_bytes() + WEIR_ALIGNMENT - 1) / WEIR_ALIGNMENT * WEIR_ALIGNMENT;
  const std::unique_ptr<void, decltype(&std::free)> state(std::aligned_alloc(WEIR_ALIGNMENT, bytes),
                                                          std::free);
  void* block = state.get();
  step.write_initial_state(block);
  auto run = [&] { step.run_in_place(given, outputs, block); };
  for (int i = 0; i < 3; ++i) run();
  {
    ThreadSamples samples;
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < end) run();
  }
  std::size_t outside = 0;
  const std::span<const std::uint64_t> addresses = ThreadSamples::addresses();
  for (std::uint64_t address : addresses)
    outside += std::ranges::none_of(contractions, [&](const LoadedFunction& one) {
      return base + one.begin <= address && address < base + one.end;
    });
  if (addresses.empty()) return std::nullopt;
  return static_cast<double>(outside) / static_cast<double>(addresses.size());
}

#else

inline std::optional<double> share_outside_contractions(const Trainer&, const Weights&,
                                                        std::span<const Tensor>, double, double) {
  return std::nullopt;
}

#endif

}  // namespace weir::bench
