// The parser of the text form: recursive descent over the lexer's tokens, one function a rule of
// the grammar in docs/text-form.md. Statements become nodes as they are read, so an operand that is
// not defined yet is an error at once, and types are inferred on the way.

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "ir/escape.h"
#include "ir/lexer.h"
#include "ir/literal.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace weir {
namespace {

using text::describe;
using text::Lexer;
using text::Token;
using text::TokenKind;

// A gradient op of a gradient op grows with every step; beyond this the name is taken for an error.
constexpr std::size_t kMaximumGradientOrder = 4;

std::size_t gradient_order(std::string_view name) {
  std::size_t order = 0;
  for (std::size_t at = name.find(".grad"); at != std::string_view::npos;
       at = name.find(".grad", at + 1))
    ++order;
  return order;
}

class GraphParser {
 public:
  GraphParser(Lexer& lexer, std::unordered_map<std::string_view, const OpDef*>& ops)
      : lexer_(lexer), ops_(ops) {}

  // graph @name(%x: type, ...) -> (type, ...) { statements return ... }
  Graph parse() {
    lexer_.expect("graph", "'graph'");
    graph_ = Graph(lexer_.expect(TokenKind::graph_name, "the name of the graph, as @main").name());
    parse_inputs();
    parse_result_types();
    lexer_.expect("{", "'{' and the statements of the graph");
    while (!lexer_.peek().is("return")) {
      if (lexer_.take_if("param")) {
        parse_declaration(true);
      } else if (lexer_.peek().kind == TokenKind::value_name) {
        parse_node();
      } else if (is_section()) {
        parse_section();
      } else {
        lexer_.fail_expected("a statement (%y = op(%x), param %w: type, gradient:, or return)");
      }
    }
    parse_return();
    lexer_.expect("}", "'}' at the end of the graph");
    check_graph(graph_);
    return std::move(graph_);
  }

 private:
  void parse_inputs() {
    lexer_.expect("(", "'(' and the inputs");
    if (lexer_.take_if(")")) return;
    do parse_declaration(false);
    while (lexer_.take_if(","));
    lexer_.expect(")", "',' or ')' after an input");
  }

  // %x: f32[N, 64], of an input or a param
  void parse_declaration(bool param) {
    std::string_view kind = param ? "a param" : "an input";
    Token token = lexer_.expect(
        TokenKind::value_name, param ? "the name of a param, as %w" : "an input, as %x: f32[N, 4]");
    if (token.is_numbered())
      lexer_.fail(token, fmt::format("{} needs a name, and {} only numbers a value; write {}", kind,
                                     token.text, value_name(token.name())));
    require_new(token);
    if (!lexer_.take_if(":"))
      lexer_.fail_expected(fmt::format("':' and the type of {}", describe(token)));
    TensorType type = text::parse_type(lexer_);
    if (param) {
      ValueId id = graph_.add_param(token.name(), std::move(type), lexer_.location(token));
      if (lexer_.take_if("=")) parse_initializer(id);
    } else {
      graph_.add_input(token.name(), std::move(type), lexer_.location(token));
    }
  }

  // he {negative_slope = 0.05}
  void parse_initializer(ValueId param) {
    Token name = lexer_.expect(TokenKind::identifier, "an initializer, as zeros");
    try {
      const InitializerDef& definition = find_initializer(name.text);
      Attributes attributes = parse_attributes(definition.name, definition.attributes);
      graph_.set_initializer(param, {definition.name, std::move(attributes)});
    } catch (const Error& error) {
      if (error.diagnostic().location.known()) throw;
      lexer_.fail(name, error.diagnostic().message);
    }
  }

  void parse_result_types() {
    if (!lexer_.peek().is("->")) return;
    arrow_ = lexer_.take();
    lexer_.expect("(", "'(' and the types of the results");
    if (lexer_.take_if(")")) return;
    do {
      Token token = lexer_.peek();
      declared_.push_back({token, text::parse_type(lexer_)});
    } while (lexer_.take_if(","));
    lexer_.expect(")", "',' or ')' after a type");
  }

