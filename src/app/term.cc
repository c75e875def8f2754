#include "app/term.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/text.h"

namespace hf::app {
namespace {

constexpr int64_t kRedrawUs = 100'000;
constexpr int kMaxColumns = 160;
constexpr double kMaxValue = 1e100;  // beyond it differences overflow

class StderrTerminal : public Terminal {
 public:
  void write(const std::string& text) override {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  }
  bool interactive() const override {
    const char* term = std::getenv("TERM");
    return isatty(2) == 1 && term && std::string_view(term) != "dumb" && !std::getenv("CI");
  }
  int columns() const override {
    winsize size{};
    if (ioctl(2, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return std::min<int>(size.ws_col, kMaxColumns);
  }
};

void append_utf8(std::string& out, uint32_t code) {  // U+0800 to U+FFFF
  out += static_cast<char>(0xe0 | code >> 12);
  out += static_cast<char>(0x80 | (code >> 6 & 63));
  out += static_cast<char>(0x80 | (code & 63));
}

std::string scale_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%8.3g", value);
  return text;
}

}  // namespace

Result<std::string> read_secret(const std::string& what) {
  const bool terminal = isatty(0) == 1;
  termios before{};
  if (terminal) {
    std::fprintf(stderr, "%s: ", what.c_str());
    if (tcgetattr(0, &before) != 0) return fail(Code::invalid, "the terminal does not say how it echoes");
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (tcsetattr(0, TCSAFLUSH, &quiet) != 0) return fail(Code::invalid, "the terminal does not stop its echo");
  }
  // Byte by byte: what stands behind the line belongs to the next question.
  std::string line;
  char c = 0;
  ssize_t n = 0;
  while ((n = ::read(0, &c, 1)) == 1 && c != '\n' && line.size() < 4096) line += c;
  if (terminal) {
    tcsetattr(0, TCSAFLUSH, &before);
    std::fputc('\n', stderr);
  }
  if (line.ends_with('\r')) line.pop_back();
  if (n != 1 && line.empty()) return fail(Code::invalid, what + ": expected a line on standard input, found its end");
  return line;
}

Terminal& stderr_terminal() {
  static StderrTerminal terminal;
  return terminal;
}

size_t display_width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string clip(const std::string& text, size_t columns) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); i++) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && width++ == columns) return text.substr(0, i);
  }
  return text;
}

void LiveBlock::draw(const std::vector<std::string>& lines, const std::string& plain, bool force) {
  int64_t now = clock_.monotonic_us();
  bool live = terminal_.interactive();
  if (any_ && !force && now - last_us_ < (live ? kRedrawUs : plain_every_us_)) return;
  any_ = true;
  last_us_ = now;
  if (!live) {
    terminal_.write(plain + "\n");
    return;
  }
  auto columns = static_cast<size_t>(std::max(terminal_.columns(), 1));
  std::string out;
  if (drawn_ > 0) out += "\x1b[" + std::to_string(drawn_) + "A";  // up to the block's first line
  for (const auto& line : lines) out += "\r" + clip(line, columns) + "\x1b[K\n";
  for (size_t i = lines.size(); i < drawn_; i++) out += "\x1b[K\n";
  if (lines.size() < drawn_) out += "\x1b[" + std::to_string(drawn_ - lines.size()) + "A";
  drawn_ = lines.size();
  terminal_.write(out);
}

void LiveBlock::finish() {
  drawn_ = 0;
  any_ = false;
}

ProgressBar::ProgressBar(Terminal& terminal, os::Clock& clock, std::string label, uint64_t total)
    : terminal_(terminal),
      clock_(clock),
      block_(terminal, clock),
      label_(std::move(label)),
      total_(total),
      started_us_(clock.monotonic_us()) {}

void ProgressBar::update(uint64_t done, const std::string& note) {
  if (finished_) return;
  done_ = std::min(done, total_);
  draw(note, false);
}

void ProgressBar::finish(const std::string& note) {
  if (finished_) return;
  draw(note, true);
  block_.finish();
  finished_ = true;
}

void ProgressBar::draw(const std::string& note, bool force) {
  double fraction = total_ ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
  double elapsed = static_cast<double>(clock_.monotonic_us() - started_us_) / 1e6;
  double left = fraction >= 1 ? 0 : fraction > 0 ? elapsed * (1 - fraction) / fraction : -1;
  std::string text = std::to_string(done_) + "/" + std::to_string(total_) + (note.empty() ? "" : "  " + note);
  std::string line = progress_line(label_, fraction, left, text, terminal_.interactive() ? terminal_.columns() : 120);
  block_.draw({line}, line, force);
}

Waiting::Waiting(Terminal& terminal, os::Clock& clock, std::string label)
    : terminal_(terminal), clock_(clock), label_(std::move(label)) {
  thread_ = os::Thread("hf-waiting", [this] { run(); });
}

