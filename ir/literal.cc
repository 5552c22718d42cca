#include "ir/literal.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "ir/text.h"

namespace weir::text {
namespace {

constexpr std::string_view kElementTypes =
    "an element type (f32, f64, f16, bf16, i8, u8, i32, i64 or bool)";

// An optional minus sign and an unsigned number, or inf or nan.
struct Number {
  Token first;
  Token digits;
  bool negative = false;

  std::string text() const { return (negative ? "-" : "") + shortened(digits.text); }
};

bool starts_number(const Token& token) {
  return token.kind == TokenKind::integer || token.kind == TokenKind::real || token.is("-") ||
         token.is("inf") || token.is("nan");
}

Number parse_number(Lexer& lexer, std::string_view expected) {
  Number number;
  number.first = lexer.peek();
  number.negative = lexer.take_if("-");
  const Token& token = lexer.peek();
  bool digits = token.kind == TokenKind::integer || token.kind == TokenKind::real;
  if (!digits && !token.is("inf") && (number.negative || !token.is("nan")))
    lexer.fail_expected(number.negative ? "a number after '-'" : expected);
  number.digits = lexer.take();
  return number;
}

std::int64_t to_integer(Lexer& lexer, const Number& number, DType type) {
  if (number.digits.kind != TokenKind::integer)
    lexer.fail(number.first, fmt::format("expected an integer, found '{}'", number.text()));
  std::uint64_t magnitude = 0;
  std::string_view digits = number.digits.text;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude);
  std::uint64_t limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (number.negative) ++limit;
  bool fits = error == std::errc() && magnitude <= limit;
  auto value = static_cast<std::int64_t>(number.negative ? 0 - magnitude : magnitude);
  if (!fits || scalar::to_integer(type, scalar::bits_of(type, value)) != value)
    lexer.fail(number.first, fmt::format("{} does not fit in {}: the range is {}", number.text(),
                                         name(type), scalar::range_text(type)));
  return value;
}

// The number as a value of a float type.
double to_float(Lexer& lexer, const Number& number, DType type) {
  std::string_view digits = number.digits.text;
  double value = 0;
  if (digits == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (digits == "inf") {
    value = std::numeric_limits<double>::infinity();
  } else {
    float single = 0;  // read as such, an f32 is rounded once
    const char *begin = digits.data(), *end = begin + digits.size();
    std::errc error = type == DType::f32 ? std::from_chars(begin, end, single).ec
                                         : std::from_chars(begin, end, value).ec;
    value = type == DType::f32 ? single : scalar::to_double(type, scalar::bits_of(type, value));
    bool zero = digits.substr(0, digits.find_first_of("eE")).find_first_of("123456789") ==
                std::string_view::npos;
    if (error != std::errc() || std::isinf(value) || (value == 0 && !zero))
      lexer.fail(number.first,
                 fmt::format("{} is out of range: the magnitudes of {} are {}, besides 0.0 and inf",
                             number.text(), name(type), scalar::range_text(type)));
    if (zero) value = 0;
  }
  return number.negative ? -value : value;
}

// Runs code; errors of it that have no place are reported at the token.
template <class Function>
auto located(Lexer& lexer, const Token& token, Function function) {
  try {
    return function();
  } catch (const Error& error) {
    if (error.diagnostic().location.known()) throw;
    lexer.fail(token, error.diagnostic().message);
  }
}

// Quotients that stand in each other, at most: no dimension has more factors.
constexpr int kMaximumDepth = 64;

Dim parse_sum(Lexer& lexer, int depth);

// floordiv(N + 1, 2), where the word and the parenthesis are read.
Dim parse_quotient(Lexer& lexer, int depth) {
  if (depth == kMaximumDepth)
    lexer.fail(lexer.peek(),
               fmt::format("a dimension has at most {} quotients in each other", kMaximumDepth));
  Dim dividend = parse_sum(lexer, depth + 1);
  lexer.expect(",", "',' and the divisor");
  Token place = lexer.peek();
  std::int64_t divisor = to_integer(lexer, parse_number(lexer, "an integer"), DType::i64);
  if (divisor < 1)
    lexer.fail(place, fmt::format("the divisor is {}; it must be at least 1", divisor));
  lexer.expect(")", "')' after the divisor");
  return floor_quotient(dividend, divisor);
}

Dim parse_dim_factor(Lexer& lexer, int depth) {
  if (lexer.peek().kind == TokenKind::identifier) {
    Token symbol = lexer.take();
    if (symbol.text == "floordiv" && lexer.take_if("(")) return parse_quotient(lexer, depth);
    if (symbol.text.size() > kLongestSymbol)
      lexer.fail(symbol, fmt::format("the symbol {} has {} characters; {} are the most",
                                     shortened(symbol.text), symbol.text.size(), kLongestSymbol));
    return Dim::symbol(symbol.text);
  }
  if (lexer.peek().kind != TokenKind::integer && !lexer.peek().is("-"))
    lexer.fail_expected("a dimension (an integer or a symbol)");
  Number number = parse_number(lexer, "an integer");
  return Dim(to_integer(lexer, number, DType::i64));
}

// One product: 4*N*M. `minus` is a sign that stands before it.
Dim parse_dim_product(Lexer& lexer, int depth, bool minus) {
  Dim product = 1;
  // A sign right before an integer belongs to it: the lowest integer has no positive counterpart.
  if (lexer.peek().is("-")) {
    Token sign = lexer.take();
    if (lexer.peek().kind == TokenKind::integer) {
      product = Dim(to_integer(lexer, {sign, lexer.take(), true}, DType::i64));
    } else {
      product = parse_dim_factor(lexer, depth) * Dim(-1);
    }
  } else {
    product = parse_dim_factor(lexer, depth);
  }
  while (lexer.take_if("*")) product = product * parse_dim_factor(lexer, depth);
  return minus ? product * Dim(-1) : product;
}

Dim parse_sum(Lexer& lexer, int depth) {
  Dim sum = parse_dim_product(lexer, depth, false);
  while (lexer.peek().is("+") || lexer.peek().is("-")) {
    bool minus = lexer.take().is("-");
    sum = sum + parse_dim_product(lexer, depth, minus);
  }
  return sum;
}

Dim parse_dim(Lexer& lexer) {
  Token first = lexer.peek();
  return located(lexer, first, [&] { return parse_sum(lexer, 0); });
}

// The elements of one tensor, from '[' to ']'.
class TensorParser {
 public:
  TensorParser(Lexer& lexer, DType dtype) : lexer_(lexer), dtype_(dtype) {}

  std::shared_ptr<const Tensor> parse() {
    Token first = lexer_.peek();
    Tensor::Sizes sizes = parse_sizes();
    std::int64_t count =
        located(lexer_, first, [&] { return checked_element_count(dtype_, sizes); });
    // Every element takes a character, and another one follows it.
    if (static_cast<std::uint64_t>(count) >
        (lexer_.remaining() + lexer_.peek().text.size()) / 2 + 1)
      lexer_.fail(first,
                  fmt::format("{} has {} elements, and the rest of the text is too short for them; "
                              "every element is written",
                              to_string(dtype_, sizes), count));
    tensor_ = std::make_shared<Tensor>(dtype_, std::move(sizes));
    if (count == 0 && lexer_.peek().is("[") && tensor_->rank() > 0) {
      parse_empty();
    } else {
      parse_nested(0);
    }
    return tensor_;
  }

 private:
  Tensor::Sizes parse_sizes() {
    Tensor::Sizes sizes;
    lexer_.expect("[", "'[' and the sizes of the tensor");
    if (lexer_.take_if("]")) return sizes;
    do {
      if (sizes.size() == kMaximumRank)
        lexer_.fail(lexer_.peek(), fmt::format("a tensor has at most {} dimensions", kMaximumRank));
      if (lexer_.peek().kind != TokenKind::integer) lexer_.fail_expected("the size of a dimension");
      Number number{lexer_.peek(), lexer_.take()};
      sizes.push_back(to_integer(lexer_, number, DType::i64));
    } while (lexer_.take_if(","));
    lexer_.expect("]", "',' or ']' after a size");
    return sizes;
  }

  std::string type() const { return to_string(dtype_, tensor_->sizes()); }

  // A tensor without elements may be written [] whatever its rank.
  void parse_empty() {
    Token open = lexer_.take();
    if (lexer_.take_if("]")) return;
    parse_row(open, 0);
  }

  void parse_nested(std::size_t depth) {
    if (depth == tensor_->sizes().size()) {
      if (lexer_.peek().is("["))
        lexer_.fail(
            lexer_.peek(),
            fmt::format("the brackets are nested more than {} deep, which is the rank of {}", depth,
                        type()));
      parse_element();
      return;
    }
    Token open = lexer_.peek();
    if (!lexer_.take_if("["))
      lexer_.fail_expected(fmt::format("'[' and {} {} of {}", tensor_->sizes()[depth],
                                       depth + 1 == tensor_->sizes().size() ? "elements" : "rows",
                                       type()));
    parse_row(open, depth);
  }

  // What follows the '[' at this depth.
  void parse_row(const Token& open, std::size_t depth) {
    std::int64_t size = tensor_->sizes()[depth];
    for (std::int64_t i = 0; i < size; ++i) {
      if (lexer_.peek().is("]"))
        lexer_.fail(open,
                    fmt::format("this bracket holds {} of the {} entries in dimension {} of {}", i,
                                size, depth, type()));
      if (i > 0) lexer_.expect(",", "',' or ']'");
      parse_nested(depth + 1);
    }
    if (lexer_.peek().is(",") || (size == 0 && !lexer_.peek().is("]")))
      lexer_.fail(lexer_.peek(),
                  fmt::format("here are more than the {} entries in dimension {} of {}", size,
                              depth, type()));
    lexer_.expect("]", "']'");
  }

  void parse_element() {
    if (dtype_ == DType::boolean) {
      bool value = lexer_.peek().is("true");
      if (!value && !lexer_.peek().is("false")) lexer_.fail_expected("true or false");
      lexer_.take();
      tensor_->set_bits(next_++, scalar::from_bool(value));
      return;
    }
    if (!starts_number(lexer_.peek()))
      lexer_.fail_expected(fmt::format("an element of {}", type()));
    Number number = parse_number(lexer_, "a number");
    tensor_->set_bits(next_++, bits(number));
  }

  scalar::Bits bits(const Number& number) {
    if (is_integer(dtype_)) return scalar::bits_of(dtype_, to_integer(lexer_, number, dtype_));
    return scalar::bits_of(dtype_, to_float(lexer_, number, dtype_));
  }

  Lexer& lexer_;
  DType dtype_;
  std::shared_ptr<Tensor> tensor_;
  std::int64_t next_ = 0;
};

Attribute parse_list(Lexer& lexer) {
  lexer.expect("[", "'['");
  Shape dims;
  if (!lexer.peek().is("]")) {
    do {
      const Token& token = lexer.peek();
      if (token.is("[") || token.kind == TokenKind::real)
        lexer.fail(
            token,
            fmt::format("a list holds integers or dimensions, not {}; write a tensor with its "
                        "type, as f32[2] [1.0, 2.0]",
                        describe(token)));
      dims.push_back(parse_dim(lexer));
    } while (lexer.take_if(","));
  }
  lexer.expect("]", "',' or ']' in a list");
  std::vector<std::int64_t> integers;
  for (const Dim& dim : dims) {
    if (!dim.is_constant()) return dims;
    integers.push_back(dim.value());
  }
  return integers;
}

}  // namespace

TensorType parse_type(Lexer& lexer) {
  Token first = lexer.peek();
  std::optional<DType> dtype = parse_dtype(first.text);
  if (!dtype) lexer.fail_expected(kElementTypes);
  lexer.take();
  TensorType type{*dtype, {}};
  if (!lexer.take_if("["))
    lexer.fail_expected(
        fmt::format("'[' and dimensions after {} (a scalar is {}[])", first.text, first.text));
  if (!lexer.peek().is("]")) {
    do {
      Token start = lexer.peek();
      if (type.shape.size() == kMaximumRank)
        lexer.fail(start, fmt::format("a type has at most {} dimensions", kMaximumRank));
      type.shape.push_back(parse_dim(lexer));
      if (std::optional<std::int64_t> size = type.shape.back().constant(); size && *size < 0)
        lexer.fail(start, fmt::format("a dimension cannot be negative, and this one is {}", *size));
    } while (lexer.take_if(","));
  }
  lexer.expect("]", "',' or ']' after a dimension");
  located(lexer, first, [&] { return element_count(type.shape); });
  return type;
}

Attribute parse_attribute(Lexer& lexer) {
  Token token = lexer.peek();
  if (token.is("[")) return parse_list(lexer);
  if (token.kind == TokenKind::string) return lexer.take().name();
  if (token.is("true") || token.is("false")) return lexer.take().text == "true";
  if (starts_number(token)) {
    Number number = parse_number(lexer, "a number");
    if (number.digits.kind == TokenKind::integer) return to_integer(lexer, number, DType::i64);
    return to_float(lexer, number, DType::f64);
  }
  std::optional<DType> dtype = parse_dtype(token.text);
  if (!dtype)
    lexer.fail_expected(
        "the attribute's value (a number, true, false, a list, \"text\", an element type or a "
        "tensor)");
  lexer.take();
  if (!lexer.peek().is("[")) return *dtype;
  return TensorParser(lexer, *dtype).parse();
}

}  // namespace weir::text
