#include "compiler/drawing/graphviz.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <deque>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir {
namespace {

[[noreturn]] void refuse() {
  const char* reason = dlerror();
  throw Error(fmt::format(
      "SVG needs Graphviz's library ({}); install Debian's libgvc6, or write DOT text instead, "
      "which needs nothing",
      reason == nullptr ? "an unknown fault" : reason));
}

void* open_library(const std::string& name) {
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) refuse();
  return library;
}

void* find_symbol(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) refuse();
  return symbol;
}

template <class Function>
void find_function(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(find_symbol(library, name));
}

Graphviz open_graphviz() {
  Graphviz functions{};
  void* library = open_library(std::string("libgvc") + WEIR_GVC_VERSION);
  find_function(library, "gvContextPlugins", functions.new_context);
  find_function(library, "gvFreeContext", functions.free_context);
  find_function(library, "gvLayout", functions.layout);
  find_function(library, "gvFreeLayout", functions.free_layout);
  find_function(library, "gvRenderData", functions.render);
  find_function(library, "gvFreeRenderData", functions.free_render);
  find_function(library, "agread", functions.read);
  find_function(library, "agnnodes", functions.node_count);
  find_function(library, "agclose", functions.close);
  find_function(library, "agseterrf", functions.set_error_function);
  std::array<char, PATH_MAX> folder{};
  if (dlinfo(library, RTLD_DI_ORIGIN, folder.data()) != 0) refuse();
  constexpr std::array<std::array<const char*, 2>, 2> kPlugins{
      {{"libgvplugin_core", "gvplugin_core_LTX_library"},
       {"libgvplugin_dot_layout", "gvplugin_dot_layout_LTX_library"}}};
  for (std::size_t i = 0; i < kPlugins.size(); ++i) {
    auto [file, symbol] = kPlugins[i];
    void* plugin =
        open_library(fmt::format("{}/graphviz/{}{}", folder.data(), file, WEIR_GVC_PLUGIN_VERSION));
    functions.plugins[i] = {symbol, find_symbol(plugin, symbol)};
  }
  return functions;
}

// Numbers for the names in a graph, in the order in which they come; odd ones for what has no name.
struct Names {
  std::unordered_map<std::string_view, IDTYPE> numbers;
  std::deque<std::string> names;
  IDTYPE nameless = 1;
};

void* open_names(Agraph_t*, Agdisc_t*) { return new Names; }

void close_names(void* state) { delete static_cast<Names*>(state); }

long number_of_name(void* state, int, char* name, IDTYPE* number, int create) {
  auto& known = *static_cast<Names*>(state);
  if (name == nullptr) {
    *number = known.nameless;
    known.nameless += 2;
    return 1;
  }
  auto found = known.numbers.find(name);
  if (found == known.numbers.end()) {
    if (create == 0) return 0;
    known.names.emplace_back(name);
    found = known.numbers.emplace(known.names.back(), 2 * known.names.size()).first;
  }
  *number = found->second;
  return 1;
}

char* name_of_number(void* state, int, IDTYPE number) {
  auto& known = *static_cast<Names*>(state);
  return number % 2 == 0 && number != 0 ? known.names[number / 2 - 1].data() : nullptr;
}

int read_text(void* channel, char* buffer, int size) {
  auto& text = *static_cast<std::string_view*>(channel);
  std::size_t length = std::min(text.size(), static_cast<std::size_t>(size));
  std::memcpy(buffer, text.data(), length);
  text.remove_prefix(length);
  return static_cast<int>(length);
}

}  // namespace

const Graphviz& graphviz() {
  static const Graphviz functions = open_graphviz();
  return functions;
}

GraphvizGraph read_graph(const std::string& dot) {
  // A graph refers to its disciplines as long as it lives.
  static Agiddisc_t names{
      .open = open_names,
      .map = number_of_name,
      .alloc = [](void*, int, IDTYPE) { return 0L; },
      .free = [](void*, int, IDTYPE) {},
      .print = name_of_number,
      .close = close_names,
      .idregister = [](void*, int, void*) {},
  };
  static Agiodisc_t reading{.afread = read_text, .putstr = nullptr, .flush = nullptr};
  static Agdisc_t disciplines{.mem = nullptr, .id = &names, .io = &reading};
  std::string_view text = dot;
  return {graphviz().read(&text, &disciplines), graphviz().close};
}

}  // namespace weir
