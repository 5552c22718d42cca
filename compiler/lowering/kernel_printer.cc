// Kernels and programs as text:
//
//   kernel @leaky_relu(%x: f32[N, 4]) -> (%y: f32[N, 4]) {
//     for i0 < N, i1 < 4 {
//       %y[i0, i1] = select(%x[i0, i1] > 0.0, %x[i0, i1], 0.01 * %x[i0, i1])
//     }
//   }

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/lowering/band_calls.h"
#include "compiler/lowering/program.h"
#include "ir/escape.h"
#include "ir/scalar/print.h"
#include "runtime/abi.h"

namespace weir {
namespace {

using scalar::Id;

using TakenNames = std::unordered_set<std::string>;

// Names as they are printed, each once: what has no name is called by its number, and what comes
// second by a name gets another, which nothing else has.
std::vector<std::string> distinct_names(const std::vector<std::string>& given, TakenNames taken) {
  taken.insert(given.begin(), given.end());
  TakenNames used;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < given.size(); ++i) {
    std::string name = given[i];
    if (name.empty() || !used.insert(name).second) {
      if (name.empty()) name = fmt::format("b{}", i);
      while (!taken.insert(name).second) name += "_";
      used.insert(name);
    }
    names.push_back(value_name(name));
  }
  return names;
}

bool is_partial(const Kernel& kernel, std::size_t parameter) {
  for (const Stage& stage : kernel.stages)
    if (stage.fold && std::count(stage.fold->partials.begin(), stage.fold->partials.end(),
                                 static_cast<std::uint32_t>(parameter)))
      return true;
  return false;
}

class KernelPrinter {
 public:
  // `taken` are names of what the kernel does not have.
  KernelPrinter(const Kernel& kernel, const std::string& name, const TakenNames& taken)
      : kernel_(kernel) {
    std::vector<std::string> given;
    for (const KernelParameter& parameter : kernel.parameters) given.push_back(parameter.name);
    names_ = distinct_names(given, taken);
    leaves_.axis = [](std::uint32_t axis) { return fmt::format("i{}", axis); };
    leaves_.buffer = [this](std::uint32_t buffer) { return names_[buffer]; };
    leaves_.local = [this](std::uint32_t local) { return local_name(local); };
    print_header(name.empty() ? kernel.name : name);
    print_body();
  }

  std::string take() { return std::move(text_); }

 private:
  std::string local_name(std::uint32_t local) const {
    for (const Stage& stage : kernel_.stages) {
      if (!stage.fold) continue;
      for (std::uint32_t own : stage.fold->locals)
        if (own == local) return fmt::format("{}{}", stage.fold->name, local);
    }
    return fmt::format("local{}", local);
  }

  void line(const std::string& content) {
    text_.append(static_cast<std::size_t>(indent_) * 2, ' ');
    text_ += content + "\n";
  }

  void print_header(const std::string& name) {
    std::string in, out;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const KernelParameter& parameter = kernel_.parameters[i];
      if (is_partial(kernel_, i)) continue;
      std::string& list = parameter.written ? out : in;
      list +=
          fmt::format("{}{}: {}", list.empty() ? "" : ", ", names_[i], to_string(parameter.type));
    }
    line(fmt::format("kernel @{}({}) -> ({}) {{", name, in, out));
    ++indent_;
  }

  void print_body() {
    std::string rows;
    for (std::size_t i = 0; i < kernel_.rows.size(); ++i)
      rows += fmt::format("{}i{} < {}", i == 0 ? "" : ", ", i, kernel_.rows[i].to_string());
    if (!rows.empty()) {
      line(fmt::format("for {} {{", rows));
      ++indent_;
    }
    for (const Stage& stage : kernel_.stages) print_stage(stage);
    if (kernel_.across)
      for (const RowFolds::Sum& sum : kernel_.across->sums) print_sum(sum);
    while (indent_ > 0) {
      --indent_;
      line("}");
    }
  }

