// Every route x every payload mode x credentials in the header, in the query, in both, nowhere x right, wrong, expired,
// another's, and temporary ones of each kind: only the right one gets past authentication. The right one here is of a
// user without any right, so that it ends at "may they?" and no handler runs; the ledger tells who it was taken for.
#include <gtest/gtest.h>

#include "api/matrix_testing.h"
#include "base/bytes.h"
#include "security/sigv4_canonical.h"

namespace hf::api {
namespace {

using security::sigv4::canonical_request;
using testing::MemorySite;
using testing::Request;
using testing::request_of;

constexpr const char* kPoor = "arn:aws:iam::444455556666:user/poor";
constexpr int64_t kHour = 3'600'000'000;

enum class Mode { hash, absent, unsigned_payload, unsigned_trailer, signed_chunks, signed_trailer, nonsense };
constexpr const char* kModes[] = {"",
                                  "",
                                  "UNSIGNED-PAYLOAD",
                                  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                                  "nonsense"};
enum class Place { header, query, both, none };

struct Key {
  const char* what;
  bool right = false;
  security::Credentials credentials = {};
  bool late = false;  // signed an hour ago
};

struct Matrix : MemorySite {
  Gate gate{site(), all_services()};
  std::vector<Key> keys_to_try;
  size_t cells = 0, served = 0;

  security::Credentials session_of(const char* id, int64_t seconds) {
    security::Session s;
    s.kind = security::Session::Kind::key;
    s.account = "444455556666";
    s.principal = id;
    auto issued = std::move(*sessions->issue(s, seconds));
    return {issued.access_key_id, issued.secret, issued.token};
  }
  Matrix() {
    const auto temporary = session_of("AKIAPOOR", 1'000'000'000), other = session_of("AKIAADMIN", 1'000'000'000);
    const auto ended = session_of("AKIAPOOR", 1), orphan = session_of("AKIANOBODY", 1'000'000'000);
    clock.advance(2'000'000);
    const crypto::Secret poor("secret-poor"), admin("secret-admin"), wrong("wrong");
    keys_to_try = {
        {"right", true, {"AKIAPOOR", poor, ""}},
        {"wrong", false, {"AKIAPOOR", wrong, ""}},
        {"another's secret", false, {"AKIAPOOR", admin, ""}},
        {"expired", false, {"AKIAPOOR", poor, ""}, true},
        {"unknown", false, {"AKIANOBODY", poor, ""}},
        {"a token with a key that has none", false, {"AKIAPOOR", poor, temporary.session_token}},
        {"a session", true, temporary},
        {"a session without its token", false, {temporary.access_key_id, temporary.secret, ""}},
        {"a session with another's token", false, {temporary.access_key_id, temporary.secret, other.session_token}},
        {"a session with another's secret", false, {temporary.access_key_id, other.secret, temporary.session_token}},
        {"a session that has ended", false, ended},
        {"a session whose key is gone", false, orphan},
    };
  }

  void into_header(Request& r, const std::string& service, const Key& k, Mode mode) {
    const Micros at = clock.now() - (k.late ? kHour : 0);
    r.headers.emplace_back("host", r.authority);
    if (mode != Mode::hash && mode != Mode::absent)
      r.headers.emplace_back("x-amz-content-sha256", kModes[static_cast<size_t>(mode)]);
    if (mode != Mode::absent) {
      security::HeaderList list = r.headers;
      security::sign(k.credentials, "site-1", service, at, r.method, r.path, r.query, list, r.body);
      r.headers = std::move(list);
      return;
    }
    // No header for the body's hash: it is signed all the same.
    const std::string date = amz_date(at), scope = date.substr(0, 8) + "/site-1/" + service + "/aws4_request";
    r.headers.emplace_back("x-amz-date", date);
    std::vector<std::string> names = {"host", "x-amz-date"};
    if (!k.credentials.session_token.empty()) {
      r.headers.emplace_back("x-amz-security-token", k.credentials.session_token);
      names.push_back("x-amz-security-token");
    }
    for (const auto& [name, value] : r.headers)
      if (name == "x-amz-target") names.push_back(name);
    std::sort(names.begin(), names.end());
    const security::SignedParts parts{r.method, r.path, r.query, r.authority, &r.headers};
    auto canonical = canonical_request(parts, names, false, service == "s3", false, crypto::sha256_hex(r.body));
    check(canonical.ok(), "a canonical request");
    const auto signing = security::sigv4::signing_key(k.credentials.secret, date.substr(0, 8), "site-1", service);
    const std::string signature =
        hex(crypto::hmac_sha256(signing.reveal(), security::sigv4::string_to_sign(date, scope, *canonical)));
    r.headers.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + k.credentials.access_key_id + "/" + scope +
                                                ", SignedHeaders=" + security::sigv4::join(names, ';') +
                                                ", Signature=" + signature);
  }
  void into_query(Request& r, const std::string& service, const Key& k) {
    r.query = security::presign(k.credentials, "site-1", service, clock.now() - (k.late ? kHour : 0), 600, r.method,
                                r.authority, r.path, r.query);
    if (std::none_of(r.headers.begin(), r.headers.end(), [](const auto& h) { return h.first == "host"; }))
      r.headers.emplace_back("host", r.authority);
  }

