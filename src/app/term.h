// What is drawn on standard error while something takes long: progress bars with the time left, and the loss curve of a
// training. On a terminal a block of lines is redrawn in place; elsewhere (a pipe, a log) plain lines now and then.
// One thread at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/thread.h"

namespace hf::app {

class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void write(const std::string& text) = 0;
  virtual bool interactive() const = 0;  // control sequences may be used
  virtual int columns() const = 0;       // as of now: windows are resized
};
// Interactive if it is a terminal, TERM is not "dumb", and CI is not set.
Terminal& stderr_terminal();

// A line of standard input, at most 4 KiB: of a terminal without echo, and `what` is asked for on standard error.
// invalid: there is none.
Result<std::string> read_secret(const std::string& what);

// A block of lines at the bottom of the terminal that is redrawn in place, at most ten times a second.
class LiveBlock {
 public:
  // `plain_every_us`: how often a plain line is written where the terminal is not interactive.
  LiveBlock(Terminal& terminal, os::Clock& clock, int64_t plain_every_us = 5'000'000)
      : terminal_(terminal), clock_(clock), plain_every_us_(plain_every_us) {}
  ~LiveBlock() { finish(); }
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  // Lines must fit into columns(). `plain` is written instead where lines cannot be redrawn. `force`: now, whatever the
  // rate.
  void draw(const std::vector<std::string>& lines, const std::string& plain, bool force = false);
  void finish();  // leaves what was drawn last; the next draw() starts a new block

 private:
  Terminal& terminal_;
  os::Clock& clock_;
  int64_t plain_every_us_, last_us_ = 0;
  size_t drawn_ = 0;
  bool any_ = false;
};

// "evaluating  [######----]  62 %  618/1000  12 s left" on one line.
class ProgressBar {
 public:
  ProgressBar(Terminal& terminal, os::Clock& clock, std::string label, uint64_t total);
  ~ProgressBar() { finish(""); }
  void update(uint64_t done, const std::string& note = "");  // done in [0, total]
  void finish(const std::string& note);                      // draws it full, once

 private:
  void draw(const std::string& note, bool force);
  Terminal& terminal_;
  os::Clock& clock_;
  LiveBlock block_;
  std::string label_;
  uint64_t total_, done_ = 0;
  int64_t started_us_;
  bool finished_ = false;
};

// For what cannot say how far it is: after two seconds, "importing  14 s" or "fetching x  8 s  12.0 MiB", redrawn by a
// thread of its own until it is destroyed. What is shorter shows nothing.
class Waiting {
 public:
  Waiting(Terminal& terminal, os::Clock& clock, std::string label);
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  void moved(uint64_t bytes) { bytes_ += bytes; }  // any thread

 private:
  void run();
  Terminal& terminal_;
  os::Clock& clock_;
  const std::string label_;
  std::atomic<uint64_t> bytes_ = 0;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;  // guarded by mutex_
  os::Thread thread_;
};

// What `work` gives, with that on the terminal while it takes.
template <class WorkToDo>
auto waiting_for(os::Clock& clock, const std::string& label, const WorkToDo& work) {
  Waiting waiting(stderr_terminal(), clock, label);
  return work();
}

// ---- pure drawing, for the above and for tests

std::string waiting_line(const std::string& label, double seconds, uint64_t bytes);

std::string duration(
    double seconds);  // "8 s", "2 min 05 s", "1 h 02 min"; "-" if it is not known (negative, not finite)

// One line of at most `columns` characters. `seconds_left` < 0: not known.
std::string progress_line(const std::string& label, double fraction, double seconds_left, const std::string& note,
                          int columns);

// Points (x, y) as a curve of braille dots, `rows` lines of at most `columns` characters with the scale at the left. x
// runs from 0 to x_max (points may end before it: the rest stays free). Points that are not finite, or beyond 1e100,
// are left out.
std::vector<std::string> draw_curve(const std::vector<std::pair<double, double>>& points, double x_max, int columns,
                                    int rows);

size_t display_width(const std::string& text);              // code points: what we write has no wide ones
std::string clip(const std::string& text, size_t columns);  // the first so many code points

}  // namespace hf::app
