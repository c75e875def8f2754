// Vectors that others published and requests of real clients. They lie outside of the project; where that folder is
// absent these tests say that they were skipped, and sigv4_test.cc stands alone.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "security/sigv4_canonical.h"
#include "security/sigv4_testing.h"

namespace hf::security {
namespace {

using testing::check_request;
using testing::for_each_change;
using testing::read_file;
using testing::Request;
using testing::shared_folder;
using testing::text;

std::string without_cr(std::string s) {
  std::erase(s, '\r');
  return s;
}

// A request as text, with folded header lines as these vectors have them.
Request parse_request(const std::string& raw) {
  std::string all = without_cr(raw), line;
  size_t end = all.find("\n\n");
  Request r;
  if (end != all.npos) r.body = all.substr(end + 2);
  std::istringstream head(all.substr(0, end));
  std::getline(head, line);
  size_t first = line.find(' '), last = line.rfind(" HTTP/");
  r.method = line.substr(0, first);
  std::string target = line.substr(first + 1, last - first - 1);
  r.path = target.substr(0, target.find('?'));
  if (target.find('?') != target.npos) r.query = target.substr(target.find('?') + 1);
  while (std::getline(head, line)) {
    if (line.empty()) continue;
    if (line[0] == ' ' && !r.headers.empty()) {
      r.headers.back().second += "\n" + line;
      continue;
    }
    size_t colon = line.find(':');
    r.headers.emplace_back(lower(line.substr(0, colon)), line.substr(colon + 1));
    if (r.headers.back().first == "host") r.authority = r.headers.back().second;
  }
  return r;
}

struct Case {
  std::string folder, secret;
  bool normalize = false, omit_token = false;
};

std::vector<Case> aws_c_auth() {
  std::vector<Case> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(shared_folder() + "/vectors/sigv4", ec)) {
    auto context = boost::json::parse(read_file(entry.path().string() + "/context.json"));
    const auto& o = context.as_object();
    out.push_back({entry.path().string(), text(o.at("credentials").at("secret_access_key")),
                   o.at("normalize").as_bool(),
                   o.if_contains("omit_session_token") && o.at("omit_session_token").as_bool()});
  }
  return out;
}

TEST(SigV4Shared, AwsCAuthVectors) {
  auto cases = aws_c_auth();
  if (cases.empty()) GTEST_SKIP() << "no vectors in " << shared_folder();
  EXPECT_EQ(cases.size(), 38u);
  for (const Case& c : cases) {
    for (std::string form : {"header", "query"}) {
      Request r = parse_request(read_file(c.folder + "/" + form + "-signed-request.txt"));
      auto claim = parse_claim(r.parts());
      ASSERT_TRUE(claim.ok()) << c.folder << " " << form << ": " << claim.error().message;
      EXPECT_EQ(claim->presigned, form == "query");
      // A token that was added after signing is no part of the query that was signed.
      if (c.omit_token && form == "query") {
        size_t at = r.query.find("&X-Amz-Security-Token=");
        r.query.erase(at, r.query.find('&', at + 1) - at);
      }
      std::string expected = without_cr(read_file(c.folder + "/" + form + "-canonical-request.txt"));
      std::string hash = expected.substr(expected.rfind('\n') + 1);
      auto canonical =
          sigv4::canonical_request(r.parts(), claim->signed_headers, claim->presigned, false, c.normalize, hash);
      ASSERT_TRUE(canonical.ok()) << c.folder << " " << form;
      EXPECT_EQ(*canonical, expected) << c.folder;
      EXPECT_EQ(sigv4::string_to_sign(claim->amz_date, claim->scope, *canonical),
                without_cr(read_file(c.folder + "/" + form + "-string-to-sign.txt")));
      if (form == "query" && r.body.empty() == false) continue;  // presigned over an empty body, whatever is sent
      auto s = check_request(r, c.secret, 0, c.normalize);
      if (c.omit_token && form == "header") {
        ASSERT_FALSE(s.ok()) << c.folder;  // sent and not signed: we insist
        EXPECT_EQ(s.error().name, "AccessDenied");
        std::erase_if(r.headers, [](const auto& h) { return h.first == "x-amz-security-token"; });
        s = check_request(r, c.secret, 0, c.normalize);
      }
      EXPECT_TRUE(s.ok()) << c.folder << " " << form << ": " << (s.ok() ? "" : s.error().message);
      EXPECT_FALSE(check_request(r, c.secret + "x", 0, c.normalize).ok());
    }
  }
}

std::vector<Request> golden() {
  std::vector<Request> out;
  std::istringstream lines(read_file(shared_folder() + "/aws/golden/requests.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    auto v = boost::json::parse(line);
    Request r;
    bool sigv4 = false;
    r.method = text(v.at("method"));
    std::string url = text(v.at("url"));
    r.path = url.substr(0, url.find('?'));
    if (url.find('?') != url.npos) r.query = url.substr(url.find('?') + 1);
    std::string body = text(v.at("body"));
    r.body = body.rfind("hex:", 0) == 0 ? *unhex(body.substr(4)) : body;
    r.whole_body = r.body.size() == v.at("bodyLen").to_number<size_t>();
    for (const auto& h : v.at("headers").as_array()) {
      std::string name = lower(text(h.at(0))), value = text(h.at(1));
      if (name == ":authority" || name == "host") r.authority = value;
      if (name[0] == ':') continue;
      sigv4 |= name == "authorization" && value.rfind("AWS4-HMAC-SHA256", 0) == 0;
      r.headers.emplace_back(name, value);
    }
    if (sigv4 || r.query.find("X-Amz-Signature=") != std::string::npos) out.push_back(r);
  }
  return out;
}

TEST(SigV4Shared, RequestsOfRealClientsVerifyAndNoSignedByteMayChange) {
  auto requests = golden();
  if (requests.empty()) GTEST_SKIP() << "no requests in " << shared_folder();
  int in_header = 0, presigned = 0, changes = 0, whole_bodies = 0;
  for (const Request& r : requests) {
    auto claim = parse_claim(r.parts());
    ASSERT_TRUE(claim.ok()) << r.path << ": " << claim.error().message;
    ++(claim->presigned ? presigned : in_header);
    auto s = check_request(r, "secret");
    EXPECT_TRUE(s.ok()) << r.method << " " << r.path << ": " << (s.ok() ? "" : s.error().message);
    whole_bodies += r.whole_body;
    changes += for_each_change(r, [&](const Request& changed, const std::string& what) {
      EXPECT_FALSE(check_request(changed, "secret").ok()) << r.path << ": " << what;
    });
  }
  EXPECT_EQ(in_header, 257);
  EXPECT_GE(presigned, 4);
  EXPECT_GE(whole_bodies, 220);
  EXPECT_GT(changes, 100'000);
}

}  // namespace
}  // namespace hf::security
