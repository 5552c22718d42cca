#include "compiler/lowering/place_updates.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "compiler/lowering/memory_plan.h"

namespace weir {
namespace {

using CallNumber = std::uint32_t;

// What has to run before what.
class CallOrder {
 public:
  explicit CallOrder(const Program& program)
      : program_(program),
        readers_(program.buffers.size()),
        followers_(program.calls.size()),
        has_start_(program.buffers.size()) {
    std::vector<CallNumber> writer(program.buffers.size(), kNone);
    for (CallNumber call = 0; call < program.calls.size(); ++call) {
      each_parameter(call, [&](std::uint32_t buffer, bool written) {
        if (written) {
          // What is written in steps has been given its start by a call before.
          has_start_[buffer] = writer[buffer] != kNone;
          if (has_start_[buffer]) followers_[writer[buffer]].push_back(call);
          writer[buffer] = call;
        } else {
          readers_[buffer].push_back(call);
        }
      });
    }
    // A check stays before all that came after it.
    for (const IndexCheck& check : program.checks)
      for (CallNumber call = check.call + 1; call < program.calls.size(); ++call)
        followers_[check.call].push_back(call);
    for (std::size_t buffer = 0; buffer < readers_.size(); ++buffer)
      for (CallNumber reader : readers_[buffer])
        if (writer[buffer] != kNone) followers_[writer[buffer]].push_back(reader);
    writer_ = std::move(writer);
  }

  // Lets the writer of the next value come behind all other readers of the param and behind all
  // checks. False, and nothing is changed, if one of them needs what it writes, or if it cannot
  // overwrite what it reads.
  bool place(const Update& update) {
    CallNumber writer = writer_[update.next];
    WEIR_CHECK(writer != kNone);
    if (has_start_[update.next]) return false;
    if (!overwrites(writer, update)) return false;
    std::vector<CallNumber> others;
    for (CallNumber reader : readers_[update.param])
      if (reader != writer) others.push_back(reader);
    for (const IndexCheck& check : program_.checks) others.push_back(check.call);
    std::vector<bool> needs = reachable_from(writer);
    for (CallNumber other : others)
      if (needs[other]) return false;
    for (CallNumber other : others) followers_[other].push_back(writer);
    return true;
  }

  // The calls in an order that keeps to all of it: always the first one that may run.
  std::vector<CallNumber> sorted() const {
    std::vector<std::size_t> waits_for(followers_.size());
    for (const auto& followers : followers_)
      for (CallNumber call : followers) ++waits_for[call];
    std::priority_queue<CallNumber, std::vector<CallNumber>, std::greater<>> ready;
    for (CallNumber call = 0; call < waits_for.size(); ++call)
      if (waits_for[call] == 0) ready.push(call);
    std::vector<CallNumber> order;
    while (!ready.empty()) {
      CallNumber call = ready.top();
      ready.pop();
      order.push_back(call);
      for (CallNumber follower : followers_[call])
        if (--waits_for[follower] == 0) ready.push(follower);
    }
    WEIR_CHECK(order.size() == followers_.size(), "calls that wait for each other");
    return order;
  }

 private:
  static constexpr CallNumber kNone = UINT32_MAX;

  template <class Visit>
  void each_parameter(CallNumber call, Visit visit) const {
    const KernelCall& now = program_.calls[call];
    const Kernel& kernel = program_.kernels[now.kernel];
    for (std::size_t i = 0; i < now.buffers.size(); ++i)
      visit(now.buffers[i], kernel.parameters[i].written);
  }

  bool overwrites(CallNumber writer, const Update& update) const {
    const KernelCall& call = program_.calls[writer];
    const Kernel& kernel = program_.kernels[call.kernel];
    auto at = std::find(call.buffers.begin(), call.buffers.end(), update.next);
    auto target = static_cast<std::uint32_t>(at - call.buffers.begin());
    for (std::uint32_t i = 0; i < call.buffers.size(); ++i)
      if (call.buffers[i] == update.param && !can_overwrite(kernel, i, target)) return false;
    return true;
  }

  std::vector<bool> reachable_from(CallNumber call) const {
    std::vector<bool> reached(followers_.size());
    std::vector<CallNumber> open{call};
    while (!open.empty()) {
      CallNumber next = open.back();
      open.pop_back();
      for (CallNumber follower : followers_[next]) {
        if (!reached[follower]) open.push_back(follower);
        reached[follower] = true;
      }
    }
    return reached;
  }

  const Program& program_;
  std::vector<std::vector<CallNumber>> readers_;    // by buffer
  std::vector<std::vector<CallNumber>> followers_;  // by call: what runs after it
  std::vector<CallNumber> writer_;                  // by buffer: the last
  std::vector<bool> has_start_;                     // by buffer: whether there is one before that
};

}  // namespace

std::vector<Update> place_updates(Program& program, std::span<const Update> updates) {
  std::vector<Update> left;
  if (updates.empty()) return left;
  CallOrder order(program);
  for (const Update& update : updates) {
    if (!order.place(update)) {
      left.push_back(update);
      continue;
    }
    Buffer& next = program.buffers[update.next];
    next.place = Buffer::Place::state;
    next.offset = program.buffers[update.param].offset;
  }
  std::vector<KernelCall> calls;
  std::vector<CallNumber> place(program.calls.size());
  for (CallNumber call : order.sorted()) {
    place[call] = static_cast<CallNumber>(calls.size());
    calls.push_back(std::move(program.calls[call]));
  }
  for (IndexCheck& check : program.checks) check.call = place[check.call];
  program.calls = std::move(calls);
  return left;
}

}  // namespace weir