  void print_stage(const Stage& stage) {
    std::string axis;
    auto add_axis = [&](std::uint32_t number) {
      axis += fmt::format("{}i{} < {}", axis.empty() ? "" : ", ", number,
                          kernel_.arena.axis_extent(number).to_string());
    };
    for (std::uint32_t digit : stage.digits) add_axis(digit);
    if (stage.axis && axis.empty()) add_axis(*stage.axis);
    if (stage.fold) {
      print_fold(*stage.fold, axis);
      return;
    }
    if (!axis.empty()) {
      line(fmt::format("for {} {{", axis));
      ++indent_;
    }
    std::vector<Id> roots;
    for (const Store& store : stage.stores) {
      roots.push_back(store.value);
      roots.insert(roots.end(), store.indices.begin(), store.indices.end());
    }
    scalar::Listing listing = scalar::list(kernel_.arena, roots, leaves_);
    for (const std::string& definition : listing.definitions) line(definition);
    std::size_t next = 0;
    for (const Store& store : stage.stores) {
      std::string value = listing.roots[next++];
      std::string indices;
      for (std::size_t i = 0; i < store.indices.size(); ++i)
        indices += (i == 0 ? "" : ", ") + listing.roots[next++];
      line(fmt::format("{}[{}] = {}", names_[store.parameter], indices, value));
    }
    if (!axis.empty()) {
      --indent_;
      line("}");
    }
  }

  void print_fold(const Fold& fold, const std::string& axis) {
    std::string results;
    for (std::uint32_t local : fold.locals)
      results += (results.empty() ? "" : ", ") + local_name(local);
    scalar::Listing listing = scalar::list(kernel_.arena, fold.elements, leaves_);
    std::string order = fold.order == Reduction::Order::lanes ? "lanes" : "chain";
    std::string head =
        fmt::format("{} = {} over {} in {} of {}", results, fold.name, axis, order, fold.chunk);
    if (!fold.partials.empty()) head += ", chunks in parallel";
    std::string elements = fmt::format("{}", fmt::join(listing.roots, ", "));
    line(head + " {");
    ++indent_;
    for (const std::string& definition : listing.definitions) line(definition);
    line(elements);
    if (fold.frame) print_frame(*fold.frame);
    --indent_;
    line("}");
  }

  void print_frame(const FrameSteps& frame) {
    const scalar::Listing listing =
        scalar::list(kernel_.arena, std::vector<Id>{frame.inside, frame.sum}, leaves_);
    for (const std::string& definition : listing.definitions) line(definition);
    line(fmt::format("together {} unless {}", listing.roots[1], listing.roots[0]));
  }

  void print_sum(const RowFolds::Sum& sum) {
    const scalar::Listing listing = scalar::list(kernel_.arena, sum.fold.elements, leaves_);
    // Names of the element's parts are its own.
    const scalar::Listing place = scalar::list(kernel_.arena, sum.indices, leaves_);
    for (const std::string& definition : place.definitions) line(definition);
    const RowFolds& across = *kernel_.across;
    const std::string order = across.lanes == 1 ? "chain" : fmt::format("{} chains", across.lanes);
    line(fmt::format("{}[{}] = {} across i{} in {} of {} {{", names_[sum.parameter],
                     fmt::join(place.roots, ", "), sum.fold.name, across.axis, order,
                     across.chunk / across.lanes));
    ++indent_;
    for (const std::string& definition : listing.definitions) line(definition);
    line(listing.roots[0]);
    --indent_;
    line("}");
  }

  const Kernel& kernel_;
  std::vector<std::string> names_;
  scalar::Names leaves_;
  std::string text_;
  int indent_ = 0;
};

std::string layout_text(const MemoryLayout& layout) {
  if (layout.order.empty()) return {};
  return fmt::format(", dimensions {}{}", fmt::join(layout.order, " "),
                     layout.panel == 0 ? "" : fmt::format(" in panels of {}", layout.panel));
}

std::string place_text(const Buffer& buffer, bool used) {
  switch (buffer.place) {
    case Buffer::Place::input:
      return fmt::format("input {}", buffer.index);
    case Buffer::Place::output:
      return fmt::format("output {}", buffer.index);
    case Buffer::Place::weights:
      return used ? fmt::format("weights + {}", buffer.offset) : "weights, not read";
    case Buffer::Place::state:
      return fmt::format("state + {}{}", buffer.offset, layout_text(buffer.layout));
    case Buffer::Place::band:
      return fmt::format("a band at a time{}", layout_text(buffer.layout));
    case Buffer::Place::workspace:
      return used ? fmt::format("workspace slot {}{}", buffer.index, layout_text(buffer.layout))
                  : "not stored";
  }
  return {};
}

std::string size_text(const SlotSize& size) {
  if (size.divisor == 1) return (size.dividend + size.extra).to_string();
  return fmt::format("ceil({}, {}) + {}", size.dividend.to_string(), size.divisor,
                     size.extra.to_string());
}

