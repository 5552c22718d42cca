// The plot of losses: the lines go through the losses, on axes whose numbers are where they belong.
#include "compiler/training/loss_plot.h"

#include <cmath>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

std::vector<EpochReport> reports_of(std::initializer_list<double> training, bool validated) {
  std::vector<EpochReport> reports;
  for (double loss : training) {
    EpochReport report;
    report.epoch = static_cast<std::int64_t>(reports.size()) + 1;
    report.training.loss = loss;
    if (validated) report.validation = Quality{loss / 2, {}};
    reports.push_back(report);
  }
  return reports;
}

// Where a number stands beside the axis of the losses: the height of its line.
double height_of(const std::string& svg, const std::string& number) {
  std::smatch match;
  std::regex tick("H700.0\" [^\n]*\n<text x=\"62.0\" y=\"([0-9.]+)\" text-anchor=\"end\">" +
                  number + "</text>");
  EXPECT_TRUE(std::regex_search(svg, match, tick)) << number << " in " << svg;
  return match.empty() ? NAN : std::stod(match[1]) - 4;
}

std::vector<std::string> lines_of(const std::string& svg) {
  std::vector<std::string> lines;
  std::regex line("<path d=\"(M[^\"]*)\" fill=\"none\" stroke=\"#[0-9a-f]{6}\" stroke-width");
  for (std::sregex_iterator i(svg.begin(), svg.end(), line), end; i != end; ++i)
    lines.push_back((*i)[1]);
  return lines;
}

TEST(LossPlot, DrawsLossesWhereTheAxisSays) {
  std::string svg = loss_plot(reports_of({2, 1, 0.5}, true));
  double zero = height_of(svg, "0"), half = height_of(svg, "0.5"), one = height_of(svg, "1"),
         two = height_of(svg, "2");
  EXPECT_NEAR(zero - one, one - two, 0.2);
  EXPECT_NEAR(zero - half, half - one, 0.2);
  // Epochs 1 to 3 from the left end to the right one.
  EXPECT_THAT(
      lines_of(svg),
      testing::ElementsAre(fmt::format("M70.0 {:.1f}L385.0 {:.1f}L700.0 {:.1f}", two, one, half),
                           fmt::format("M70.0 {:.1f}L385.0 {:.1f}L700.0 {:.1f}", one, half,
                                       zero - (zero - one) / 4)));
  EXPECT_THAT(svg, testing::HasSubstr(">validation</text>"));
  EXPECT_THAT(svg, testing::HasSubstr(">epoch</text>"));
}

TEST(LossPlot, LeavesGapsAndHasNoNumberThatIsNone) {
  std::string svg = loss_plot(reports_of({3, NAN, 1, INFINITY, 2, 2}, false));
  EXPECT_EQ(lines_of(svg).size(), 1U);
  // Epochs 1 and 3 stand alone.
  EXPECT_THAT(lines_of(svg)[0], testing::MatchesRegex("M[0-9. ]+M[0-9. ]+M[0-9. ]+L[0-9. ]+"));
  for (const std::string& svg_of : {svg, loss_plot(reports_of({0}, false)), loss_plot({}),
                                    loss_plot(reports_of({NAN}, true))}) {
    EXPECT_EQ(svg_of.find("nan"), std::string::npos);
    EXPECT_EQ(svg_of.find("inf"), std::string::npos);
    EXPECT_TRUE(svg_of.ends_with("</svg>\n"));
  }
  EXPECT_THAT(svg, testing::Not(testing::HasSubstr("validation")));
}

}  // namespace
}  // namespace weir
