// Settings of a site: one row each. `holdfast up --NAME`, STATE/settings.json and the help read it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fs.h"

namespace hf::app {

struct Setting {
  const char* name;   // "kv-mib"
  const char* value;  // default, as text
  const char*
      form;  // "integer 16..1048576", "address:port", "file", "a|b|c" (one of these), "text", "name" (of a host)
  const char* help;  // one line
};
const std::vector<Setting>& settings();

// Values by name, defaults filled in. What is given on the command line is kept in STATE/settings.json for the next
// start, once a site has started with it. An empty value is as none given.
class Settings {
 public:
  static Result<Settings> load(os::Fs& fs, const std::string& state);
  Status save(os::Fs& fs, const std::string& state) const;
  Status set(const std::string& name, const std::string& value);  // invalid: unknown name, or not of its form
  const std::string& text(const std::string& name) const;
  int64_t integer(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

// "ADDR:PORT" or "[ADDR]:PORT".
struct Address {
  std::string host;
  uint16_t port = 0;
  bool loopback() const;
};
Result<Address> parse_address(std::string_view text);

}  // namespace hf::app