std::string largest_text(const std::vector<SlotEnd>& ends) {
  std::vector<std::string> texts;
  for (const auto& [slot, size] : ends)
    texts.push_back(slot == 0 ? size_text(size)
                              : fmt::format("slot {} + {}", slot, size_text(size)));
  if (texts.empty()) return "0";
  return texts.size() == 1 ? texts[0] : fmt::format("max({})", fmt::join(texts, ", "));
}

// How many rows of the second call a band has, of an image's, or what decides it at the call.
std::string bands_text(const Bands& bands) {
  const Dim row = bands.source_bytes * Dim(bands.stride);
  if (row.is_constant() && bands.rows.is_constant() && bands.images.is_constant())
    return fmt::format("in bands of {} of {} rows", rows_of_band(bands, {}), bands.rows.value());
  return fmt::format("in bands of up to {} bytes, of {} rows of {}", bands.bytes,
                     bands.rows.to_string(), row.to_string());
}

// The buffers of a call in the order of the kernel's header: what is read, what is written, and at
// last what it keeps between its chunks, which the header leaves out.
std::vector<std::string> arguments_of(const KernelCall& call, const Kernel& kernel,
                                      const std::vector<std::string>& names) {
  std::vector<std::string> read, written, kept;
  for (std::size_t i = 0; i < call.buffers.size(); ++i) {
    std::vector<std::string>& list = is_partial(kernel, i)          ? kept
                                     : kernel.parameters[i].written ? written
                                                                    : read;
    list.push_back(names[call.buffers[i]]);
    if (!call.begins.empty() && call.begins[i] != Dim(0))
      list.back() += fmt::format(" + {}", call.begins[i].to_string());
  }
  read.insert(read.end(), written.begin(), written.end());
  read.insert(read.end(), kept.begin(), kept.end());
  return read;
}

}  // namespace

std::string print(const Kernel& kernel, const std::string& name) {
  return KernelPrinter(kernel, name, {}).take();
}

std::string print(const Program& program) {
  std::string text;
  std::vector<std::string> given;
  for (const Buffer& buffer : program.buffers) given.push_back(buffer.name);
  const TakenNames taken(given.begin(), given.end());
  for (std::size_t i = 0; i < program.kernels.size(); ++i) {
    const Kernel& kernel = program.kernels[i];
    text += KernelPrinter(kernel, fmt::format("k{}_{}", i, kernel.name), taken).take() + "\n";
  }
  text += fmt::format("program {} {{\n", graph_name(program.name));
  std::vector<bool> used(program.buffers.size());
  const std::vector<std::string> names = distinct_names(given, {});
  for (const KernelCall& call : program.calls)
    for (std::uint32_t buffer : call.buffers) used[buffer] = true;
  for (std::size_t i = 0; i < program.buffers.size(); ++i)
    text += fmt::format("  {:<16} {:<20} {}\n", names[i],
                        program.buffers[i].scratch ? "scratch" : to_string(program.buffers[i].type),
                        place_text(program.buffers[i], used[i]));
  for (std::size_t i = 0; i < program.slots.size(); ++i) {
    text += fmt::format("  {:<16} behind {}\n", fmt::format("slot {}", i),
                        largest_text(program.slots[i].behind));
  }
  if (!program.workspace.empty())
    text += fmt::format("  {:<16} {} bytes\n", "workspace", largest_text(program.workspace));
  auto bands = program.bands.begin();
  std::size_t in_bands = 0;  // calls that follow
  for (const KernelCall& call : program.calls) {
    const Kernel& kernel = program.kernels[call.kernel];
    const auto number = static_cast<std::size_t>(&call - program.calls.data());
    if (bands != program.bands.end() && bands->call == number) {
      text += fmt::format("  {} {{\n", bands_text(*bands++));
      in_bands = 2;
    }
    text += fmt::format("  {}run @k{}_{}({})\n", in_bands > 0 ? "  " : "", call.kernel, kernel.name,
                        fmt::join(arguments_of(call, kernel, names), ", "));
    if (in_bands > 0 && --in_bands == 0) text += "  }\n";
    for (const IndexCheck& check : program.checks)
      if (check.call == number) text += fmt::format("  end if {} is set\n", names[check.position]);
  }
  return text + "}\n";
}

}  // namespace weir
