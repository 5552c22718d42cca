// Checkpoints: whole at every moment, and what goes on from one has the bits of what never stopped.
#include "compiler/training/checkpoint.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/initialize.h"
#include "tests/support/graphs.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using test::error_of;
using testing::HasSubstr;

constexpr std::int64_t kRows = 40, kValidated = 8;

Trainer make_trainer() {
  Model model{with_loss(test::parse(R"(graph @g(%x: f32[N, 3]) -> (f32[N, 4]) {
  param %w: f32[4, 3]
  param %b: f32[4]
  %y = linear(%x, %w, %b)
  return %y
})"),
                        {.op = "cross_entropy"}),
              {}};
  initialize(model, {"he"}, 4);
  return Trainer(std::move(model), {"adam"}, {.outputs = {"y"}});
}

DataSet make_set(std::int64_t rows) {
  test::Generator generator(3);
  DataSet set{test::random_tensor(DType::f32, {rows, 3}, generator), Tensor(DType::i64, {rows})};
  for (std::int64_t i = 0; i < rows; ++i)
    set.targets.set_bits(i, scalar::bits_of(DType::i64, static_cast<double>(i % 4)));
  return set;
}

FitOptions make_options() {
  FitOptions options;
  options.epochs = 1000;
  options.batch = 16;  // two of them and a smaller one in an epoch
  options.seed = 6;
  options.rate.base = 0.01;
  options.rate.shape = RateSchedule::Shape::cosine;
  options.rate.steps = 3000;
  return options;
}

// All of a training, but its duration.
std::string text_of(const Trainer& trainer, const FitState& fit) {
  std::string text = fmt::format("{} {} {} {} {} {}", fit.epochs, fit.rows, fit.loss,
                                 fit.right.value_or(-1), fit.steps, fit.best_epoch);
  auto add = [&](const Weights& tensors) {
    for (const auto& [name, value] : tensors) text += name + std::string(bytes_of(value));
  };
  add(trainer.read_state());
  add(fit.best);
  for (const EpochReport& report : fit.reports)
    text += fmt::format(" {} {} {} {} {} {}", report.step, report.rows, report.rate,
                        report.training.loss, *report.training.accuracy, report.validation->loss);
  return fingerprint(text);
}

std::ptrdiff_t names_in(const std::string& folder) {
  std::filesystem::directory_iterator names(folder);
  return std::distance(names, {});
}

struct Training {
  Trainer& trainer;
  const DataSet& set;
  const DataSet& validation;

  Fit start() const { return Fit(trainer, set, &validation, make_options()); }
  Fit resumed(const Checkpoint& checkpoint) const {
    Fit fit = start();
    trainer.write_state(checkpoint.state);
    fit.resume(checkpoint.fit);
    return fit;
  }
};

// Trains from the checkpoint on, if there is one, with a new checkpoint after every step, of which
// the pipe tells.
void train_on(const Training& training, const std::string& path, int pipe) {
  CheckpointFolder folder(path);
  Fit fit = folder.holds_one() ? training.resumed(folder.read()) : training.start();
  while (!fit.done()) {
    fit.step();
    folder.write({{{"seed", "6"}}, training.trainer.read_state(), fit.state()});
    if (::write(pipe, "", 1) != 1) ::_exit(2);
  }
}

