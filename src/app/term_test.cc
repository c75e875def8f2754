#include "app/term.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/text.h"

namespace hf::app {
namespace {

class FakeTerminal : public Terminal {
 public:
  explicit FakeTerminal(bool interactive) : interactive_(interactive) {}
  void write(const std::string& text) override { out += text; }
  bool interactive() const override { return interactive_; }
  int columns() const override { return width; }
  std::string out;
  int width = 80;

 private:
  bool interactive_;
};

class FakeClock : public os::Clock {
 public:
  Micros now() override { return us; }
  int64_t monotonic_us() override { return us; }
  void sleep_us(int64_t n) override { us += n; }
  int64_t us = 1'000'000;
};

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) n++;
  return n;
}

TEST(Term, DurationsAreForPeople) {
  EXPECT_EQ(duration(7.6), "8 s");
  EXPECT_EQ(duration(125), "2 min 05 s");
  EXPECT_EQ(duration(3720), "1 h 02 min");
  EXPECT_EQ(duration(-1), "-");
  EXPECT_EQ(duration(NAN), "-");
  EXPECT_EQ(duration(INFINITY), "-");
}

TEST(Term, ProgressLineFitsAnyWidth) {
  EXPECT_EQ(progress_line("reading", 0.5, 12, "5/10", 60),
            "reading [#############--------------]  50 %  5/10  12 s left");
  EXPECT_EQ(progress_line("reading", 1, 0, "", 30), "reading [##############] 100 %");
  for (int columns = 0; columns < 200; columns++) {
    for (double fraction : {-1.0, 0.0, 0.3, 1.0, 2.0, static_cast<double>(NAN)}) {
      EXPECT_LE(display_width(progress_line("label", fraction, 5, "note", columns)), static_cast<size_t>(columns));
    }
  }
}

TEST(Term, PipesGetPlainLinesNowAndThen) {
  FakeTerminal terminal(false);
  FakeClock clock;
  {
    ProgressBar bar(terminal, clock, "work", 100);
    for (uint64_t i = 0; i <= 100; i++) {
      bar.update(i);
      clock.us += 200'000;  // 20 s in all, a line each 5 s, and one at the end
    }
  }
  EXPECT_EQ(terminal.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(count(terminal.out, "\n"), 6u) << terminal.out;
  EXPECT_NE(terminal.out.find("100 %  100/100\n"), std::string::npos) << terminal.out;
}

TEST(Term, TerminalsAreRedrawnInPlaceAtMostTenTimesASecond) {
  FakeTerminal terminal(true);
  FakeClock clock;
  LiveBlock block(terminal, clock);
  for (int i = 0; i < 1000; i++) {
    block.draw({"a", "b"}, "plain");
    clock.us += 1'000;
  }
  EXPECT_EQ(count(terminal.out, "\x1b[2A"), 9u);
  EXPECT_EQ(terminal.out.find("plain"), std::string::npos);
  terminal.out.clear();
  block.draw({"c"}, "plain", true);  // a shorter block clears what is left over
  EXPECT_EQ(terminal.out, "\x1b[2A\rc\x1b[K\n\x1b[K\n\x1b[1A");
  terminal.out.clear();
  terminal.width = 3;
  block.draw({"abcdef"}, "plain", true);
  EXPECT_NE(terminal.out.find("\rabc\x1b"), std::string::npos);
}

TEST(Term, TimeLeftComesFromWhatIsDone) {
  FakeTerminal terminal(true);
  FakeClock clock;
  ProgressBar bar(terminal, clock, "work", 100);
  clock.us += 10'000'000;
  bar.update(25);
  EXPECT_NE(terminal.out.find("30 s left"), std::string::npos) << terminal.out;
}

TEST(Term, CurveFallsFromLeftToRight) {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i <= 100; i++) points.emplace_back(i, 6 * std::exp(-i / 20.0) + 0.5);
  auto lines = draw_curve(points, 200, 60, 6);
  ASSERT_EQ(lines.size(), 6u);
  for (const auto& line : lines) {
    EXPECT_LE(display_width(line), 60u);
    EXPECT_TRUE(valid_utf8(line));
  }
  EXPECT_NE(lines[0].find("6."), std::string::npos);
  EXPECT_NE(lines[5].find("0.5"), std::string::npos);
  const std::string blank = "\xe2\xa0\x80";
  size_t scale = lines[0].find('|') + 1;
  EXPECT_NE(lines[0].substr(scale, 3), blank);             // it starts at the top left
  EXPECT_EQ(lines[5].substr(scale, 3), blank);             // and not at the bottom
  EXPECT_EQ(lines[5].substr(lines[5].size() - 3), blank);  // the part that has not run yet is free
}

TEST(Term, CurveTakesAnything) {
  EXPECT_EQ(draw_curve({}, 0, 0, 0).size(), 2u);
  EXPECT_EQ(draw_curve({{0, 1}}, 0, 80, 5).size(), 5u);
  EXPECT_EQ(waiting_line("importing", 14.2, 0), "importing  14 s");
  EXPECT_EQ(waiting_line("fetching", 3, 3 << 20), "fetching  3 s  3.0 MiB");
  // A cliff between two neighbours is one line: no row of it is empty.
  const std::string empty = "\xe2\xa0\x80";
  for (const auto& line : draw_curve({{0, 9}, {1, 1}}, 100, 80, 8)) {
    std::string dots = line.substr(line.find('|') + 1);
    for (size_t at; (at = dots.find(empty)) != std::string::npos;) dots.erase(at, empty.size());
    EXPECT_NE(dots, "");
  }
  EXPECT_EQ(draw_curve({{0, NAN}, {1, INFINITY}, {-1, 2}, {5, 3}}, 4, 80, 5).size(), 5u);
  EXPECT_EQ(draw_curve({{0, 1e308}, {1, -1e308}, {2, 1}}, 2, 20, 3).size(), 3u);
}

}  // namespace
}  // namespace hf::app
