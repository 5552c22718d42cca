#include "compiler/lowering/band_calls.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/order_rows.h"
#include "compiler/lowering/own_memory.h"
#include "compiler/lowering/reads_axis.h"
#include "compiler/lowering/schedule.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// A band has a small part of the second cache: what both calls read besides passes through it, too.
constexpr std::int64_t kPartOfCache = 32;
// What the first call reads for each row, as the weights of a convolution, has another part, and so
// it is there again for the next one.
constexpr double kWeightsOfCache = 0.5;
// Rows of all images, at least, with one image where their number is known only at the call: bands
// are what threads share. And bands of the least size.
constexpr double kLeastRows = 32, kLeastBands = 2;
// How often the second call reads an element, at most: a pool does so once, or where windows overlap
// along a row, a few times.
constexpr double kMostReads = 4;

// A row axis of both kernels.
struct SharedAxis {
  std::uint32_t dimension;  // of the buffer
  std::uint32_t reader;     // the second kernel's axis
  std::int64_t stride;
};

// The loads of a parameter.
std::vector<Id> loads_of(const Kernel& kernel, std::uint32_t parameter) {
  std::vector<Id> loads;
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel)))
    if (scalar::is_load(kernel.arena[id].primitive) && kernel.arena[id].payload == parameter)
      loads.push_back(id);
  return loads;
}

// The row axis and stride of an index that is stride * axis + what is less than the stride, and not
// negative.
std::optional<std::pair<std::uint32_t, std::int64_t>> strided_row(const Kernel& kernel, Id index) {
  const Arena& arena = kernel.arena;
  const scalar::Affine affine = scalar::decompose(arena, index);
  std::optional<std::pair<std::uint32_t, std::int64_t>> row;
  std::optional<std::int64_t> most = affine.constant.constant();
  if (!most || *most < 0) return std::nullopt;
  for (const auto& [atom, coefficient] : affine.terms) {
    const std::optional<std::int64_t> step = coefficient.constant();
    if (arena[atom].primitive != Primitive::axis || !step || *step < 1) return std::nullopt;
    const auto axis = static_cast<std::uint32_t>(arena[atom].payload);
    if (axis < kernel.rows.size()) {
      if (row) return std::nullopt;
      row.emplace(axis, *step);
      continue;
    }
    const std::optional<std::int64_t> extent = arena.axis_extent(axis).constant();
    if (!extent || *extent < 1) return std::nullopt;
    most = *most + (*extent - 1) * *step;
  }
  return row && *most < row->second ? row : std::nullopt;
}

// How often a kernel reads each element of a parameter, by estimate.
double reads_of_parameter(const Kernel& kernel, std::uint32_t parameter) {
  double reads = 0;
  for (const Stage& stage : kernel.stages) {
    std::vector<Id> roots;
    if (stage.fold) roots = stage.fold->elements;
    for (const Store& store : stage.stores) roots.push_back(store.value);
    for (Id id : scalar::reachable(kernel.arena, roots))
      if (scalar::is_load(kernel.arena[id].primitive) && kernel.arena[id].payload == parameter) {
        double points = stage.axis ? estimated_size(kernel.arena.axis_extent(*stage.axis)) : 1;
        for (const Dim& row : kernel.rows) points *= estimated_size(row);
        reads += points / estimated_size(element_count(kernel.parameters[parameter].type.shape));
      }
  }
  return reads;
}

// Bytes of what a kernel reads whatever the outermost of its row axes is at.
double bytes_of_weights(const Kernel& kernel) {
  std::vector<bool> counted(kernel.parameters.size());
  double bytes = 0;
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    if (!scalar::is_load(kernel.arena[id].primitive) || counted[kernel.arena[id].payload] ||
        reads_axis(kernel.arena, kernel.arena.load_indices(id), 0))
      continue;
    counted[kernel.arena[id].payload] = true;
    const TensorType& type = kernel.parameters[kernel.arena[id].payload].type;
    bytes += estimated_size(element_count(type.shape)) * byte_size(type.dtype);
  }
  return bytes;
}

