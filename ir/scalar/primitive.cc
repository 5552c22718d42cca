#include "ir/scalar/primitive.h"

#include <array>
#include <cstddef>

namespace weir::scalar {
namespace {

using enum ResultRule;

// In the order of the enumeration.
constexpr std::array<PrimitiveInfo, kPrimitiveCount> kTable{{
    {"constant", "", 0, explicit_type, false, 0},
    {"argument", "", 0, explicit_type, false, 0},
    {"axis", "", 0, explicit_type, false, 0},
    {"size", "", 0, explicit_type, false, 0},
    {"local", "", 0, explicit_type, false, 0},
    {"load", "", -1, explicit_type, false, 1},
    {"load_if", "", -1, explicit_type, false, 2},
    {"add", "+", 2, same, false, 1},
    {"sub", "-", 2, same, false, 1},
    {"mul", "*", 2, same, false, 1},
    {"div", "/", 2, same, false, 8},
    {"rem", "", 2, same, false, 60},
    {"fma", "", 3, same, false, 1},
    {"neg", "", 1, same, false, 1},
    {"abs", "", 1, same, false, 1},
    {"min", "", 2, same, false, 2},
    {"max", "", 2, same, false, 2},
    {"eq", "==", 2, boolean, false, 1},
    {"ne", "!=", 2, boolean, false, 1},
    {"lt", "<", 2, boolean, false, 1},
    {"le", "<=", 2, boolean, false, 1},
    {"and", "&", 2, same, false, 1},
    {"or", "|", 2, same, false, 1},
    {"xor", "^", 2, same, false, 1},
    {"not", "", 1, same, false, 1},
    {"shl", "<<", 2, same, false, 1},
    {"shr", ">>", 2, same, false, 1},
    {"ashr", "", 2, same, false, 1},
    {"select", "", 3, of_second, false, 1},
    {"cast", "", 1, explicit_type, false, 2},
    {"bitcast", "", 1, explicit_type, false, 0},
    {"sqrt", "", 1, same, false, 10},
    {"floor", "", 1, same, false, 1},
    {"ceil", "", 1, same, false, 1},
    {"trunc", "", 1, same, false, 1},
    {"round", "", 1, same, false, 1},
    {"exp", "", 1, same, true, 16},
    {"expm1", "", 1, same, true, 24},
    {"log", "", 1, same, true, 20},
    {"log1p", "", 1, same, true, 28},
    {"tanh", "", 1, same, true, 28},
    {"erf", "", 1, same, true, 30},
    {"erfc", "", 1, same, true, 40},
    {"sin", "", 1, same, true, 40},
    {"cos", "", 1, same, true, 40},
    {"pow", "", 2, same, true, 60},
    {"scaled_exp", "", 3, same, true, 26},
    {"sigmoid", "", 1, same, true, 36},
    {"sigmoid_gate", "", 2, same, true, 37},
    {"normal_gate", "", 2, same, true, 52},
    {"tanh_gate", "", 2, same, true, 70},
    {"softplus", "", 1, same, true, 52},
    {"floordiv", "", 2, same, false, 20},
    {"mod", "", 2, same, false, 20},
}};

}  // namespace

const PrimitiveInfo& info(Primitive primitive) {
  return kTable[static_cast<std::size_t>(primitive)];
}

}  // namespace weir::scalar
