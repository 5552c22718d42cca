// The ops of ONNX that Weir cannot compute, and why.
#include <array>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

constexpr std::string_view kQuantized =
    "the model is quantized; Weir computes with floating-point weights, so take the model from "
    "before its quantization";
constexpr std::string_view kNotYet = "Weir has no such op yet";
constexpr std::string_view kRandom =
    "its result is random; Weir computes the same result every time";
constexpr std::string_view kSequence = "it works on sequences or optional values; Weir has tensors";
constexpr std::string_view kString = "it works on strings; Weir has numbers";
constexpr std::string_view kLoop = "it is a loop; Weir computes graphs without loops";
constexpr std::string_view kDataShape =
    "the size of its result depends on the elements of its operands; sizes must follow from sizes";
constexpr std::string_view kBits = "Weir has no ops on the bits of integers";

constexpr std::array kLacking{
    LackingOp{"QuantizeLinear", kQuantized},
    LackingOp{"DequantizeLinear", kQuantized},
    LackingOp{"DynamicQuantizeLinear", kQuantized},
    LackingOp{"QLinearConv", kQuantized},
    LackingOp{"QLinearMatMul", kQuantized},
    LackingOp{"ConvInteger", kQuantized},
    LackingOp{"MatMulInteger", kQuantized},

    LackingOp{"AffineGrid", kNotYet},
    LackingOp{"Attention", kNotYet},
    LackingOp{"Col2Im", kNotYet},
    LackingOp{"CumProd", kNotYet},
    LackingOp{"DeformConv", kNotYet},
    LackingOp{"Det", kNotYet},
    LackingOp{"GridSample", kNotYet},
    LackingOp{"MaxRoiPool", kNotYet},
    LackingOp{"MaxUnpool", kNotYet},
    LackingOp{"MelWeightMatrix", kNotYet},
    LackingOp{"RoiAlign", kNotYet},
    LackingOp{"RotaryEmbedding", kNotYet},
    LackingOp{"TensorScatter", kNotYet},

    LackingOp{"Bernoulli", kRandom},
    LackingOp{"Multinomial", kRandom},
    LackingOp{"RandomNormal", kRandom},
    LackingOp{"RandomNormalLike", kRandom},
    LackingOp{"RandomUniform", kRandom},
    LackingOp{"RandomUniformLike", kRandom},

    LackingOp{"Compress", kDataShape},
    LackingOp{"NonMaxSuppression", kDataShape},
    LackingOp{"NonZero", kDataShape},
    LackingOp{"Unique", kDataShape},

    LackingOp{"Loop", kLoop},
    LackingOp{"Scan", kLoop},

    LackingOp{"BitShift", kBits},
    LackingOp{"BitCast", kBits},
    LackingOp{"BitwiseAnd", kBits},
    LackingOp{"BitwiseNot", kBits},
    LackingOp{"BitwiseOr", kBits},
    LackingOp{"BitwiseXor", kBits},

    LackingOp{"ConcatFromSequence", kSequence},
    LackingOp{"Optional", kSequence},
    LackingOp{"OptionalGetElement", kSequence},
    LackingOp{"OptionalHasElement", kSequence},
    LackingOp{"SequenceAt", kSequence},
    LackingOp{"SequenceConstruct", kSequence},
    LackingOp{"SequenceEmpty", kSequence},
    LackingOp{"SequenceErase", kSequence},
    LackingOp{"SequenceInsert", kSequence},
    LackingOp{"SequenceLength", kSequence},
    LackingOp{"SequenceMap", kSequence},
    LackingOp{"SplitToSequence", kSequence},

    LackingOp{"ImageDecoder", kString},
    LackingOp{"RegexFullMatch", kString},
    LackingOp{"StringConcat", kString},
    LackingOp{"StringNormalizer", kString},
    LackingOp{"StringSplit", kString},
    LackingOp{"TfIdfVectorizer", kString},
};

}  // namespace

void add_lacking_ops(ConverterTable& table) {
  table.lacking.assign(kLacking.begin(), kLacking.end());
}

}  // namespace weir::onnx_format