// Whether a kernel is one function, whose units are points of its rows alone.
bool is_plain(const Kernel& kernel) {
  return !kernel.across && std::ranges::none_of(kernel.stages, [](const Stage& stage) {
    return stage.fold && !stage.fold->partials.empty();
  });
}

// Whether units are in the order of the outermost row axes, which have so many points in all.
bool has_outermost(const Schedule& schedule, const Dim& points) {
  if (schedule.panel || schedule.streams ||
      std::ranges::any_of(schedule.loads, [](const auto& load) { return load.second.along_rows; }))
    return false;
  std::size_t outside = schedule.rows.size();
  if (schedule.rows_at_once > 1) outside -= static_cast<std::size_t>(schedule.tile_axes);
  Dim product = 1;
  for (std::size_t i = 0; i < outside && product != points; ++i)
    product = product * schedule.rows[i].extent;
  return product == points;
}

class Bander {
 public:
  Bander(Program& program, std::span<const Processor> processors,
         const std::function<std::uint32_t(Kernel)>& number_of)
      : program_(program),
        processors_(processors),
        number_of_(number_of),
        uses_(program.buffers.size()),
        is_checked_(program.calls.size()) {
    for (const KernelCall& call : program.calls)
      for (std::uint32_t buffer : call.buffers) ++uses_[buffer];
    for (const IndexCheck& check : program.checks) {
      ++uses_[check.position], ++uses_[check.index];
      is_checked_[check.call] = true;
    }
    for (const StateEntry& entry : program.state) ++uses_[entry.buffer];
  }

  void run() {
    for (std::uint32_t call = 0; call + 1 < program_.calls.size(); ++call)
      if (band(call)) ++call;
  }

 private:
  // A call with the next one.
  bool band(std::uint32_t call) {
    const KernelCall &first = program_.calls[call], &second = program_.calls[call + 1];
    if (is_checked_[call] || !first.begins.empty() || !second.begins.empty()) return false;
    for (std::uint32_t written = 0; written < first.buffers.size(); ++written) {
      const auto read = std::ranges::find(second.buffers, first.buffers[written]);
      if (read == second.buffers.end()) continue;
      // They have one buffer in common, or have more than bands to do with each other.
      const auto parameter = static_cast<std::uint32_t>(read - second.buffers.begin());
      return is_plain(program_.kernels[first.kernel]) &&
             is_plain(program_.kernels[second.kernel]) &&
             is_between(first, written, second, parameter) && band(call, written, parameter);
    }
    return false;
  }

  // Whether the buffer goes from the one call to the other, and nowhere else, and nothing else that
  // one of the two writes is the other's.
  bool is_between(const KernelCall& first, std::uint32_t written, const KernelCall& second,
                  std::uint32_t read) const {
    const std::uint32_t number = first.buffers[written];
    const Buffer& buffer = program_.buffers[number];
    const Kernel &from = program_.kernels[first.kernel], &to = program_.kernels[second.kernel];
    if (!is_own(buffer) || buffer.scratch || buffer.layout.panel != 0 || uses_[number] != 2 ||
        !from.parameters[written].written || to.parameters[read].written)
      return false;
    auto writes_apart = [&](const KernelCall& one, const Kernel& kernel, const KernelCall& other) {
      for (std::size_t i = 0; i < one.buffers.size(); ++i) {
        if (!kernel.parameters[i].written || one.buffers[i] == number) continue;
        const Buffer& result = program_.buffers[one.buffers[i]];
        if (result.place == Buffer::Place::state ||
            std::ranges::count(other.buffers, one.buffers[i]) != 0)
          return false;
      }
      return true;
    };
    return writes_apart(first, from, second) && writes_apart(second, to, first);
  }

