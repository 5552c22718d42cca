#include "compiler/lowering/read_frames.h"

#include <algorithm>
#include <utility>

#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Makes the kernel read such parameters, which have a frame from now on, behind so many zeros in each dimension.
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

bool has_long_run(const TensorType& type, const std::vector<std::int64_t>& low) {
  return low.back() == 0 && type.shape.back().constant().value_or(0) >= kLeastRun;
}

}  // namespace

void read_frames(Program& program, std::span<const FramedCopy> copies,
                 const std::function<std::uint32_t(Kernel)>& number_of) {
  for (const FramedCopy& copy : copies) {
    const Buffer& framed = program.buffers[copy.copy];
    if (program.buffers[copy.source].place != Buffer::Place::workspace ||
        !has_long_run(framed.type, copy.low))
      continue;
    const std::vector<std::uint32_t> users = calls_with(program, copy.source);
    if (users.back() <= copy.call || users.back() > calls_with(program, copy.copy).back()) continue;
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
  }
}

}  // namespace weir
