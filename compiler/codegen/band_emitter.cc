#include "compiler/codegen/band_emitter.h"

#include <string>
#include <vector>

namespace weir {
namespace {

// Fields of the frame that the function gets.
enum BandField : unsigned {
  kFirstFrame,
  kSecondFrame,
  kMemory,       // of all workers
  kBandBytes,    // of each
  kSourceBytes,  // of a row of the first call
  kBands,        // of an image
  kBandRows,     // of the second call
  kRows,
  kSourceRows,
  kStride,
  kFirstUnits,  // of a row
  kSecondUnits,
  kBandFields
};

llvm::StructType* band_frame_type(llvm::IRBuilder<>& b) {
  std::vector<llvm::Type*> fields(kBandFields, b.getInt64Ty());
  for (BandField pointer : {kFirstFrame, kSecondFrame, kMemory}) fields[pointer] = b.getPtrTy();
  return llvm::StructType::get(b.getContext(), fields);
}

}  // namespace

BandEmitter::Run BandEmitter::emit(const Bands& bands, std::size_t number, const BandedCall& first,
                                   const BandedCall& second) {
  llvm::StructType* type = band_frame_type(b_);
  llvm::AllocaInst* frame = entry_slot(b_, type);
  auto put = [&](BandField field, llvm::Value* value) {
    b_.CreateStore(value, b_.CreateStructGEP(type, frame, field));
  };
  auto of_row = [&](llvm::Value* units, const Dim& rows) {
    return primitives_.quotient(units, sizes_.at_least_1(bands.images * rows));
  };
  llvm::Value* rows = sizes_.dimension(bands.rows);
  llvm::Value* band_rows = sizes_.rows_of_band(bands);
  llvm::Value* in_image =
      primitives_.quotient(b_.CreateSub(b_.CreateAdd(rows, band_rows), sizes_.i64(1)), band_rows);
  put(kFirstFrame, first.frame);
  put(kSecondFrame, second.frame);
  put(kMemory, memory_.of_workers());
  put(kBandBytes, sizes_.bytes_of_band(bands));
  put(kSourceBytes, sizes_.dimension(bands.source_bytes));
  put(kBands, in_image);
  put(kBandRows, band_rows);
  put(kRows, rows);
  put(kSourceRows, sizes_.dimension(bands.source_rows));
  put(kStride, sizes_.i64(bands.stride));
  put(kFirstUnits, of_row(first.units, bands.source_rows));
  put(kSecondUnits, of_row(second.units, bands.rows));
  llvm::Function* function =
      parallel_.declare("weir.bands" + std::to_string(number), parallel_.kernel_type());
  {
    llvm::IRBuilder<>::InsertPointGuard guard(b_);
    emit_function(*function, first, second);
  }
  return {function, frame, b_.CreateMul(sizes_.dimension(bands.images), in_image)};
}

void BandEmitter::emit_function(llvm::Function& function, const BandedCall& first,
                                const BandedCall& second) {
  parallel_.enter(function);
  llvm::StructType* type = band_frame_type(b_);
  auto field = [&](BandField number) {
    return b_.CreateLoad(type->getElementType(number),
                         b_.CreateStructGEP(type, function.getArg(0), number));
  };
  auto block = [&](const char* name) {
    return llvm::BasicBlock::Create(b_.getContext(), name, &function);
  };
  // Other threads have frames of their own.
  auto copied = [&](const BandedCall& call, BandField from) {
    llvm::AllocaInst* copy = entry_slot(b_, call.frame_type);
    llvm::Value* source = field(from);
    for (unsigned i = 0; i < call.frame_type->getNumElements(); ++i)
      b_.CreateStore(b_.CreateLoad(call.frame_type->getElementType(i),
                                   b_.CreateStructGEP(call.frame_type, source, i)),
                     b_.CreateStructGEP(call.frame_type, copy, i));
    return copy;
  };
  llvm::AllocaInst *first_frame = copied(first, kFirstFrame),
                   *second_frame = copied(second, kSecondFrame);
  llvm::Value *source_bytes = field(kSourceBytes), *in_image = field(kBands),
              *band_rows = field(kBandRows), *rows = field(kRows),
              *source_rows = field(kSourceRows), *stride = field(kStride);
  llvm::Value* worker = b_.CreateZExt(function.getArg(3), b_.getInt64Ty());
  llvm::Value* band =
      b_.CreateGEP(b_.getInt8Ty(), field(kMemory), b_.CreateMul(worker, field(kBandBytes)));
  llvm::BasicBlock *before = b_.GetInsertBlock(), *test = block("test"), *body = block("band"),
                   *done = block("done");
  b_.CreateBr(test);
  b_.SetInsertPoint(test);
  llvm::PHINode* unit = b_.CreatePHI(b_.getInt64Ty(), 2);
  unit->addIncoming(function.getArg(1), before);
  b_.CreateCondBr(b_.CreateICmpSLT(unit, function.getArg(2)), body, done);
  b_.SetInsertPoint(body);
  auto lesser = [&](llvm::Value* a, llvm::Value* b) {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, a, b);
  };
  llvm::Value* image = primitives_.quotient(unit, in_image);
  llvm::Value* from = b_.CreateMul(b_.CreateSub(unit, b_.CreateMul(image, in_image)), band_rows);
  llvm::Value* to = lesser(b_.CreateAdd(from, band_rows), rows);
  // Of all images.
  auto run = [&](const BandedCall& call, llvm::AllocaInst* frame, llvm::Value* image_rows,
                 llvm::Value* begin, llvm::Value* end, BandField units) {
    llvm::Value* before_image = b_.CreateMul(image, image_rows);
    llvm::Value* each = field(units);
    b_.CreateCall(call.kernel,
                  {frame, b_.CreateMul(b_.CreateAdd(before_image, begin), each),
                   b_.CreateMul(b_.CreateAdd(before_image, end), each), function.getArg(3)});
  };
  // Windows in a frame may lie behind all rows.
  llvm::Value* source_from = lesser(b_.CreateMul(from, stride), source_rows);
  llvm::Value* source_to = lesser(b_.CreateMul(to, stride), source_rows);
  llvm::Value* behind =
      b_.CreateMul(b_.CreateAdd(b_.CreateMul(image, source_rows), source_from), source_bytes);
  llvm::Value* begin = b_.CreateGEP(b_.getInt8Ty(), band, b_.CreateNeg(behind));
  b_.CreateStore(begin, b_.CreateStructGEP(first.frame_type, first_frame, first.buffer));
  b_.CreateStore(begin, b_.CreateStructGEP(second.frame_type, second_frame, second.buffer));
  run(first, first_frame, source_rows, source_from, source_to, kFirstUnits);
  run(second, second_frame, rows, from, to, kSecondUnits);
  unit->addIncoming(b_.CreateAdd(unit, b_.getInt64(1)), b_.GetInsertBlock());
  b_.CreateBr(test);
  b_.SetInsertPoint(done);
  b_.CreateRetVoid();
}

}  // namespace weir
