// Every route of the tables x every way not to be allowed in. The cells come from the tables, so that a new operation
// is in here without a word.
#include <gtest/gtest.h>

#include "api/matrix_testing.h"

namespace hf::api {
namespace {

using testing::MemorySite;
using testing::Request;
using testing::request_of;

void replace(std::string& text, std::string_view from, std::string_view to) {
  size_t at = text.find(from);
  ASSERT_NE(at, text.npos) << text;
  text.replace(at, from.size(), to);
}

std::string& header(Request& r, std::string_view name) {
  for (auto& [n, v] : r.headers)
    if (n == name) return v;
  r.headers.emplace_back(name, "");
  return r.headers.back().second;
}

TEST(RouteMatrix, NobodyGetsInWithoutAuthentication) {
  MemorySite site;
  Gate gate(site.site(), all_services());
  size_t cells = 0;
  for (const Service& s : gate.services()) {
    for (const Operation& o : s.operations) {
      if (is_rest(s.protocol) && o.path == "/" && !o.input && s.protocol != Protocol::rest_xml) continue;  // no route
      auto refused = [&](const char* how, const Request& r) {
        site.clock.advance(1'000'000);
        size_t entries = site.ledger.all.size();
        auto e = site.send(gate, r);
        EXPECT_TRUE(e->status == 401 || e->status == 403)
            << s.name << " " << o.name << " " << how << ": " << e->status << " " << e->body;
        ASSERT_EQ(site.ledger.all.size(), entries + 1) << s.name << " " << o.name << " " << how;
        EXPECT_EQ(site.ledger.all.back().decision, "deny");
        EXPECT_EQ(site.ledger.all.back().principal, "");
        ++cells;
      };
      const Request plain = request_of(s, o);
      if (!o.proof) refused("no credentials", plain);  // its input is its credentials: tests of its own
      for (const char* mode :
           {"", "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "absent", "nonsense"}) {
        Request r = plain;
        const bool named = *mode && std::string_view(mode) != "absent";
        if (named) header(r, "x-amz-content-sha256") = mode;
        site.sign(r, s.signing_name);
        if (std::string_view(mode) == "absent") {
          std::erase_if(r.headers, [](const auto& h) { return h.first == "x-amz-content-sha256"; });
          replace(header(r, "authorization"), "x-amz-content-sha256;", "");
        }
        std::string& a = header(r, "authorization");
        a.back() = a.back() == '0' ? '1' : '0';
        refused(mode, r);
      }
      Request unknown = plain;
      site.sign(unknown, s.signing_name, "AKIANOBODY", "x");
      refused("unknown key", unknown);
      Request secret = plain;
      site.sign(secret, s.signing_name, "AKIAADMIN", "wrong");
      refused("wrong secret", secret);

      Request expired = plain, both = plain;
      const security::Credentials admin{"AKIAADMIN", crypto::Secret("secret-admin"), ""};
      expired.query = security::presign(admin, "site-1", s.signing_name, site.clock.now() - 3'600'000'000, 60,
                                        plain.method, plain.authority, plain.path, plain.query);
      expired.headers.emplace_back("host", plain.authority);
      refused("expired presign", expired);
      both.query = security::presign(admin, "site-1", s.signing_name, site.clock.now(), 600, plain.method,
                                     plain.authority, plain.path, plain.query);
      site.sign(both, s.signing_name);
      refused("header and query", both);

      for (const char* scheme : {"Bearer hf-wrong", "Bearer ", "Basic YWRtaW46YWRtaW4=", "AWS AKIAADMIN:AAAA",
                                 "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=AKIAADMIN/x/y/z/aws4_request"}) {
        Request r = plain;
        header(r, "authorization") = scheme;
        refused(scheme, r);
      }
      Request v2 = plain;
      v2.query +=
          (v2.query.empty() ? "" : "&") + std::string("AWSAccessKeyId=AKIAADMIN&Signature=x&Expires=9999999999");
      refused("signature version 2", v2);
      if (!s.bearer) {
        Request r = plain;
        header(r, "authorization") = "Bearer hf-admin";
        refused("a good Bearer key where none is taken", r);
      }
    }
  }
  RecordProperty("cells", static_cast<int>(cells));
  std::printf("route matrix: %zu cells\n", cells);
  EXPECT_GE(cells, 19 * gate.services().size());
  EXPECT_FALSE(gate.services().empty());
}

}  // namespace
}  // namespace hf::api
