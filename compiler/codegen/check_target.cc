#include "compiler/codegen/check_target.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/TargetParser/RISCVISAInfo.h>

#include "compiler/codegen/llvm_versions.h"
#include "ir/diagnostic.h"
#include "ir/escape.h"
#include "ir/similar_names.h"

namespace weir {
namespace {

using Subtarget = llvm::MCSubtargetInfo;

// Those in one of LLVM's tables.
template <class Table>
std::string near_names(const std::string& wanted, const Table& table) {
  std::vector<std::string> all;
  for (const auto& row : table) all.emplace_back(name_of_row(row));
  std::vector<std::string> near = similar_names(wanted, all, 8);
  return near.empty() ? std::string() : fmt::format("; near it are {}", fmt::join(near, ", "));
}

std::string arch_name(const Subtarget& info) { return info.getTargetTriple().getArchName().str(); }

void check_names(const Subtarget& info, const TargetSpec& spec,
                 std::span<const std::string> features) {
  if (!spec.cpu.empty() && !info.isCPUStringValid(spec.cpu))
    throw Error(fmt::format("there is no CPU {} for {}{}", printable(spec.cpu), arch_name(info),
                            near_names(spec.cpu, info.getAllProcessorDescriptions())));
  for (const std::string& part : features) {
    if (part.empty())
      throw Error(
          fmt::format("a feature between two commas is missing in '{}'", printable(spec.features)));
    bool sign = part.starts_with("+") || part.starts_with("-");
    std::string name = part.substr(sign ? 1 : 0);
    auto known = [&](const llvm::SubtargetFeatureKV& row) { return name == name_of_row(row); };
    auto table = info.getAllProcessorFeatures();
    bool is_known = std::any_of(table.begin(), table.end(), known);
    if (is_known && !sign)
      throw Error(fmt::format(
          "the feature {0} is to be added or to be taken away: write +{0} or -{0}", name));
    if (!is_known)
      throw Error(fmt::format("{} is not a feature of {}; features are written +name or -name{}",
                              printable(part), arch_name(info), near_names(name, table)));
  }
}

// What a processor must have or must not have, where it has the feature `where`, to be one for the
// target.
struct Rule {
  const char* feature;
  bool wanted;
  const char* why;
  const char* where = nullptr;
};

std::vector<Rule> rules_of(const llvm::Triple& triple) {
  const bool wide = triple.isArch64Bit();
  constexpr const char* kWidth = "how wide the code is says the target";
  constexpr const char* kLibrary = "with soft-float an object would call a library";
  if (triple.isX86()) {
    std::vector<Rule> rules{
        {"64bit-mode", wide, kWidth},
        {"32bit-mode", !wide, kWidth},
        {"16bit-mode", false, kWidth},
        // The registers of x87 keep more bits than a number has.
        {"sse2", true, "without sse2 results would have other bits than elsewhere"},
        {"soft-float", false, kLibrary}};
    if (wide)
      rules.push_back({"64bit", true, "without 64bit it runs no code of 64 bits"});
    else
      rules.push_back({"tagged-globals", false, "addresses of 32 bits have no room for tags"});
    return rules;
  }
  if (triple.isRISCV())
    return {{"64bit", wide, wide ? "without 64bit it runs no code of 64 bits" : kWidth},
            {"32bit", !wide, wide ? kWidth : "without 32bit it runs no code of 32 bits"}};
  if (triple.isARM() || triple.isThumb())
    return {{"soft-float", false, kLibrary},
            {"mve", false, "no processor has both mve and neon", "neon"},
            {"vfp2sp", true, "fp64 stands on vfp2sp", "fp64"},
            {"v8m", true, "branches of thumb2 are those of v8m", "thumb2"}};
  return {};
}

bool has(const Subtarget& info, llvm::StringRef name) {
  auto table = info.getAllProcessorFeatures();
  auto row = std::find_if(table.begin(), table.end(), [&](const llvm::SubtargetFeatureKV& feature) {
    return name == name_of_row(feature);
  });
  return row != table.end() && info.getFeatureBits()[row->Value];
}

// Why RISC-V's extensions do not go together, in LLVM's words.
std::optional<std::string> extensions_at_odds(const Subtarget& info) {
  std::vector<std::string> extensions;
  for (const llvm::SubtargetFeatureKV& feature : info.getAllProcessorFeatures())
    if (info.getFeatureBits()[feature.Value] &&
        llvm::RISCVISAInfo::isSupportedExtensionFeature(name_of_row(feature)))
      extensions.push_back(std::string("+") + name_of_row(feature));
  auto parsed =
      llvm::RISCVISAInfo::parseFeatures(info.getTargetTriple().isArch64Bit() ? 64 : 32, extensions);
  if (parsed) return std::nullopt;
  return llvm::toString(parsed.takeError());
}

// What does not fit, as the end of a sentence; nothing if all does.
std::optional<std::string> misfit(const Subtarget& info) {
  for (const Rule& rule : rules_of(info.getTargetTriple()))
    if ((rule.where == nullptr || has(info, rule.where)) && has(info, rule.feature) != rule.wanted)
      return rule.why;
  if (info.getTargetTriple().isRISCV()) return extensions_at_odds(info);
  return std::nullopt;
}

}  // namespace

const char* plain_cpu(const llvm::Triple& triple) {
  if (triple.isX86()) return "x86-64";
  if (triple.isRISCV()) return triple.isRISCV64() ? "generic-rv64" : "generic-rv32";
  return triple.isARM() || triple.isWasm() ? "" : "generic";
}

void check_target(const llvm::Target& backend, const TargetSpec& spec, const Target& target) {
  if (spec.cpu.empty() && spec.features.empty()) return;
  std::vector<std::string> features;
  if (!spec.features.empty()) {
    llvm::SmallVector<llvm::StringRef, 8> parts;
    llvm::StringRef(spec.features).split(parts, ',');
    for (llvm::StringRef part : parts) features.push_back(part.str());
  }
  llvm::Triple triple(target.triple);
  if (auto plain = make_subtarget(backend, triple, "", "")) check_names(*plain, spec, features);
  if (!misfit(*make_subtarget(backend, triple, target.cpu, target.features))) return;
  std::string arch = triple.getArchName().str();
  llvm::StringRef own = llvm::StringRef(target.features).drop_back(spec.features.size());
  std::string given = own.rtrim(',').str();
  if (auto problem = misfit(*make_subtarget(backend, triple, target.cpu, given)))
    throw Error(fmt::format("the CPU {} does not fit {}: {}; one that does is {}", target.cpu, arch,
                            *problem, plain_cpu(triple)));
  // One by one, to name the first with which it no longer fits.
  for (const std::string& feature : features) {
    given += (given.empty() ? "" : ",") + feature;
    if (auto problem = misfit(*make_subtarget(backend, triple, target.cpu, given)))
      throw Error(fmt::format("the feature {} does not fit {}{}: {}; leave it out", feature, arch,
                              spec.cpu.empty() ? "" : " with the CPU " + spec.cpu, *problem));
  }
}

}  // namespace weir
