#include "security/guess_limits.h"

#include <algorithm>

namespace hf::security {
namespace {
constexpr int64_t kFree = 5, kLongest = 900, kForgiven = 3600, kOfAName = 100, kAMinute = 60;
}

const GuessLimits::Count* GuessLimits::of_source(const std::string& source) const {
  auto it = sources_.find(source);
  if (it == sources_.end() && sources_.size() >= kMost) it = sources_.find("");
  return it == sources_.end() ? nullptr : &it->second;
}

int64_t GuessLimits::wait(int64_t now, const std::string& name, const std::string& source) const {
  int64_t out = 0;
  if (const Count* c = of_source(source); c && c->wrong >= kFree && now - c->last < kForgiven) {
    const int64_t longest = c->wrong - kFree >= 10 ? kLongest : std::min(kLongest, int64_t{1} << (c->wrong - kFree));
    out = std::max(out, c->last + longest - now);
  }
  if (auto it = names_.find(name); it != names_.end() && it->second.wrong >= kOfAName)
    if (now - it->second.since < kForgiven) out = std::max(out, it->second.last + kAMinute - now);
  return out;
}

void GuessLimits::wrong(int64_t now, const std::string& name, const std::string& source) {
  if (sources_.size() >= kMost && !sources_.count(source))
    std::erase_if(sources_, [&](const auto& s) { return now - s.second.last >= kForgiven; });
  Count& c = sources_[sources_.size() >= kMost && !sources_.count(source) ? "" : source];
  if (now - c.last >= kForgiven) c = {};
  ++c.wrong;
  c.last = now;
  if (name.empty()) return;
  Count& n = names_[name];
  if (n.wrong == 0 || now - n.since >= kForgiven) n = {0, now, now};
  ++n.wrong;
  n.last = now;
}

void GuessLimits::right(const std::string& source) { sources_.erase(source); }

}  // namespace hf::security