// A process that trains, and is killed: at first at any moment, or else when it has written a
// checkpoint and goes on to the next ones.
void train_and_kill(const Training& training, const std::string& path, bool at_first,
                    useconds_t microseconds) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    try {
      train_on(training, path, pipe[1]);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    ::_exit(1);
  }
  ::close(pipe[1]);
  char told = 0;
  bool is_told = at_first || ::read(pipe[0], &told, 1) == 1;
  EXPECT_TRUE(is_told);
  ::usleep(microseconds);
  ::kill(child, SIGKILL);
  ::close(pipe[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the process ended by itself";
}

// A process that trains is killed two hundred times, at any moment. After each time the checkpoint
// is one of the states that a training which is never killed goes through, and none goes back.
TEST(Checkpoint, SurvivesBeingKilled) {
  constexpr int kKills = 200;
  test::TemporaryFolder temporary;
  std::string path = temporary.path("checkpoints");
  DataSet set = make_set(kRows), validation = make_set(kValidated);
  Trainer trainer = make_trainer(), uninterrupted = make_trainer();
  Training training{trainer, set, validation};
  Fit reference(uninterrupted, set, &validation, make_options());
  std::mt19937_64 random(1);
  int gone_on = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    train_and_kill(training, path, kill % 2 == 0, static_cast<useconds_t>(random() % 2000));
    if (HasFatalFailure()) return;
    CheckpointFolder folder(path);
    if (!folder.holds_one()) continue;
    Checkpoint checkpoint = folder.read();
    Fit fit = training.resumed(checkpoint);
    ASSERT_GE(fit.state().steps, reference.state().steps);
    if (fit.state().steps > reference.state().steps) ++gone_on;
    while (reference.state().steps < fit.state().steps) reference.step();
    ASSERT_EQ(text_of(trainer, fit.state()), text_of(uninterrupted, reference.state()))
        << "after step " << fit.state().steps;
  }
  EXPECT_GE(gone_on, kKills / 2);
  // Nothing else is left in the folder.
  CheckpointFolder folder(path);
  EXPECT_EQ(names_in(path), 1);
}

