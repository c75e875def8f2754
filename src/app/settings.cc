#include "app/settings.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>

#include "base/text.h"

namespace hf::app {
namespace json = boost::json;

const std::vector<Setting>& settings() {
  static const std::vector<Setting> rows = {
      {"region", "site-1", "text", "the region's name in ARNs and signatures"},
      {"residency", "none", "name", "where data is held, told to policies as holdfast:Residency"},
      {"listen", "", "address:port", "open the site to others at this address, TLS only"},
      {"host", "", "name", "the name others use, put into the certificate"},
      {"cert", "", "file", "a certificate of your own (PEM, with its chain) instead of the site's"},
      {"key", "", "file", "the key of --cert (PEM)"},
      {"port", "0", "integer 0..65535", "the port on loopback; 0: the first free one from 8480"},
      {"isa", "", "scalar|avx2|avx512|amx", "force the engine's instruction set"},
      {"threads", "0", "integer 0..1024", "threads of a worker; 0: all cores"},
      {"kv-mib", "256", "integer 16..1048576", "memory for keys and values of running requests, MiB"},
      {"queue", "1024", "integer 1..1000000", "requests that may wait for the engine"},
      {"transfer-seconds", "30", "integer 1..3600",
       "a client that sends or takes nothing of a body this long is cut, and one below transfer-rate"},
      {"transfer-rate", "500", "integer 0..1000000000", "bytes a second of a body that a client must move; 0: any"},
      {"jobs", "1", "integer 1..64", "training jobs that run at once"},
  };
  return rows;
}

namespace {

Result<std::string> checked(const Setting& row, const std::string& value) {
  std::string_view form = row.form;
  std::string name = "--" + std::string(row.name);
  if (form.starts_with("integer ")) {
    int64_t v = TRY(parse_int(value, name));
    std::string_view range = form.substr(8);
    size_t dots = range.find("..");
    int64_t lo = TRY(parse_int(range.substr(0, dots))), hi = TRY(parse_int(range.substr(dots + 2)));
    if (v < lo || v > hi)
      return fail(Code::invalid,
                  name + ": expected " + std::to_string(lo) + " to " + std::to_string(hi) + ", found " + value);
  } else if (form == "address:port" && !value.empty()) {
    auto address = parse_address(value);
    if (!address.ok()) return fail(Code::invalid, name + ": " + address.error().message);
  } else if (form == "name" && !value.empty()) {
    const bool plain = std::all_of(value.begin(), value.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == ':'; });
    if (!plain || value.size() > 253)
      return fail(Code::invalid, name + ": expected a DNS name or an IP address, found '" + value + "'");
  } else if (form.find('|') != form.npos && !value.empty()) {
    const auto choices = split(form, '|');
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
      return fail(Code::invalid, name + ": expected one of " + row.form + ", found '" + value + "'");
  }
  return value;
}

}  // namespace

Result<Settings> Settings::load(os::Fs& fs, const std::string& state) {
  Settings s;
  for (const Setting& row : settings()) s.values_[row.name] = row.value;
  const std::string path = state + "/settings.json";
  if (!fs.exists(path)) return s;
  std::string text = TRY(fs.read_file(path, 1 << 20));
  boost::system::error_code ec;
  json::value v = json::parse(text, ec);
  if (ec || !v.is_object()) return fail(Code::corrupt, path + ": expected a JSON object");
  for (const auto& member : v.as_object()) {
    if (!member.value().is_string())
      return fail(Code::corrupt, path + ": " + std::string(member.key()) + ": expected a string");
    auto set = s.set(std::string(member.key()), std::string(member.value().as_string()));
    if (!set.ok()) return fail(Code::invalid, path + ": " + set.error().message);
  }
  return s;
}

Status Settings::save(os::Fs& fs, const std::string& state) const {
  json::object object;
  for (const Setting& row : settings())
    if (values_.at(row.name) != row.value) object[row.name] = values_.at(row.name);
  return fs.write_file_atomic(state + "/settings.json", json::serialize(object) + "\n");
}

Status Settings::set(const std::string& name, const std::string& value) {
  for (const Setting& row : settings())
    if (name == row.name) {
      values_[name] = TRY(checked(row, value));
      return {};
    }
  return fail(Code::invalid, "unknown setting '" + name + "'");
}

const std::string& Settings::text(const std::string& name) const { return values_.at(name); }
int64_t Settings::integer(const std::string& name) const { return parse_int(values_.at(name)).value(); }

bool Address::loopback() const { return host == "::1" || host == "localhost" || host.starts_with("127."); }

Result<Address> parse_address(std::string_view text) {
  size_t colon = text.rfind(':');
  auto bad = [&] { return fail(Code::invalid, "expected ADDR:PORT, found '" + std::string(text) + "'"); };
  if (colon == text.npos || colon == 0) return bad();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  auto port = parse_int(text.substr(colon + 1));
  if (host.empty() || !port.ok() || *port < 0 || *port > 65535) return bad();
  return Address{std::string(host), static_cast<uint16_t>(*port)};
}

}  // namespace hf::app