  // What may get past authentication. presign() signs for the empty body, or, of S3, for any; and no header but host.
  static bool allowed(const Service& s, const Request& plain, const Key& k, Mode mode, Place place) {
    if (!k.right || mode == Mode::nonsense || place == Place::both || place == Place::none) return false;
    const bool s3 = s.signing_name == "s3";
    if (place == Place::query)
      return mode == Mode::absent && (s3 || plain.body.empty()) &&
             std::none_of(plain.headers.begin(), plain.headers.end(),
                          [](const auto& h) { return h.first.starts_with("x-amz-"); });
    return s3 || mode == Mode::hash || mode == Mode::absent;
  }

  void cell(const Service& s, const Operation& o, const Key& k, Mode mode, Place place) {
    const Request plain = request_of(s, o);
    Request r = plain;
    if (place == Place::query && mode != Mode::absent && mode != Mode::hash)
      r.headers.emplace_back("x-amz-content-sha256", kModes[static_cast<size_t>(mode)]);
    if (place == Place::query && mode == Mode::hash)
      r.headers.emplace_back("x-amz-content-sha256", crypto::sha256_hex(r.body));
    if (place == Place::query || place == Place::both) into_query(r, s.signing_name, k);
    if (place == Place::header || place == Place::both) into_header(r, s.signing_name, k, mode);
    clock.advance(100'000);
    ledger.all.clear();
    auto e = send(gate, r);
    ++cells;
    const bool refused = e->status == 401 || e->status == 403;
    const std::string who = ledger.all.empty() ? "" : ledger.all.back().principal;
    const auto where = [&] {
      return s.name + " " + o.name + ", " + k.what + ", mode " + std::to_string(static_cast<int>(mode)) + ", place " +
             std::to_string(static_cast<int>(place)) + ": " + std::to_string(e->status) + " " + who + " " +
             e->body.substr(0, 300);
    };
    if (allowed(s, plain, k, mode, place)) {
      ++served;
      EXPECT_TRUE(!refused || who == kPoor) << where();
    } else {
      EXPECT_TRUE(refused) << where();
      EXPECT_EQ(who, "") << where();
      EXPECT_EQ(ledger.all.size(), 1u) << where();
    }
  }
};

TEST(RouteMatrix, OnlyTheRightCredentialsInTheRightPlaceAreTaken) {
  Matrix m;
  m.clock.advance(1);
  for (const Service& s : m.gate.services()) {
    for (const Operation& o : s.operations) {
      if (is_rest(s.protocol) && o.path == "/" && !o.input && s.protocol != Protocol::rest_xml) continue;  // no route
      for (const Key& k : m.keys_to_try) {
        for (int mode = 0; mode < 7; ++mode)
          for (Place place : {Place::header, Place::query, Place::both})
            m.cell(s, o, k, static_cast<Mode>(mode), place);
        if (::testing::Test::HasFailure()) return;
      }
      if (!o.proof) m.cell(s, o, m.keys_to_try[0], Mode::hash, Place::none);
    }
  }
  std::printf("route matrix: %zu cells by mode, place and key, %zu of them right\n", m.cells, m.served);
  EXPECT_GE(m.cells, 100'000u);
  EXPECT_GT(m.served, 0u);
}

}  // namespace
}  // namespace hf::api
