#include "compiler/lowering/read_frames.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/estimated_size.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Makes the kernel read such parameters, which have a frame from now on, behind so many zeros in
// each dimension.
void read_behind(Kernel& kernel, const std::vector<bool>& framed,
                 const std::vector<std::int64_t>& low) {
  std::vector<Id> memo;
  std::function<Id(const Arena&, Id, Arena&)> leaf = [&](const Arena& from, Id id,
                                                         Arena& into) -> Id {
    const scalar::Node& node = from[id];
    if (!scalar::is_load(node.primitive) || !framed[node.payload]) return {};
    auto copied = [&](Id part) {
      return scalar::rebuild(from, part, into, memo,
                             [&](Id inner) { return leaf(from, inner, into); });
    };
    std::vector<Id> indices;
    for (std::size_t i = 0; i < low.size(); ++i) {
      Id index = copied(from.load_indices(id)[i]);
      if (low[i] != 0)
        index =
            scalar::simplify_index(into, into.make(Primitive::add, {index, into.index(low[i])}));
      indices.push_back(index);
    }
    const auto parameter = static_cast<std::uint32_t>(node.payload);
    if (node.primitive == Primitive::load) return into.load(parameter, node.type, indices);
    return into.load_if(parameter, copied(from.operand(id, 0)), copied(from.operand(id, 1)),
                        indices);
  };
  rewrite(kernel, leaf);
}

// The calls that use a buffer.
std::vector<std::uint32_t> calls_with(const Program& program, std::uint32_t buffer) {
  std::vector<std::uint32_t> calls;
  for (std::uint32_t call = 0; call < program.calls.size(); ++call)
    if (std::ranges::count(program.calls[call].buffers, buffer) != 0) calls.push_back(call);
  return calls;
}

// Makes the kernel store a parameter, which has a frame from now on, behind so many zeros in each
// dimension. False, and nothing is changed, if it reads what it stores, or sums it across its rows.
bool store_behind(Kernel& kernel, std::uint32_t parameter, const TensorType& framed,
                  const std::vector<std::int64_t>& low) {
  if (kernel.across) return false;
  std::vector<Id> roots;
  for (const Stage& stage : kernel.stages) {
    if (stage.fold)
      roots.insert(roots.end(), stage.fold->elements.begin(), stage.fold->elements.end());
    for (const Store& store : stage.stores) {
      roots.push_back(store.value);
      roots.insert(roots.end(), store.indices.begin(), store.indices.end());
    }
  }
  for (Id id : scalar::reachable(kernel.arena, roots))
    if (scalar::is_load(kernel.arena[id].primitive) && kernel.arena[id].payload == parameter)
      return false;
  for (Stage& stage : kernel.stages) {
    for (Store& store : stage.stores) {
      if (store.parameter != parameter) continue;
      for (std::size_t i = 0; i < low.size(); ++i)
        if (low[i] != 0)
          store.indices[i] = scalar::simplify_index(
              kernel.arena,
              kernel.arena.make(Primitive::add, {store.indices[i], kernel.arena.index(low[i])}));
    }
  }
  kernel.parameters[parameter].type = framed;
  return true;
}

bool has_long_run(const TensorType& type, const std::vector<std::int64_t>& low) {
  return low.back() == 0 && type.shape.back().constant().value_or(0) >= kLeastRun;
}

// Whether the frame is at most an eighth of what it stands around: to keep it longer costs memory.
bool is_little_larger(const Buffer& framed, const Buffer& source) {
  auto elements = [](const Buffer& buffer) {
    return estimated_size(element_count(buffer.type.shape), 1);
  };
  return 8 * elements(framed) <= 9 * elements(source);
}

// Whether a call folds what it reads of a buffer: its steps are one run of memory as a rule, which a
// frame interrupts.
bool folds(const Program& program, const KernelCall& call, std::uint32_t buffer) {
  const Kernel& kernel = program.kernels[call.kernel];
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    for (Id id : scalar::reachable(kernel.arena, stage.fold->elements))
      if (scalar::is_load(kernel.arena[id].primitive) &&
          call.buffers[kernel.arena[id].payload] == buffer)
        return true;
  }
  return false;
}

// The kernel that computes what is copied, if it can store it in the copy, and nothing reads it
// before it is copied.
std::optional<Kernel> storing_in_copy(const Program& program, const FramedCopy& copy,
                                      const std::vector<std::uint32_t>& users) {
  if (users.size() < 2 || users[1] != copy.call) return std::nullopt;
  const KernelCall& writer = program.calls[users[0]];
  const auto parameter = std::ranges::find(writer.buffers, copy.source) - writer.buffers.begin();
  Kernel kernel = program.kernels[writer.kernel];
  if (!kernel.parameters[static_cast<std::size_t>(parameter)].written ||
      std::ranges::count(writer.buffers, copy.source) != 1 ||
      !store_behind(kernel, static_cast<std::uint32_t>(parameter), program.buffers[copy.copy].type,
                    copy.low))
    return std::nullopt;
  return kernel;
}

}  // namespace

void read_frames(Program& program, std::span<const FramedCopy> copies,
                 const std::function<std::uint32_t(Kernel)>& number_of) {
  std::vector<bool> is_gone(program.calls.size());
  for (const FramedCopy& copy : copies) {
    const Buffer& framed = program.buffers[copy.copy];
    if (program.buffers[copy.source].place != Buffer::Place::workspace ||
        !has_long_run(framed.type, copy.low))
      continue;
    const std::vector<std::uint32_t> users = calls_with(program, copy.source);
    if (users.empty()) continue;
    std::optional<Kernel> writer = storing_in_copy(program, copy, users);
    const std::uint32_t last = calls_with(program, copy.copy).back();
    const std::span<const std::uint32_t> later(std::ranges::upper_bound(users, last), users.end());
    if (!later.empty() && (!writer || !is_little_larger(framed, program.buffers[copy.source]) ||
                           std::ranges::any_of(later, [&](std::uint32_t user) {
                             return folds(program, program.calls[user], copy.source);
                           })))
      continue;
    for (std::uint32_t user : users) {
      if (user <= copy.call) continue;
      KernelCall& call = program.calls[user];
      Kernel kernel = program.kernels[call.kernel];
      std::vector<bool> reads(kernel.parameters.size());
      for (std::size_t i = 0; i < reads.size(); ++i) {
        if (call.buffers[i] != copy.source) continue;
        reads[i] = true;
        call.buffers[i] = copy.copy;
        kernel.parameters[i].type = framed.type;
      }
      read_behind(kernel, reads, copy.low);
      call.kernel = number_of(std::move(kernel));
    }
    if (!writer) continue;
    KernelCall& call = program.calls[users[0]];
    std::ranges::replace(call.buffers, copy.source, copy.copy);
    call.kernel = number_of(*std::move(writer));
    is_gone[copy.call] = true;
  }
  std::vector<KernelCall> calls;
  std::vector<std::uint32_t> place;
  for (std::size_t i = 0; i < is_gone.size(); ++i) {
    place.push_back(static_cast<std::uint32_t>(calls.size()));
    if (!is_gone[i]) calls.push_back(std::move(program.calls[i]));
  }
  program.calls = std::move(calls);
  for (IndexCheck& check : program.checks) check.call = place[check.call];
}

}  // namespace weir
