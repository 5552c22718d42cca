// einsum: sums of products by an equation of labelled axes, as a body of sums, transposes and
// products.
//
// Every operand is first brought to axes of distinct labels: of a label that it has twice the
// diagonal is taken. Then two operands at a time, from the left, become one: labels that nobody
// else needs are summed, what both have and somebody still needs is a batch, what both have and
// nobody needs is contracted. So each step is one matmul, or a product where there is nothing to
// contract. In the end the axes are put into the order of the result.

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

// A letter, or the number of an axis that an ellipsis stands for, counted from the last.
using Label = int;
using Labels = std::vector<Label>;
constexpr Label kEllipsis = 256;  // and above

bool has(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// "i...j" as letters and at most one kEllipsis.
Labels parse_term(const std::string& term) {
  Labels labels;
  for (std::size_t i = 0; i < term.size(); ++i) {
    char c = term[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      labels.push_back(static_cast<unsigned char>(c));
    } else if (term.compare(i, 3, "...") == 0 && !has(labels, kEllipsis)) {
      labels.push_back(kEllipsis);
      i += 2;
    } else {
      throw Error(fmt::format("\"{}\" is no list of letters with one \"...\" at most", term));
    }
  }
  return labels;
}

struct Equation {
  std::vector<Labels> operands;
  Labels result;
};

// The ellipsis as so many labels.
Labels with_ellipsis(const Labels& labels, std::size_t axes) {
  Labels result;
  for (Label label : labels) {
    if (label != kEllipsis) {
      result.push_back(label);
      continue;
    }
    for (std::size_t i = axes; i-- > 0;) result.push_back(kEllipsis + static_cast<Label>(i));
  }
  return result;
}

// The letters that stand once, in order, behind what the ellipses stand for.
Labels implied_result(const std::vector<Labels>& operands, std::size_t ellipsis) {
  std::map<Label, int> counts;
  for (const Labels& labels : operands)
    for (Label label : labels)
      if (label < kEllipsis) ++counts[label];
  Labels result = with_ellipsis({kEllipsis}, ellipsis);
  for (auto [label, count] : counts)
    if (count == 1) result.push_back(label);
  return result;
}

Equation equation_of(const OpInstance& instance) {
  std::string text = instance.attributes.text("equation");
  std::erase(text, ' ');
  std::size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  std::vector<Labels> terms;
  for (std::size_t begin = 0; begin <= left.size();) {
    std::size_t end = std::min(left.find(',', begin), left.size());
    terms.push_back(parse_term(left.substr(begin, end - begin)));
    begin = end + 1;
  }
  if (terms.size() != instance.operands.size())
    throw Error(fmt::format("the equation \"{}\" is for {} operands, and there are {}", text,
                            terms.size(), instance.operands.size()));
  Equation equation;
  std::size_t most = 0;  // axes of an ellipsis
  for (std::size_t k = 0; k < terms.size(); ++k) {
    auto rank = static_cast<std::size_t>(instance.operand(k).rank());
    bool open = has(terms[k], kEllipsis);
    std::size_t letters = terms[k].size() - (open ? 1 : 0);
    if (rank < letters || (rank > letters && !open))
      throw Error(fmt::format("operand {} is {}; the equation \"{}\" has {} axes for it", k,
                              to_string(instance.operand(k)), text, letters));
    most = std::max(most, rank - letters);
    equation.operands.push_back(with_ellipsis(terms[k], rank - letters));
  }
  if (arrow == std::string::npos) {
    equation.result = implied_result(equation.operands, most);
  } else {
    equation.result = with_ellipsis(parse_term(text.substr(arrow + 2)), most);
  }
  for (std::size_t i = 0; i < equation.result.size(); ++i) {
    Label label = equation.result[i];
    bool known = std::any_of(equation.operands.begin(), equation.operands.end(),
                             [&](const Labels& labels) { return has(labels, label); });
    if (!known || std::count(equation.result.begin(), equation.result.end(), label) > 1)
      throw Error(
          fmt::format("the result of \"{}\" must have labels of the operands, each once", text));
  }
  return equation;
}

// A value and the labels of its axes.
struct Labelled {
  Var value;
  Labels labels;

  const Dim& size(Label label) const {
    auto at = std::find(labels.begin(), labels.end(), label) - labels.begin();
    return value.shape()[static_cast<std::size_t>(at)];
  }
};

// The axes in this order.
Labelled ordered(GraphBuilder& builder, const Labelled& x, const Labels& order) {
  Integers permutation;
  for (Label label : order)
    permutation.push_back(std::find(x.labels.begin(), x.labels.end(), label) - x.labels.begin());
  if (std::is_sorted(permutation.begin(), permutation.end())) return x;
  return {builder.apply("transpose", {x.value}, {{"permutation", permutation}}), order};
}

// The diagonal of two axes of n elements: padded by n, the rows are n + 1 long and begin with it.
Labelled with_diagonal(GraphBuilder& builder, const Labelled& x, std::size_t first,
                       std::size_t second) {
  Integers permutation;
  Labels labels;
  Shape shape = x.value.shape();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i == first || i == second) continue;
    permutation.push_back(static_cast<std::int64_t>(i));
    labels.push_back(x.labels[i]);
  }
  permutation.push_back(static_cast<std::int64_t>(first));
  permutation.push_back(static_cast<std::int64_t>(second));
  const Dim n = shape[first];
  if (n != shape[second])
    throw Error(fmt::format("axes {} and {} of {} have one label, and sizes that differ", first,
                            second, to_string(x.value.type())));
  Var value = builder.apply("transpose", {x.value}, {{"permutation", permutation}});
  Shape flat = value.shape();
  flat.resize(flat.size() - 1);
  flat.back() = n * n;
  Shape low(flat.size(), Dim(0)), high = low;
  high.back() = n;
  value = builder.apply("pad", {reshape_to(builder, value, flat)}, {{"low", low}, {"high", high}});
  Shape rows = flat;
  rows.back() = n;
  Shape diagonal = rows;
  rows.push_back(n + Dim(1));
  Shape starts(rows.size(), Dim(0)), limits = rows;
  limits.back() = 1;
  value = builder.apply("slice", {reshape_to(builder, value, rows)},
                        {{"starts", starts}, {"limits", limits}});
  labels.push_back(x.labels[first]);
  return {reshape_to(builder, value, diagonal), labels};
}