Waiting::~Waiting() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  ended_.notify_all();
}

void Waiting::run() {
  LiveBlock block(terminal_, clock_);
  const int64_t begun = clock_.monotonic_us();
  std::unique_lock lock(mutex_);
  for (auto pause = std::chrono::milliseconds(2000); !ended_.wait_for(lock, pause, [this] { return over_; });
       pause = std::chrono::milliseconds(200)) {
    const std::string line = waiting_line(label_, static_cast<double>(clock_.monotonic_us() - begun) / 1e6, bytes_);
    block.draw({line}, line);
  }
}

std::string waiting_line(const std::string& label, double seconds, uint64_t bytes) {
  return label + "  " + duration(seconds) + (bytes > 0 ? "  " + human_bytes(bytes) : "");
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  auto s = static_cast<int64_t>(std::min(seconds, 1e9) + 0.5);
  char text[48];
  if (s < 60) {
    std::snprintf(text, sizeof text, "%lld s", static_cast<long long>(s));
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%lld min %02lld s", static_cast<long long>(s / 60),
                  static_cast<long long>(s % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld h %02lld min", static_cast<long long>(s / 3600),
                  static_cast<long long>(s / 60 % 60));
  }
  return text;
}

std::string progress_line(const std::string& label, double fraction, double seconds_left, const std::string& note,
                          int columns) {
  fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0;
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3d %%", static_cast<int>(fraction * 100));
  std::string after = std::string("] ") + percent + (note.empty() ? "" : "  " + note);
  if (fraction < 1) after += "  " + duration(seconds_left) + " left";
  std::string before = label + " [";
  int room = columns - static_cast<int>(display_width(before) + display_width(after));
  int width = std::clamp(room, 4, 40);
  auto full = static_cast<size_t>(fraction * width);
  std::string bar = std::string(full, '#') + std::string(static_cast<size_t>(width) - full, '-');
  return clip(before + bar + after, static_cast<size_t>(std::max(columns, 0)));
}

std::vector<std::string> draw_curve(const std::vector<std::pair<double, double>>& points, double x_max, int columns,
                                    int rows) {
  constexpr int kScale = 11;  // "   12.3 |"
  int width = std::clamp(columns, kScale + 4, kMaxColumns) - kScale;
  rows = std::clamp(rows, 2, 40);
  // A braille cell is 2 dots wide and 4 high; the dots' bits (Unicode block U+2800).
  static constexpr uint32_t kDots[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
  int dots_x = width * 2, dots_y = rows * 4;
  double low = INFINITY, high = -INFINITY;
  std::vector<std::pair<double, size_t>> sums(static_cast<size_t>(dots_x), {0, 0});  // of y at each dot's column
  for (auto [x, y] : points) {
    if (!std::isfinite(x) || !(std::fabs(y) < kMaxValue) || x < 0 || x > x_max) continue;
    auto column = static_cast<size_t>(x_max > 0 ? x / x_max * (dots_x - 1) : 0);
    sums[column].first += y;
    sums[column].second++;
  }
  for (auto [sum, n] : sums) {
    if (n == 0) continue;
    low = std::min(low, sum / static_cast<double>(n));
    high = std::max(high, sum / static_cast<double>(n));
  }
  bool any = std::isfinite(low);
  double range = high > low ? high - low : 1;
  std::vector<std::vector<uint32_t>> cells(static_cast<size_t>(rows),
                                           std::vector<uint32_t>(static_cast<size_t>(width)));
  auto set = [&](int x, int y) {
    cells[static_cast<size_t>(y / 4)][static_cast<size_t>(x / 2)] |= kDots[x % 2][y % 4];
  };
  int last_x = -1, last_y = 0;
  for (int x = 0; any && x < dots_x; x++) {
    auto [sum, n] = sums[static_cast<size_t>(x)];
    if (n == 0) continue;
    int y = static_cast<int>((high - sum / static_cast<double>(n)) / range * (dots_y - 1) + 0.5);
    int from = last_x < 0 ? x : last_x;
    for (int i = from, before = last_x < 0 ? y : last_y; i <= x; i++) {  // a line from the point before, without gaps
      double part = x == from ? 1 : static_cast<double>(i - from) / (x - from);
      int now = last_x < 0 ? y : static_cast<int>(last_y + (y - last_y) * part + 0.5);
      for (int dot = std::min(before, now); dot <= std::max(before, now); dot++) set(i, dot);
      before = now;
    }
    last_x = x;
    last_y = y;
  }
  std::vector<std::string> lines;
  for (int r = 0; r < rows; r++) {
    bool labelled = any && (r == 0 || r == rows - 1);
    std::string line = labelled ? scale_text(r == 0 ? high : low) + " |" : std::string(8, ' ') + " |";
    for (uint32_t bits : cells[static_cast<size_t>(r)]) append_utf8(line, 0x2800 + bits);
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace hf::app