  static bool names_section(const Token& token) {
    return std::ranges::any_of(kMarks, [&](std::string_view mark) {
      return token.is(mark.substr(0, mark.size() - kMarkEnd.size()));
    });
  }

  bool is_section() const { return lexer_.peek().is(kForward) || names_section(lexer_.peek()); }

  // gradient: or gradient of gradient:, of the nodes that follow
  void parse_section() {
    marks_.clear();
    if (!lexer_.take_if(kForward)) {
      int count = 0;
      do {
        if (!names_section(lexer_.peek()))
          lexer_.fail_expected("gradient, update or recomputation");
        if (++count > kMostMarks)
          lexer_.fail(lexer_.peek(), fmt::format("a section has at most {} marks", kMostMarks));
        std::string mark = fmt::format("{}{}", lexer_.take().text, kMarkEnd);
        marks_ = marks_.empty() ? mark : marked(marks_, mark);
      } while (lexer_.take_if("of"));
    }
    lexer_.expect(":", "':' after the name of a section");
  }

  // %y, %z = op(%x) {attribute = value}
  void parse_node() {
    std::vector<Token> results;
    do {
      results.push_back(lexer_.expect(TokenKind::value_name, "the name of a result"));
      require_new(results.back());
    } while (lexer_.take_if(","));
    if (results.size() > 1) require_distinct(results);
    if (!lexer_.take_if("="))
      lexer_.fail_expected(fmt::format("'=' after {}", describe(results.back())));
    Token name = lexer_.expect(TokenKind::identifier, "the name of an op");
    const OpDef& op = find_op_at(name);
    defining_ = &results;
    std::vector<ValueId> operands = parse_operands();
    defining_ = nullptr;
    Attributes attributes = parse_attributes(op.name, op.attributes);
    add_node(op, name, results, std::move(operands), std::move(attributes));
  }

  void add_node(const OpDef& op, const Token& name, const std::vector<Token>& results,
                std::vector<ValueId> operands, Attributes attributes) {
    std::vector<std::string> names;
    for (const Token& result : results)
      names.push_back(result.is_numbered() ? std::string() : result.name());
    NodeId id = insert(op, name, std::move(operands), std::move(attributes), names);
    const Node& node = graph_.node(id);
    if (node.results.size() != results.size())
      lexer_.fail(results.front(),
                  fmt::format("{} has {} result{}, and {} {} named", op.name, node.results.size(),
                              node.results.size() == 1 ? "" : "s", results.size(),
                              results.size() == 1 ? "is" : "are"));
    for (std::size_t i = 0; i < results.size(); ++i)
      if (results[i].is_numbered()) numbered_.emplace(results[i].text, node.results[i]);
  }

  // The node's location has the marks of its section; that of an error is a place in the text
  // alone.
  NodeId insert(const OpDef& op, const Token& name, std::vector<ValueId> operands,
                Attributes attributes, std::span<const std::string> result_names) try {
    Location location = lexer_.location(name);
    location.note = marks_;
    return graph_.add_node(op, std::move(operands), std::move(attributes), std::move(location),
                           result_names);
  } catch (const Error& error) {
    lexer_.fail(name, error.diagnostic().message);
  }

  const OpDef& find_op_at(const Token& name) {
    auto [entry, fresh] = ops_.try_emplace(name.text, nullptr);
    if (fresh) {
      if (gradient_order(name.text) > kMaximumGradientOrder)
        lexer_.fail(name, fmt::format("{} asks for a derivative of an order beyond {}",
                                      describe(name), kMaximumGradientOrder));
      entry->second = find_op(name.text);
    }
    if (entry->second) return *entry->second;
    std::vector<std::string> similar = similar_ops(name.text);
    lexer_.fail(name, fmt::format("there is no op {}; {}", describe(name),
                                  similar.empty() ? "`weir ops` lists those there are"
                                                  : fmt::format("did you mean {}?",
                                                                fmt::join(similar, " or "))));
  }

  std::vector<ValueId> parse_operands() {
    std::vector<ValueId> operands;
    if (!lexer_.take_if("(") || lexer_.take_if(")")) return operands;
    do operands.push_back(parse_use("an operand, as %x"));
    while (lexer_.take_if(","));
    lexer_.expect(")", "',' or ')' after an operand");
    return operands;
  }