// Where a write fails - here a limit for the size of files stands for a full disk - the checkpoint
// of before is there, and nothing half written.
TEST(Checkpoint, SurvivesAFullDisk) {
  test::TemporaryFolder temporary;
  DataSet set = make_set(kRows), validation = make_set(kValidated);
  Trainer trainer = make_trainer();
  Training training{trainer, set, validation};
  CheckpointFolder folder(temporary.path("checkpoints"));
  Fit fit = training.start();
  fit.step();
  folder.write({{}, trainer.read_state(), fit.state()});
  std::string before = text_of(trainer, fit.state()), content = read_file(folder.file());
  fit.step();
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  for (rlim_t bytes : {rlim_t{0}, rlim_t{100}, rlim_t{content.size() - 1}}) {
    rlimit full{bytes, limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    std::string message = error_of([&] { folder.write({{}, trainer.read_state(), fit.state()}); });
    ::setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_THAT(message, HasSubstr("checkpoint.safetensors: error: the file cannot be written"));
    EXPECT_EQ(read_file(folder.file()), content);
    EXPECT_EQ(names_in(temporary.path("checkpoints")), 1);
  }
  std::signal(SIGXFSZ, old_handler);
  Fit resumed = training.resumed(folder.read());
  EXPECT_EQ(text_of(trainer, resumed.state()), before);
}

// Whatever byte has become another one, the file is refused, or holds what was written: spaces
// between header and data are no part of it, and without its name nobody asks for the checksum.
TEST(Checkpoint, IsRefusedWhereAByteIsAnother) {
  test::TemporaryFolder temporary;
  DataSet set = make_set(kRows), validation = make_set(kValidated);
  Trainer trainer = make_trainer();
  Training training{trainer, set, validation};
  CheckpointFolder folder(temporary.path("checkpoints"));
  Fit fit = training.start();
  for (int i = 0; i < 4; ++i) fit.step();
  const Checkpoint::Settings settings{{"seed", "6"}};
  folder.write({settings, trainer.read_state(), fit.state()});
  const std::string content = read_file(folder.file()), before = text_of(trainer, fit.state());
  std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
  auto put = [&](std::size_t place, char byte) {
    file.seekp(static_cast<std::streamoff>(place));
    file.put(byte).flush();
  };
  std::size_t damaged = 0;
  for (std::size_t i = 0; i < content.size(); ++i) {
    put(i, static_cast<char>(content[i] ^ 1));
    Checkpoint checkpoint;
    const std::string message = error_of([&] { checkpoint = folder.read(); });
    put(i, content[i]);
    if (message.find("checkpoint.safetensors: error: the checkpoint is damaged") != message.npos)
      ++damaged;
    if (message != "no error") continue;
    EXPECT_EQ(checkpoint.settings, settings) << "byte " << i;
    EXPECT_EQ(text_of(trainer, training.resumed(checkpoint).state()), before) << "byte " << i;
  }
  Weights tensors = read_tensors(folder.file());
  std::size_t bytes = 0;
  for (const auto& [name, value] : tensors) bytes += value.byte_count();
  EXPECT_GE(damaged, bytes);

  // One that was written without a checksum is believed.
  EXPECT_EQ(tensors.erase("checksum"), 1);
  write_tensors(folder.file(), tensors);
  EXPECT_EQ(text_of(trainer, training.resumed(folder.read()).state()), before);
}

// Where validation fails, all batches of the epoch are trained. What goes on from there validates
// first, and ends where a training does that never failed.
TEST(Checkpoint, ClosesTheEpochWhoseValidationFailed) {
  test::TemporaryFolder temporary;
  DataSet set = make_set(kRows), validation = make_set(kValidated);
  Trainer trainer = make_trainer(), uninterrupted = make_trainer();
  Fit reference(uninterrupted, set, &validation, make_options());
  for (int i = 0; i < 3; ++i) reference.step();
  Training training{trainer, set, validation};
  Fit fit = training.start();
  fit.step();
  fit.step();
  DataSet good = validation;
  validation.data = Tensor(DType::f32, {kValidated, 5});
  EXPECT_THAT(error_of([&] { fit.step(); }), HasSubstr("f32[8, 5]"));
  EXPECT_THAT(error_of([&] { training.start(); }), HasSubstr("f32[8, 5]"));
  EXPECT_EQ(fit.state().rows, kRows);
  CheckpointFolder folder(temporary.path("checkpoints"));
  folder.write({{}, trainer.read_state(), fit.state()});
  validation = good;
  Fit resumed = training.resumed(folder.read());
  resumed.step();
  EXPECT_EQ(text_of(trainer, resumed.state()), text_of(uninterrupted, reference.state()));
}

TEST(Checkpoint, IsUsedByOneProcess) {
  test::TemporaryFolder temporary;
  CheckpointFolder first(temporary.path("new/folder"));
  EXPECT_FALSE(first.holds_one());
  EXPECT_THAT(error_of([&] { CheckpointFolder(temporary.path("new/folder")); }),
              HasSubstr("another process trains with this folder"));
  EXPECT_THAT(error_of([&] { CheckpointFolder("/dev/null/folder"); }),
              HasSubstr("the folder for checkpoints cannot be made: "));
}

// Outputs and logs may lie in the folder, and be written just now. A process that is no more may
// have had the number of this one.
TEST(Checkpoint, LeavesWhatAProcessThatLivesIsWriting) {
  test::TemporaryFolder temporary;
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  std::vector<std::string> kept{fmt::format(".weir-{}-7.tmp", ::getppid()), ".weir-.tmp",
                                fmt::format(".weir-{}.tmp", child),
                                fmt::format("weir-{}-7.tmp", child)};
  std::vector<std::string> all = kept;
  all.push_back(fmt::format(".weir-{}-7.tmp", child));
  for (int i = 0; i < 20; ++i) all.push_back(fmt::format(".weir-{}-{}.tmp", ::getpid(), i));
  for (const std::string& name : all) write_file(temporary.path(name), {"half"});
  CheckpointFolder folder(temporary.path(""));
  EXPECT_THAT(temporary.names(), testing::UnorderedElementsAreArray(kept));
}

// What is told of settings that differ is what the user can set right: the optimizer before what
// follows from it, and of its numbers those that are other ones.
TEST(Checkpoint, SaysWhichSettingIsAnotherOne) {
  auto told = [](const Checkpoint::Settings& saved, const Checkpoint::Settings& now) {
    return error_of([&] { check_settings(saved, now, "c.safetensors"); });
  };
  const Checkpoint::Settings adam{{"--learning-rate", "0.001"},
                                  {"--optimizer", "adam beta1=0.9 beta2=0.999 clip_norm=0"}};
  EXPECT_THAT(told(adam, {{"--learning-rate", "0.01"}, {"--optimizer", "sgd clip_norm=0"}}),
              HasSubstr("made with --optimizer adam, and it is sgd now"));
  EXPECT_THAT(
      told(adam, {{"--learning-rate", "0.01"},
                  {"--optimizer", "adam beta1=0.8 beta2=0.999 clip_norm=1"}}),
      HasSubstr("made with --optimizer adam with beta1=0.9 clip_norm=0, and it is adam with "
                "beta1=0.8 clip_norm=1 now"));
  EXPECT_THAT(told({}, {{"--contract", "given"}}),
              HasSubstr("made with --contract left out, and it is given now"));
  EXPECT_THAT(told({{"--contract", "given"}}, {}),
              HasSubstr("made with --contract given, and it is left out now"));

  // With the fingerprint of the rows at --validation only these count.
  const Checkpoint::Settings rows{{"--validation", "4f00000000000001"}};
  auto given = [](std::string print) {
    return Checkpoint::Settings{{"--validation", "0.2"},
                                {"the rows of --validation", std::move(print)}};
  };
  EXPECT_EQ(told(rows, given("4f00000000000001")), "no error");
  EXPECT_THAT(told(rows, given("4f00000000000002")),
              HasSubstr("the rows of --validation: not what the checkpoint was made with "
                        "(fingerprint 4f00000000000001, and now 4f00000000000002)"));
  EXPECT_THAT(told(rows, {{"--validation", "left out"}}),
              HasSubstr("made with --validation 4f00000000000001, and it is left out now"));
  EXPECT_THAT(told({{"--validation", "left out"}}, given("4f00000000000001")),
              HasSubstr("made with --validation left out, and it is 0.2 now"));
}

TEST(Checkpoint, IsRefusedWhereItDoesNotFit) {
  test::TemporaryFolder temporary;
  DataSet set = make_set(kRows), validation = make_set(kValidated);
  Trainer trainer = make_trainer();
  Training training{trainer, set, validation};
  Fit fit = training.start();
  for (int i = 0; i < 4; ++i) fit.step();
  CheckpointFolder folder(temporary.path("checkpoints"));
  Checkpoint checkpoint{{{"--batch", "16"}, {"--seed", "6"}}, trainer.read_state(), fit.state()};
  folder.write(checkpoint);
  EXPECT_EQ(folder.read().settings, checkpoint.settings);
  auto settings_error = [&](const Checkpoint::Settings& now) {
    return error_of([&] { check_settings(checkpoint.settings, now, "c.safetensors"); });
  };
  check_settings(checkpoint.settings, checkpoint.settings, "c.safetensors");
  EXPECT_THAT(settings_error({{"--batch", "8"}, {"--seed", "6"}}),
              HasSubstr("c.safetensors: error: the checkpoint was made with --batch 16, and it is "
                        "8 now"));
  EXPECT_THAT(settings_error({{"--batch", "16"}}), HasSubstr("made with --seed 6, and it is"));

  auto place_error = [&](auto change) {
    FitState state = fit.state();
    change(state);
    return error_of([&] { training.start().resume(std::move(state)); });
  };
  EXPECT_EQ(place_error([](FitState&) {}), "no error");
  for (const std::string& message :
       {place_error([](FitState& state) { state.rows = 40; }),
        place_error([](FitState& state) { state.rows = 8; }),
        place_error([](FitState& state) { state.steps = 5; }),
        place_error([](FitState& state) { state.best.erase("w"); }),
        place_error([](FitState& state) { state.best_epoch = 2; }),
        place_error([](FitState& state) { state.reports.clear(); }),
        place_error([](FitState& state) { state.reports[0].validation.reset(); })})
    EXPECT_THAT(message, HasSubstr("this is no place in a training of these rows"));

  auto file_error = [&](const std::string& content) {
    write_file(folder.file(), {content});
    return error_of([&] { folder.read(); });
  };
  EXPECT_THAT(file_error("text"), HasSubstr("checkpoint.safetensors"));
  std::string content = read_file(WEIR_SOURCE_DIR "/examples/digits/digits.safetensors");
  EXPECT_THAT(file_error(content), HasSubstr("this is not a checkpoint: it has no fit.counts"));
}

}  // namespace
}  // namespace weir
