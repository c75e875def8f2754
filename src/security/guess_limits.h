// How often somebody may be wrong. No threads, no clock.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace hf::security {

// Of one source (an address): after 5 wrong guesses it waits 1 s, and twice as long after each more, up to 15 minutes;
// an hour without one forgives. Of one name, from wherever: after 100 within an hour, one a minute; so a name can be
// kept waiting by many sources, and not be guessed by them.
class GuessLimits {
 public:
  // Seconds to wait; 0: may guess. now_s: monotonic. name "": nobody's.
  int64_t wait(int64_t now_s, const std::string& name, const std::string& source) const;
  void wrong(int64_t now_s, const std::string& name, const std::string& source);
  void right(const std::string& source);

 private:
  struct Count {
    int64_t wrong = 0, since = 0, last = 0;
  };
  static constexpr size_t kMost = 10'000;  // sources that are told apart; beyond: the others are one
  const Count* of_source(const std::string& source) const;
  std::map<std::string, Count> sources_, names_;
};

}  // namespace hf::security