  // {name = value, ...}, of an op or an initializer
  Attributes parse_attributes(std::string_view owner, std::span<const AttributeSpec> declared) {
    Attributes attributes;
    if (!lexer_.take_if("{") || lexer_.take_if("}")) return attributes;
    do {
      Token name = lexer_.expect(TokenKind::identifier, "the name of an attribute");
      std::string key(name.text);
      const AttributeSpec& spec = find_attribute(owner, declared, name);
      if (attributes.find(key))
        lexer_.fail(name, fmt::format("the attribute {} is given twice", key));
      if (!lexer_.take_if("=")) lexer_.fail_expected(fmt::format("'=' and the value of {}", key));
      Token start = lexer_.peek();
      Attribute value = text::parse_attribute(lexer_);
      if (!admits(spec.kind, kind(value)))
        lexer_.fail(
            start,
            fmt::format("{}: the attribute {} must be {}, such as {}, and this is {}", owner, key,
                        description(spec.kind), example(spec.kind), description(kind(value))));
      attributes.set(std::move(key), std::move(value));
    } while (lexer_.take_if(","));
    lexer_.expect("}", "',' or '}' after an attribute");
    return attributes;
  }

  const AttributeSpec& find_attribute(std::string_view owner,
                                      std::span<const AttributeSpec> declared, const Token& name) {
    std::vector<std::string_view> known;
    for (const AttributeSpec& spec : declared) {
      if (spec.name == name.text) return spec;
      known.push_back(spec.name);
    }
    lexer_.fail(name, known.empty() ? fmt::format("{} has no attributes", owner)
                                    : fmt::format("{} has no attribute {}; it has {}", owner,
                                                  describe(name), fmt::join(known, ", ")));
  }

  // How one is written.
  static std::string_view example(AttributeKind kind) {
    constexpr std::array<std::string_view, 8> kExamples{"3",      "0.05", "true",     "[0, -1]",
                                                        "[N, 4]", "f32",  "\"text\"", "f32[] 0.0"};
    return kExamples[static_cast<std::size_t>(kind)];
  }

  // Integers are written for numbers too, and a list of integers may be one of dimensions.
  static bool admits(AttributeKind wanted, AttributeKind given) {
    return wanted == given || (wanted == AttributeKind::real && given == AttributeKind::integer) ||
           (wanted == AttributeKind::dims && given == AttributeKind::integers);
  }

  // return %y, %z as "name", %next updates %w
  void parse_return() {
    Token keyword = lexer_.take();
    std::vector<Token> uses;
    while (lexer_.peek().kind == TokenKind::value_name) {
      Token use = lexer_.peek();
      uses.push_back(use);
      ValueId value = parse_use("a value to return");
      ValueId updated;
      std::string name;
      if (lexer_.take_if("updates")) updated = parse_use("the param that is updated");
      if (lexer_.take_if("as"))
        name = lexer_.expect(TokenKind::string, "the name of the output in quotes").name();
      try {
        if (updated.valid()) {
          graph_.add_update(updated, value, std::move(name));
        } else {
          graph_.add_output(value, std::move(name));
        }
      } catch (const Error& error) {
        lexer_.fail(use, error.diagnostic().message);
      }
      if (!lexer_.take_if(",")) break;
      if (lexer_.peek().kind != TokenKind::value_name) lexer_.fail_expected("a value to return");
    }
    if (arrow_) check_results(keyword, uses);
  }

  void check_results(const Token& keyword, const std::vector<Token>& uses) {
    if (uses.size() != declared_.size())
      lexer_.fail(keyword, fmt::format("{} value{} returned, and {} declared after ->", uses.size(),
                                       uses.size() == 1 ? " is" : "s are", declared_.size()));
    for (std::size_t i = 0; i < uses.size(); ++i) {
      const TensorType& type = graph_.type(graph_.outputs()[i].value);
      if (type != declared_[i].type)
        lexer_.fail(declared_[i].token,
                    fmt::format("result {} is declared as {}, and {} is {}", i,
                                to_string(declared_[i].type), describe(uses[i]), to_string(type)));
    }
  }