Labelled with_distinct_labels(GraphBuilder& builder, Labelled x) {
  for (std::size_t i = 0; i < x.labels.size(); ++i)
    for (std::size_t j = i + 1; j < x.labels.size(); ++j)
      if (x.labels[i] == x.labels[j])
        return with_distinct_labels(builder, with_diagonal(builder, x, i, j));
  return x;
}

// The sum over the axes that are not needed.
Labelled summed(GraphBuilder& builder, const Labelled& x, const Labels& needed) {
  Labelled result = x;
  result.labels.clear();
  Integers axes;
  for (std::size_t i = 0; i < x.labels.size(); ++i) {
    if (has(needed, x.labels[i]))
      result.labels.push_back(x.labels[i]);
    else
      axes.push_back(static_cast<std::int64_t>(i));
  }
  if (!axes.empty()) result.value = builder.apply("reduce_sum", {x.value}, {{"axes", axes}});
  return result;
}

// Without the axes of size 1 whose label has another size elsewhere: products broadcast over them.
Labelled without_repeated(GraphBuilder& builder, const Labelled& x,
                          const std::map<Label, Dim>& sizes) {
  Labelled result = x;
  result.labels.clear();
  Shape shape;
  for (std::size_t i = 0; i < x.labels.size(); ++i) {
    if (x.value.shape()[i] != sizes.at(x.labels[i])) continue;
    result.labels.push_back(x.labels[i]);
    shape.push_back(x.value.shape()[i]);
  }
  result.value = reshape_to(builder, x.value, shape);
  return result;
}