  // The outermost row axes of the first kernel that both have.
  std::vector<SharedAxis> shared_axes(const Kernel& from, std::uint32_t written, const Kernel& to,
                                      std::uint32_t read) const {
    const Store* store = nullptr;
    for (const Stage& stage : from.stages) {
      for (const Store& each : stage.stores) {
        if (each.parameter != written) continue;
        if (store && store->indices != each.indices) return {};
        store = &each;
      }
    }
    const std::vector<Id> loads = loads_of(to, read);
    if (!store || loads.empty() || !loads_of(from, written).empty()) return {};
    const Shape& shape = from.parameters[written].type.shape;
    std::vector<SharedAxis> shared;
    for (std::uint32_t axis = 0; axis + 1 < from.rows.size(); ++axis) {
      if (from.rows[axis] == Dim(1)) continue;
      std::uint32_t dimension = 0;
      while (dimension < shape.size() && !is_axis(from.arena, store->indices[dimension], axis))
        ++dimension;
      if (dimension == shape.size() || shape[dimension] != from.rows[axis]) break;
      std::optional<SharedAxis> found = reader_of(to, loads, dimension);
      if (!found || std::ranges::count(shared, found->reader, &SharedAxis::reader) != 0) break;
      // An image has all of its rows in both.
      const bool is_whole = found->stride == 1 && to.rows[found->reader] == from.rows[axis];
      shared.push_back(*found);
      if (!is_whole) break;
    }
    return shared;
  }

  // What all loads have in a dimension.
  static std::optional<SharedAxis> reader_of(const Kernel& to, const std::vector<Id>& loads,
                                             std::uint32_t dimension) {
    std::optional<SharedAxis> found;
    for (Id load : loads) {
      const auto row = strided_row(to, to.arena.load_indices(load)[dimension]);
      if (!row || row->first + 1 == to.rows.size()) return std::nullopt;
      if (found && (found->reader != row->first || found->stride != row->second))
        return std::nullopt;
      found = {dimension, row->first, row->second};
    }
    return found;
  }

  bool band(std::uint32_t call, std::uint32_t written, std::uint32_t read) {
    const Kernel &from = program_.kernels[program_.calls[call].kernel],
                 &to = program_.kernels[program_.calls[call + 1].kernel];
    if (reads_of_parameter(to, read) > kMostReads) return false;
    std::vector<SharedAxis> shared = shared_axes(from, written, to, read);
    for (; !shared.empty(); shared.pop_back())
      if (band(call, written, read, shared)) return true;
    return false;
  }

  // With these axes.
  bool band(std::uint32_t call, std::uint32_t written, std::uint32_t read,
            const std::vector<SharedAxis>& shared) {
    KernelCall &first = program_.calls[call], &second = program_.calls[call + 1];
    const std::uint32_t number = first.buffers[written];
    Buffer& buffer = program_.buffers[number];
    Kernel from = program_.kernels[first.kernel], to = program_.kernels[second.kernel];
    const SharedAxis& last = shared.back();
    Bands bands{call,
                number,
                1,
                to.rows[last.reader],
                buffer.type.shape[last.dimension],
                last.stride,
                byte_size(buffer.type.dtype),
                0};
    // Rows that no window reads are not computed, which whoever reads other results would miss.
    const auto results = std::ranges::count(from.parameters, true, &KernelParameter::written);
    if (results != 1 && bands.rows * Dim(bands.stride) != bands.source_rows) return false;
    for (const SharedAxis& axis : shared)
      if (&axis != &last) bands.images = bands.images * to.rows[axis.reader];
    const std::vector<std::uint32_t> order = dimensions_in_order(buffer.type.shape, shared);
    for (std::uint32_t dimension = 0; dimension < order.size(); ++dimension)
      if (std::ranges::count(shared, dimension, &SharedAxis::dimension) == 0)
        bands.source_bytes = bands.source_bytes * buffer.type.shape[dimension];
    const std::int64_t cache =
        std::ranges::min_element(processors_, {}, [](const Processor& processor) {
          return processor.core.second.bytes;
        })->core.second.bytes;
    if (!pays(bands) || bytes_of_weights(from) > kWeightsOfCache * static_cast<double>(cache))
      return false;
    if (!std::ranges::is_sorted(order)) {
      std::vector<std::vector<std::uint32_t>> of_writer(from.parameters.size()),
          of_reader(to.parameters.size());
      of_writer[written] = of_reader[read] = order;
      reorder_dimensions(from, of_writer);
      reorder_dimensions(to, of_reader);
    }
    std::vector<std::uint32_t> rows = rows_in_order(to, shared);
    if (!std::ranges::is_sorted(rows)) reorder_rows(to, rows);
    for (const Processor& processor : processors_)
      if (!has_outermost(make_schedule(from, processor), bands.images * bands.source_rows) ||
          !has_outermost(make_schedule(to, processor), bands.images * bands.rows))
        return false;
    bands.bytes = cache / kPartOfCache;
    move_dimensions(buffer, order);
    buffer.place = Buffer::Place::band;
    buffer.index = static_cast<std::uint32_t>(program_.bands.size());
    set_kernel(first, std::move(from));
    set_kernel(second, std::move(to));
    program_.bands.push_back(std::move(bands));
    return true;
  }

