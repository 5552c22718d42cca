// Every struct is taken apart by name, so that one with a new member does not compile until
// somebody decides whether code depends on it.
#include "compiler/cache/program_key.h"

#include <iterator>

#include <fmt/format.h>

namespace weir {
namespace {

class Writer {
 public:
  void number(std::uint64_t value) { fmt::format_to(std::back_inserter(text_), "{} ", value); }
  void number(std::int64_t value) { fmt::format_to(std::back_inserter(text_), "{} ", value); }
  void text(std::string_view value) {
    fmt::format_to(std::back_inserter(text_), "{}:{} ", value.size(), value);
  }
  // How many follow.
  template <class Items>
  void count(const Items& items) {
    number(std::uint64_t{items.size()});
  }
  void type(const TensorType& value) { text(to_string(value)); }
  void dim(const Dim& value) { text(value.to_string()); }
  void size(const SlotSize& value) {
    const auto& [dividend, divisor, extra] = value;
    dim(dividend);
    number(divisor);
    dim(extra);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void put(Writer& writer, const Kernel& kernel) {
  writer.text(kernel.name);
  writer.text(structure_key(kernel));
}

void put(Writer& writer, const KernelCall& call) {
  const auto& [kernel, buffers, begins, dims, description, nodes, values] = call;
  writer.number(std::uint64_t{kernel});
  writer.count(buffers);
  for (std::uint32_t buffer : buffers) writer.number(std::uint64_t{buffer});
  writer.count(begins);
  for (const Dim& begin : begins) writer.dim(begin);
  writer.count(dims);
  for (const Dim& dim : dims) writer.dim(dim);
}

void put(Writer& writer, const Bands& bands) {
  const auto& [call, buffer, images, rows, source_rows, stride, source_bytes, bytes] = bands;
  writer.number(std::uint64_t{call});
  writer.number(std::uint64_t{buffer});
  for (const Dim& dim : {images, rows, source_rows, source_bytes}) writer.dim(dim);
  writer.number(stride);
  writer.number(bytes);
}

void put(Writer& writer, const Buffer& buffer) {
  const auto& [name, type, place, index, offset, scratch, layout] =
      buffer;  // the type is that of the layout
  writer.type(type);
  writer.number(static_cast<std::uint64_t>(place));
  writer.number(std::uint64_t{index});
  writer.number(offset);
  writer.number(std::uint64_t{scratch.has_value()});
  if (scratch) writer.size(*scratch);
}

void put(Writer& writer, const IndexCheck& check) {
  const auto& [call, position, index, from_end, sizes, op, location] = check;
  writer.number(std::uint64_t{call});
  writer.number(std::uint64_t{position});
  writer.number(std::uint64_t{index});
}

void put(Writer& writer, const SizeCheck& check) {
  const auto& [need, op, location] = check;
  writer.dim(need.size);
}

void put(Writer& writer, const SlotEnd& end) {
  const auto& [slot, size] = end;
  writer.number(std::uint64_t{slot});
  writer.size(size);
}

template <class Items>
void put_all(Writer& writer, const Items& items) {
  writer.count(items);
  for (const auto& item : items) put(writer, item);
}

void put(Writer& writer, const WorkspaceSlot& slot) {
  const auto& [behind] = slot;
  put_all(writer, behind);
}

void put(Writer& writer, const Cache& cache) {
  const auto& [bytes, ways] = cache;
  writer.number(bytes);
  writer.number(ways);
}

}  // namespace

std::string core_key(const Core& core) {
  const auto& [first, second, fma_ports, fma_cycles, fma_bytes, past_caches, asks_ahead] = core;
  Writer writer;
  put(writer, first);
  put(writer, second);
  for (int value : {fma_ports, fma_cycles, fma_bytes, static_cast<int>(past_caches)})
    writer.number(std::int64_t{value});
  writer.number(asks_ahead);
  return writer.take();
}

std::string program_key(const Program& program) {
  // What `weights` and `state` say of the blocks' layouts stands in the buffers' offsets.
  const auto& [name, symbols, kernels, calls, bands, checks, size_checks, buffers, slots, workspace,
               weights, weight_bytes, state, state_bytes, inputs, outputs, outputs_leave] = program;
  Writer writer;
  writer.text(name);
  writer.count(symbols);
  for (const std::string& symbol : symbols) writer.text(symbol);
  put_all(writer, kernels);
  put_all(writer, calls);
  put_all(writer, bands);
  put_all(writer, checks);
  put_all(writer, size_checks);
  put_all(writer, buffers);
  put_all(writer, slots);
  put_all(writer, workspace);
  writer.number(weight_bytes);
  writer.number(state_bytes);
  for (const auto* signature : {&inputs, &outputs}) {
    writer.count(*signature);
    for (const auto& [value, type] : *signature) writer.type(type);
  }
  writer.number(std::uint64_t{outputs_leave});
  return writer.take();
}

}  // namespace weir