// The sum of products over what both have and nobody else needs.
Labelled contracted(GraphBuilder& builder, Labelled a, Labelled b, const Labels& needed) {
  auto needed_beside = [&](const Labelled& other) {
    Labels labels = needed;
    labels.insert(labels.end(), other.labels.begin(), other.labels.end());
    return labels;
  };
  a = summed(builder, a, needed_beside(b));
  b = summed(builder, b, needed_beside(a));
  Labels batch, rows, columns, inner;
  for (Label label : a.labels)
    (!has(b.labels, label) ? rows : has(needed, label) ? batch : inner).push_back(label);
  for (Label label : b.labels)
    if (!has(a.labels, label)) columns.push_back(label);

  Labelled result;
  Shape shape, prefix;
  auto product = [](const Labelled& x, const Labels& labels) {
    Dim size = 1;
    for (Label label : labels) size = size * x.size(label);
    return size;
  };
  for (Label label : batch) prefix.push_back(a.size(label));
  shape = prefix;
  for (Label label : rows) shape.push_back(a.size(label));
  for (Label label : columns) shape.push_back(b.size(label));
  for (const Labels& part : {batch, rows, columns})
    result.labels.insert(result.labels.end(), part.begin(), part.end());

  auto matrix = [&](const Labelled& x, const Labels& first, const Labels& second) {
    Labels order = batch;
    order.insert(order.end(), first.begin(), first.end());
    order.insert(order.end(), second.begin(), second.end());
    Shape sizes = prefix;
    sizes.push_back(product(x, first));
    sizes.push_back(product(x, second));
    return reshape_to(builder, ordered(builder, x, order).value, sizes);
  };
  Var left = matrix(a, rows, inner), right = matrix(b, inner, columns);
  result.value =
      reshape_to(builder, builder.apply(inner.empty() ? "mul" : "matmul", {left, right}), shape);
  return result;
}

std::map<Label, Dim> sizes_of(const std::vector<Labelled>& values) {
  std::map<Label, Dim> sizes;
  for (const Labelled& x : values)
    for (std::size_t i = 0; i < x.labels.size(); ++i) {
      const Dim& size = x.value.shape()[i];
      auto [found, added] = sizes.emplace(x.labels[i], size);
      if (added || size == found->second || size == Dim(1)) continue;
      if (found->second != Dim(1))
        throw Error(fmt::format("a label stands for axes of {} and of {} elements",
                                found->second.to_string(), size.to_string()));
      found->second = size;
    }
  return sizes;
}

std::vector<Var> einsum_body(GraphBuilder& builder, std::span<const Var> operands,
                             const Attributes& attributes) {
  std::vector<TensorType> types;
  for (Var operand : operands) types.push_back(operand.type());
  Equation equation = equation_of({&get_op("einsum"), types, attributes});
  DType type = product_type(types[0].dtype);
  std::vector<Labelled> values;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    Var x = operands[k];
    if (x.dtype() != type) x = builder.apply("cast", {x}, {{"dtype", type}});
    values.push_back(with_distinct_labels(builder, {x, equation.operands[k]}));
  }
  std::map<Label, Dim> sizes = sizes_of(values);
  for (Labelled& x : values) x = without_repeated(builder, x, sizes);
  Labelled result = values[0];
  for (std::size_t k = 1; k < values.size(); ++k) {
    Labels needed = equation.result;
    for (std::size_t later = k + 1; later < values.size(); ++later)
      needed.insert(needed.end(), values[later].labels.begin(), values[later].labels.end());
    result = contracted(builder, result, values[k], needed);
  }
  result = summed(builder, result, equation.result);
  return {ordered(builder, result, equation.result).value};
}

OpDef einsum_op() {
  OpDef op = declare(
      "contract",
      {"einsum",
       "Sums of products by an equation of labelled axes.",
       "\"bij,bjk->bik\" is a batch of matrix products: a letter for each axis of each operand, "
       "and "
       "those of the result; a letter that the result does not have is summed over. \"...\" stands "
       "for further axes, which broadcast. Of a letter that an operand has twice the diagonal is "
       "taken. Without \"->\" the result has the axes of \"...\" and the letters that stand once, "
       "in "
       "alphabetical order. Operands are multiplied from left to right. i8 and u8 give i32.",
       {"Einsum", 12}});
  op.operands = {{"inputs", TypeSet::numbers, OperandSpec::Presence::variadic}};
  op = with_attribute(std::move(op), "equation", AttributeKind::text, "The equation.", "equation");
  op.check = [](const OpInstance& instance) { equation_of(instance); };
  // Runtimes differ in what "..." may stand for.
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    const std::string& equation = instance.attributes.text("equation");
    if (equation.find('.') != std::string::npos) return {};
    return {nodes.add(instance.op->onnx.name, {operands.begin(), operands.end()},
                      {{"equation", equation}})};
  };
  op.composite = einsum_body;
  return op;
}

}  // namespace

void add_einsum_ops(OpTable& table) { table.add(einsum_op()); }

}  // namespace weir