  ValueId find_value(const Token& token) const {
    if (!token.is_numbered()) return graph_.find(token.name());
    auto found = numbered_.find(token.text);
    return found == numbered_.end() ? ValueId{} : found->second;
  }

  void require_new(const Token& token) {
    ValueId other = find_value(token);
    if (other.valid())
      lexer_.fail(token, fmt::format("{} is already defined on line {}; choose another name",
                                     describe(token), graph_.value(other).location.line));
  }

  void require_distinct(const std::vector<Token>& results) {
    std::unordered_set<std::string> names;
    for (const Token& result : results) {
      std::string key = result.is_numbered() ? std::string(result.text) : value_name(result.name());
      if (!names.insert(std::move(key)).second)
        lexer_.fail(result, fmt::format("{} names two results of one op", describe(result)));
    }
  }

  ValueId parse_use(std::string_view expected) {
    Token token = lexer_.expect(TokenKind::value_name, expected);
    ValueId value = find_value(token);
    if (!value.valid()) fail_undefined(token);
    return value;
  }

  [[noreturn]] void fail_undefined(const Token& token) {
    if (defining_)
      for (const Token& result : *defining_)
        if (result.text == token.text)
          lexer_.fail(token, fmt::format("{} is used in its own definition; a graph has no cycles",
                                         describe(token)));
    if (std::optional<int> line = find_later_definition(token))
      lexer_.fail(
          token,
          fmt::format("{} is used before it is defined on line {}; a graph has no cycles, so "
                      "definitions come first",
                      describe(token), *line));
    lexer_.fail(
        token,
        fmt::format("{} is not defined; an input, a param or an earlier statement defines a value",
                    describe(token)));
  }

  // The line further down this graph where the name is defined. A name is defined after `param`, or
  // in a list of names that ends in '='.
  std::optional<int> find_later_definition(const Token& wanted) const try {
    Lexer ahead = lexer_;
    std::optional<int> listed;
    bool after_param = false;
    for (; ahead.peek().kind != TokenKind::end && !ahead.peek().is("graph"); ahead.take()) {
      const Token& token = ahead.peek();
      if (token.is("=") && listed) return listed;
      if (token.kind == TokenKind::value_name && token.text == wanted.text) {
        if (after_param) return token.line;
        listed = token.line;
      } else if (token.kind != TokenKind::value_name && !token.is(",")) {
        listed.reset();
      }
      after_param = token.is("param");
    }
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // what follows is not well-formed, which is not the point here
  }

  struct Declared {
    Token token;
    TensorType type;
  };

  Lexer& lexer_;
  std::unordered_map<std::string_view, const OpDef*>& ops_;  // looked up so far, by name
  Graph graph_;
  std::unordered_map<std::string_view, ValueId> numbered_;  // %0, %1, ...
  std::optional<Token> arrow_;
  std::vector<Declared> declared_;
  const std::vector<Token>* defining_ = nullptr;  // the results of the node being read
  std::string marks_;                             // of the section, as in notes
};

std::vector<Graph> parse_all(std::string_view text, std::string file_name, bool only_one) {
  Lexer lexer(text, std::move(file_name));
  std::unordered_map<std::string_view, const OpDef*> ops;
  std::vector<Graph> graphs;
  std::unordered_set<std::string> names;
  do {
    Token start = lexer.peek();
    if (!graphs.empty() && !start.is("graph"))
      lexer.fail_expected("'graph' or the end of the file");
    if (!graphs.empty() && only_one)
      lexer.fail(start, "a second graph, where one is wanted; keep it in a file of its own");
    graphs.push_back(GraphParser(lexer, ops).parse());
    if (!names.insert(graphs.back().name()).second)
      lexer.fail(start,
                 fmt::format("there are two graphs named {}", graph_name(graphs.back().name())));
  } while (lexer.peek().kind != TokenKind::end);
  return graphs;
}

}  // namespace

std::vector<Graph> parse_graphs(std::string_view text, std::string file_name) {
  return parse_all(text, std::move(file_name), false);
}

Graph parse_graph(std::string_view text, std::string file_name) {
  return std::move(parse_all(text, std::move(file_name), true).front());
}

}  // namespace weir
