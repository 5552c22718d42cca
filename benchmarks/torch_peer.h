// PyTorch in a process of its own, a script of benchmarks/ that does what it is told line by line,
// so that it takes turns with ours: eager training steps (training_peer.py), and gradients of
// layers (gradient_peer.py).
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "ir/diagnostic.h"

extern char** environ;

namespace weir::bench {

class TorchPeer {
 public:
  // Runs a script with an argument. Error if there is no PyTorch: WEIR_PYTHON names an interpreter
  // that has it, python3 of the system if it names none.
  TorchPeer(const std::string& name, const std::string& argument) : TorchPeer() {
    const char* python = std::getenv("WEIR_PYTHON");
    std::string interpreter = python != nullptr ? python : "/usr/bin/python3";
    std::string script = WEIR_SOURCE_DIR "/benchmarks/" + name, where = argument;
    char* arguments[] = {interpreter.data(), script.data(), where.data(), nullptr};
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw Error("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    int failure =
        ::posix_spawn(&process_, interpreter.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    commands_ = ::fdopen(to[1], "w");
    answers_ = ::fdopen(from[0], "r");
    if (failure != 0) {
      process_ = 0;
      throw Error(fmt::format("{} does not start", interpreter));
    }
    version_ = answer();
  }
  ~TorchPeer() {
    if (commands_ != nullptr) std::fclose(commands_);  // which ends it
    if (answers_ != nullptr) std::fclose(answers_);
    if (process_ != 0) ::waitpid(process_, nullptr, 0);
  }
  TorchPeer(const TorchPeer&) = delete;
  TorchPeer& operator=(const TorchPeer&) = delete;

  const std::string& version() const { return version_; }
  // A command of the script, and its answer.
  double ask(const std::string& command) {
    std::fprintf(commands_, "%s\n", command.c_str());
    std::fflush(commands_);
    return std::stod(answer());
  }

 private:
  // What the other constructor stands on, so that the destructor tidies up where that one throws.
  TorchPeer() = default;

  std::string answer() {
    std::string line;
    for (int c = std::fgetc(answers_); c != '\n'; c = std::fgetc(answers_)) {
      if (c == EOF) throw Error("PyTorch's process ended");
      line += static_cast<char>(c);
    }
    return line;
  }

  pid_t process_ = 0;
  std::FILE* commands_ = nullptr;
  std::FILE* answers_ = nullptr;
  std::string version_;
};

}  // namespace weir::bench