  // Its symbols may come in another order.
  void set_kernel(KernelCall& call, Kernel kernel) {
    call.dims.clear();
    for (const std::string& symbol : kernel_symbols(kernel))
      call.dims.push_back(Dim::symbol(symbol));
    call.kernel = number_of_(std::move(kernel));
  }

  static bool pays(const Bands& bands) {
    const double rows = estimated_size(bands.images, 1) * estimated_size(bands.rows);
    return rows >= kLeastRows &&
           rows * estimated_size(bands.source_bytes) * static_cast<double>(bands.stride) >=
               kLeastBands * kLeastBandBytes;
  }

  // The dimensions of shared axes, outermost but for those before them that are 1.
  static std::vector<std::uint32_t> dimensions_in_order(const Shape& shape,
                                                        const std::vector<SharedAxis>& shared) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < shape.size() && shape[i] == Dim(1); ++i) order.push_back(i);
    for (const SharedAxis& axis : shared) order.push_back(axis.dimension);
    for (std::uint32_t i = 0; i < shape.size(); ++i)
      if (std::ranges::count(order, i) == 0) order.push_back(i);
    return order;
  }

  static std::vector<std::uint32_t> rows_in_order(const Kernel& kernel,
                                                  const std::vector<SharedAxis>& shared) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < kernel.rows.size() && kernel.rows[i] == Dim(1); ++i)
      order.push_back(i);
    for (const SharedAxis& axis : shared) order.push_back(axis.reader);
    for (std::uint32_t i = 0; i < kernel.rows.size(); ++i)
      if (std::ranges::count(order, i) == 0) order.push_back(i);
    return order;
  }

  static void move_dimensions(Buffer& buffer, const std::vector<std::uint32_t>& order) {
    if (std::ranges::is_sorted(order)) return;
    const Shape before = buffer.type.shape;
    const std::vector<std::uint32_t> of_value = buffer.layout.order;
    buffer.layout.order = order;
    for (std::size_t i = 0; i < order.size(); ++i) {
      buffer.type.shape[i] = before[order[i]];
      if (!of_value.empty()) buffer.layout.order[i] = of_value[order[i]];
    }
  }

  Program& program_;
  std::span<const Processor> processors_;
  const std::function<std::uint32_t(Kernel)>& number_of_;
  std::vector<int> uses_;         // by buffer
  std::vector<bool> is_checked_;  // by call
};

std::int64_t value_of(const Dim& dim, const Dim::Bindings& bindings) {
  return std::max<std::int64_t>(dim.evaluate(bindings).value_or(0), 0);
}

}  // namespace

void band_calls(Program& program, std::span<const Processor> processors,
                const std::function<std::uint32_t(Kernel)>& number_of) {
  Bander(program, processors, number_of).run();
}

std::int64_t rows_of_band(const Bands& bands, const Dim::Bindings& bindings) {
  const std::int64_t row =
      std::max<std::int64_t>(value_of(bands.source_bytes, bindings) * bands.stride, 1);
  const std::int64_t rows = value_of(bands.rows, bindings),
                     all = value_of(bands.images, bindings) * rows;
  const std::int64_t wanted = std::max(all / kSharedBands, kLeastBandBytes / row);
  return std::max<std::int64_t>(std::min({wanted, bands.bytes / row, rows}), 1);
}

std::uint64_t bytes_of_band(const Bands& bands, const Dim::Bindings& bindings) {
  return aligned(static_cast<std::uint64_t>(rows_of_band(bands, bindings) * bands.stride *
                                            value_of(bands.source_bytes, bindings)));
}

}  // namespace weir
