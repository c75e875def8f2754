#include "app/state.h"

#include <unistd.h>

#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr Micros kDay = 86'400'000'000;

// The content of a 0600 file, made by `make` if it is not there.
template <class Make>
Result<std::string> keep(os::Fs& fs, const std::string& path, Make make) {
  if (fs.exists(path)) return fs.read_file(path, 1 << 20);
  std::string content = TRY(make());
  TRY(fs.write_file_atomic(path, content, 0600));
  return content;
}

std::string digits(os::Random& random, int n) {
  std::string out;
  while (static_cast<int>(out.size()) < n) {
    unsigned char c = static_cast<unsigned char>(random.bytes(1)[0]);
    if (c < 250 && !(out.empty() && c % 10 == 0)) out += static_cast<char>('0' + c % 10);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<os::File>> lock_state(os::Fs& fs, const std::string& state, const std::string& what) {
  auto lock = TRY(fs.lock(state + "/lock"));
  TRY(lock->truncate(0));
  TRY(lock->write_at(0, what + " " + std::to_string(getpid()) + "\n"));
  return lock;
}

int site_pid(os::Fs& fs, const std::string& state) {
  const std::string path = state + "/lock";
  if (!fs.exists(path)) return 0;
  auto lock = fs.lock(path);
  if (lock.ok() || lock.error().code != Code::conflict) return 0;
  auto text = fs.read_file(path, 64);
  if (!text.ok() || !text->starts_with("site ")) return 0;
  auto pid = parse_int(trim(std::string_view(*text).substr(5)));
  return pid.ok() && *pid > 0 ? static_cast<int>(*pid) : 0;
}

Result<StateKeys> prepare_state(os::Fs& fs, os::Random& random, const std::string& state) {
  for (const char* folder : {"", "/tls", "/db", "/objects", "/models", "/evidence", "/log"})
    TRY(fs.make_dirs(state + folder, 0700));
  std::string identity = TRY(keep(fs, state + "/identity", [&]() -> Result<std::string> {
    return hex(random.bytes(8)) + "\n" + digits(random, 12) + "\n";
  }));
  auto lines = split(identity, '\n');
  if (lines.size() != 3 || lines[0].size() != 16 || lines[1].size() != 12)
    return fail(Code::corrupt, state + "/identity: expected a site id (16 hex digits) and an account (12 digits)");
  std::string root = TRY(keep(fs, state + "/root.key", [&]() -> Result<std::string> { return random.bytes(32); }));
  if (root.size() != 32) return fail(Code::corrupt, state + "/root.key: expected 32 bytes");
  std::string pem = TRY(keep(fs, state + "/signing.key",
                             []() -> Result<std::string> { return TRY(crypto::SigningKey::generate()).to_pem(); }));
  crypto::SigningKey signing = TRY(crypto::SigningKey::from_pem(pem));
  if (!fs.exists(state + "/signing.pub")) TRY(fs.write_file_atomic(state + "/signing.pub", signing.public_pem(), 0644));
  return StateKeys{std::string(lines[0]), std::string(lines[1]), crypto::Secret(std::move(root)), std::move(signing)};
}

Result<crypto::CertificateAndKey> prepare_tls(os::Fs& fs, os::Clock& clock, const std::string& state,
                                              const std::vector<std::string>& names) {
  const std::string tls = state + "/tls";
  if (!fs.exists(tls + "/ca.pem") || !fs.exists(tls + "/ca.key")) {
    auto made = TRY(crypto::make_authority("Holdfast site authority", clock.now(), 3650));
    TRY(fs.write_file_atomic(tls + "/ca.key", made.key_pem, 0600));
    TRY(fs.write_file_atomic(tls + "/ca.pem", made.certificate_pem, 0644));
  }
  crypto::CertificateAndKey authority{TRY(fs.read_file(tls + "/ca.pem", 1 << 20)),
                                      TRY(fs.read_file(tls + "/ca.key", 1 << 20))};
  json::object wanted;
  wanted["names"] = json::array(names.begin(), names.end());
  wanted["authority"] = crypto::sha256_hex(authority.certificate_pem);
  if (fs.exists(tls + "/server.json")) {
    boost::system::error_code ec;
    json::value have = json::parse(TRY(fs.read_file(tls + "/server.json", 1 << 20)), ec);
    json::object* object = ec ? nullptr : have.if_object();
    if (object && object->contains("until") && (*object)["until"].is_int64() &&
        (*object)["until"].as_int64() > clock.now() + 30 * kDay) {
      object->erase("until");
      if (*object == wanted)
        return crypto::CertificateAndKey{TRY(fs.read_file(tls + "/server.pem", 1 << 20)),
                                         TRY(fs.read_file(tls + "/server.key", 1 << 20))};
    }
  }
  auto server = TRY(crypto::make_server_certificate(authority, names, clock.now(), 365));
  TRY(fs.write_file_atomic(tls + "/server.key", server.key_pem, 0600));
  TRY(fs.write_file_atomic(tls + "/server.pem", server.certificate_pem, 0644));
  wanted["until"] = clock.now() + 365 * kDay;
  TRY(fs.write_file_atomic(tls + "/server.json", json::serialize(wanted) + "\n", 0600));
  return server;
}

}  // namespace hf::app
