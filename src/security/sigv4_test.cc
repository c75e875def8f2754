#include "security/sigv4.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "security/sigv4_canonical.h"
#include "security/sigv4_testing.h"

namespace hf::security {
namespace {

using testing::check_request;
using testing::for_each_change;
using testing::own_request;
using testing::own_vectors;
using testing::Request;
using testing::text;

constexpr Micros kNow = 1'795'333'765'000'000;  // 2026-11-22T07:49:25Z
constexpr Micros kSecond = 1'000'000;
const char* const kSecret = "a+secret/of0123456789";

Request signed_get() {
  Request r{"GET", "/model/a%3Ab/invoke", "x=1", "factory.example", {{"host", "factory.example"}}, "", "", true};
  sign({"AKIATEST", crypto::Secret(kSecret), ""}, "site-1", "bedrock", kNow, r.method, r.path, r.query, r.headers,
       r.body);
  return r;
}

std::string& header(Request& r, std::string_view name) {
  for (auto& [n, v] : r.headers)
    if (n == name) return v;
  return r.headers.emplace_back(name, "").second;
}

std::string refusal(const Status& s) { return s.ok() ? "accepted" : s.error().name; }

TEST(SigV4, OwnVectorsVerifyAndNoSignedByteMayChange) {
  auto vectors = own_vectors();
  std::string secret = text(vectors.at("secret"));
  int changes = 0, requests = 0;
  for (const char* kind : {"header", "query"}) {
    for (const auto& v : vectors.at(kind).as_array()) {
      Request r = own_request(v);
      ++requests;
      auto s = check_request(r, secret);
      EXPECT_TRUE(s.ok()) << text(v.at("name")) << ": " << (s.ok() ? "" : s.error().message);
      EXPECT_EQ(refusal(check_request(r, secret + "x")), "SignatureDoesNotMatch");
      changes += for_each_change(r, [&](const Request& changed, const std::string& what) {
        EXPECT_FALSE(check_request(changed, secret).ok()) << text(v.at("name")) << ": " << what;
      });
    }
  }
  EXPECT_EQ(requests, 24);
  EXPECT_GT(changes, 5000);
}

TEST(SigV4, ClaimNamesWhatTheRequestSays) {
  Request r = signed_get();
  Claim c = *parse_claim(r.parts());
  EXPECT_EQ(c.access_key_id, "AKIATEST");
  EXPECT_EQ(c.scope, "20261122/site-1/bedrock/aws4_request");
  EXPECT_EQ(c.service, "bedrock");
  EXPECT_EQ(c.signed_headers, (std::vector<std::string>{"host", "x-amz-content-sha256", "x-amz-date"}));
  EXPECT_EQ(c.mode, PayloadMode::body_hash);
}

TEST(SigV4, PayloadModes) {
  for (auto [value, mode] : {std::pair<const char*, PayloadMode>{"UNSIGNED-PAYLOAD", PayloadMode::unsigned_payload},
                             {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", PayloadMode::streaming_unsigned_trailer},
                             {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", PayloadMode::streaming_signed},
                             {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", PayloadMode::streaming_signed_trailer}}) {
    Request r = signed_get();
    header(r, "x-amz-content-sha256") = value;
    EXPECT_EQ(parse_claim(r.parts())->mode, mode);
  }
  for (const char* bad : {"", "unsigned-payload", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "E3B0"}) {
    Request r = signed_get();
    header(r, "x-amz-content-sha256") = bad;
    EXPECT_EQ(parse_claim(r.parts()).error().name, "InvalidRequest") << bad;
  }
}

TEST(SigV4, TheBodyHasTheHashThatTheHeaderNames) {
  Request r = signed_get();
  r.body = "other";
  EXPECT_EQ(refusal(check_request(r, kSecret)), "XAmzContentSHA256Mismatch");
}

TEST(SigV4, WithoutAnySignatureThereIsNoClaim) {
  for (const char* value : {"", "Bearer abc", "Basic abc", "AWS AKIA:signature"}) {
    Request r{"GET", "/", "a=b", "h", {{"authorization", value}}, "", "", true};
    EXPECT_EQ(parse_claim(r.parts()).error().code, Code::not_found) << value;
  }
}

TEST(SigV4, AuthorizationIsParsedTolerantlyOnlyWhereSignersDiffer) {
  const std::string c = "Credential=AKIA/20261122/r/s/aws4_request", h = "SignedHeaders=host;x-amz-date",
                    s = "Signature=" + std::string(64, 'a');
  auto name = [&](const std::string& value) {
    Request r{"GET", "/", "", "h", {{"authorization", value}, {"x-amz-date", "20261122T074925Z"}}, "", "", true};
    auto claim = parse_claim(r.parts());
    return claim.ok() ? "ok" : claim.error().name;
  };
  const std::string a = "AWS4-HMAC-SHA256 ";
  for (const auto& good : {a + c + ", " + h + ", " + s, a + c + "," + h + "," + s, a + " " + s + " ,  " + h + "," + c})
    EXPECT_EQ(name(good), "ok") << good;
  const std::string tail = ", " + h + ", " + s;
  for (const auto& bad : {a,
                          a + c + "," + h,
                          a + c + "," + s,
                          a + h + "," + s,
                          a + c + tail + ", " + s,
                          a + c + tail + ", Extra=1",
                          a + c + tail + ",",
                          "AWS4-ECDSA-P256-SHA256 " + c + tail,
                          "AWS4-HMAC-SHA256" + c + tail,
                          a + "Credential=AKIA/20261122/r/s" + tail,
                          a + "Credential=/20261122/r/s/aws4_request" + tail,
                          a + "Credential=A/2026112/r/s/aws4_request" + tail,
                          a + "Credential=A/20261322/r/s/aws4_request" + tail,
                          a + "Credential=A/20261122//s/aws4_request" + tail,
                          a + "Credential=A/20261122/r//aws4_request" + tail,
                          a + "Credential=A/20261122/r/s/aws5_request" + tail,
                          a + "Credential=A/B/20261122/r/s/aws4_request" + tail,
                          a + "Credential=A/20261121/r/s/aws4_request" + tail,
                          a + c + ", SignedHeaders=Host;x-amz-date, " + s,
                          a + c + ", SignedHeaders=x-amz-date;host, " + s,
                          a + c + ", SignedHeaders=host;host;x-amz-date, " + s,
                          a + c + ", SignedHeaders=, " + s,
                          a + c + ", SignedHeaders=host;;x-amz-date, " + s,
                          a + c + ", " + h + ", Signature=" + std::string(63, 'a'),
                          a + c + ", " + h + ", Signature=" + std::string(64, 'A')})
    EXPECT_EQ(name(bad), "IncompleteSignature") << bad;
}

TEST(SigV4, CredentialsInExactlyOnePlace) {
  Request r = signed_get();
  r.query = "X-Amz-Signature=" + std::string(64, 'a');
  EXPECT_EQ(parse_claim(r.parts()).error().name, "IncompleteSignature");
  Request bearer{"GET", "/", "X-Amz-Credential=a", "h", {{"authorization", "Bearer x"}}, "", "", true};
  EXPECT_EQ(parse_claim(bearer.parts()).error().name, "IncompleteSignature");
  Request twice = signed_get();
  twice.headers.emplace_back("authorization", header(twice, "authorization"));
  EXPECT_EQ(parse_claim(twice.parts()).error().name, "IncompleteSignature");
  Request dated = signed_get();
  dated.headers.emplace_back("x-amz-date", header(dated, "x-amz-date"));
  EXPECT_EQ(parse_claim(dated.parts()).error().name, "IncompleteSignature");
}

TEST(SigV4, WhatMustBeSigned) {
  Request r = signed_get();
  r.headers.emplace_back("x-amz-meta-a", "b");
  EXPECT_EQ(refusal(check_request(r, kSecret)), "AccessDenied");
  r = signed_get();
  r.headers.emplace_back("content-md5", "AAAA");
  EXPECT_EQ(refusal(check_request(r, kSecret)), "AccessDenied");
  r = signed_get();
  r.headers.emplace_back("user-agent", "anything");
  EXPECT_EQ(refusal(check_request(r, kSecret)), "accepted");
  std::string& a = header(r, "authorization");
  a.replace(a.find("host;"), 5, "");
  EXPECT_EQ(refusal(check_request(r, kSecret)), "AccessDenied");
}

TEST(SigV4, ClockSkewIsFifteenMinutesEitherWay) {
  Request r = signed_get();
  for (int64_t s : {-900, 0, 900}) EXPECT_EQ(refusal(check_request(r, kSecret, kNow + s * kSecond)), "accepted") << s;
  for (int64_t s : {-901, 901, 86400 * 365})
    EXPECT_EQ(refusal(check_request(r, kSecret, kNow + s * kSecond)), "RequestTimeTooSkewed") << s;
}

TEST(SigV4, PresignedRequestsEndInTime) {
  Request r{"GET", "/b/k", "", "factory.example", {}, "", "", true};
  r.query = presign({"AKIATEST", crypto::Secret(kSecret), "token"}, "site-1", "s3", kNow, 60, "GET", r.authority,
                    r.path, "x-id=GetObject");
  for (int64_t s : {-900, 0, 60}) EXPECT_EQ(refusal(check_request(r, kSecret, kNow + s * kSecond)), "accepted") << s;
  for (int64_t s : {-901, 61}) EXPECT_EQ(refusal(check_request(r, kSecret, kNow + s * kSecond)), "AccessDenied") << s;
  EXPECT_EQ(parse_claim(r.parts())->session_token, "token");
  EXPECT_TRUE(parse_claim(r.parts())->presigned);
}

TEST(SigV4, PresignedParametersAreCheckedByName) {
  Request good{"GET", "/b/k", "", "factory.example", {}, "", "", true};
  good.query =
      presign({"AKIATEST", crypto::Secret(kSecret), ""}, "r", "s3", kNow, 60, "GET", good.authority, good.path, "");
  auto with = [&](const std::string& from, const std::string& to) {
    Request r = good;
    size_t at = r.query.find(from);
    check(at != r.query.npos, "the parameter is there");
    r.query.replace(at, from.size(), to);
    auto claim = parse_claim(r.parts());
    return claim.ok() ? std::string("ok") : claim.error().name;
  };
  EXPECT_EQ(with("X-Amz-Expires=60", "X-Amz-Expires=604800"), "ok");
  for (auto [from, to] : {std::pair{"X-Amz-Expires=60", "X-Amz-Expires=604801"},
                          {"X-Amz-Expires=60", "X-Amz-Expires=0"},
                          {"X-Amz-Expires=60", "X-Amz-Expires=-1"},
                          {"X-Amz-Expires=60", "X-Amz-Expires="},
                          {"X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"},
                          {"X-Amz-Expires=60", "X=1"},
                          {"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"},
                          {"X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""},
                          {"X-Amz-Date=2026", "X-Amz-Date=2025"},
                          {"X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=Host"},
                          {"aws4_request", "aws4"},
                          {"X-Amz-Signature=", "X-Amz-Signature=zz"}})
    EXPECT_EQ(with(from, to), "AuthorizationQueryParametersError") << from << " -> " << to;
}

TEST(SigV4, PathsAreVerifiedAsSentUnlessAskedFor) {
  EXPECT_EQ(sigv4::canonical_path("/a/../b//c/./", false, false), "/a/../b//c/./");
  EXPECT_EQ(sigv4::canonical_path("/a/../b//c/./", false, true), "/b/c/");
  EXPECT_EQ(sigv4::canonical_path("/../..", false, true), "/");
  EXPECT_EQ(sigv4::canonical_path("/a%3Ab", false, false), "/a%253Ab");
  EXPECT_EQ(sigv4::canonical_path("/a%3Ab//../c", true, true), "/a%3Ab//../c");
  EXPECT_EQ(sigv4::canonical_path("", true, false), "/");
}

TEST(SigV4, QueriesAreBounded) {
  std::string query;
  for (int i = 0; i < 1001; ++i) query += "a&";
  EXPECT_EQ(sigv4::canonical_query(query, "").error().code, Code::invalid);
  EXPECT_EQ(sigv4::canonical_query("a=%2", "").error().code, Code::invalid);
  EXPECT_EQ(*sigv4::canonical_query("&&b&a=1=2&&", ""), "a=1%3D2&b=");
}

// For any request that we sign: it verifies, and with any one byte changed it does not.
TEST(SigV4, PropertySignedIsVerifiedAndNothingElse) {
  EXPECT_TRUE(
      rc::check([](std::vector<std::pair<std::string, std::string>> parameters, std::vector<std::string> segments,
                   const std::string& value, const std::string& body, bool s3) {
        Request r{"POST", "", "", "factory.example", {{"host", "factory.example"}}, body, "", true};
        for (const auto& s : segments) r.path += "/" + percent_encode(s);
        if (r.path.empty()) r.path = "/";
        for (const auto& [k, v] : parameters)
          if (!k.empty()) r.query += (r.query.empty() ? "" : "&") + percent_encode("q" + k) + "=" + percent_encode(v);
        std::string visible = percent_encode(value);
        r.headers.emplace_back("x-amz-meta-v", "  " + visible + "  v");
        Credentials credentials{"AKIATEST", crypto::Secret(kSecret), visible};
        sign(credentials, "site-1", s3 ? "s3" : "bedrock", kNow, r.method, r.path, r.query, r.headers, r.body);
        RC_ASSERT(check_request(r, kSecret).ok());
        int tried = 0;
        for_each_change(r, [&](const Request& changed, const std::string& what) {
          if (++tried % 61 == 0 && check_request(changed, kSecret).ok()) RC_FAIL("accepted: " + what);
        });
      }));
}

}  // namespace
}  // namespace hf::security
