// AssumeRoleWithWebIdentity through the gate, without a signature; and tokens that are forged, each in its own way.
#include "security/web_identity.h"

#include <boost/json.hpp>

#include "api/iam/testing.h"
#include "base/bytes.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::IamSite;
using testing::kAccount;
using testing::Request;

constexpr const char* kUrl = "id.example.net/realm";
const std::string kProvider = std::string("arn:aws:iam::") + kAccount + ":oidc-provider/" + kUrl;
const std::string kRole = std::string("arn:aws:iam::") + kAccount + ":role/visit";

json::object jwk(const crypto::SigningKey& key, const char* kid) {
  return {{"kty", "OKP"}, {"crv", "Ed25519"}, {"use", "sig"}, {"kid", kid}, {"x", base64url(key.public_raw())}};
}

struct WebSite : IamSite {
  crypto::SigningKey idp = std::move(*crypto::SigningKey::generate());
  crypto::SigningKey stranger = std::move(*crypto::SigningKey::generate());
  WebSite() {
    ok("CreateOpenIDConnectProvider", {{"Url", std::string("https://") + kUrl},
                                       {"ClientIDList.member.1", "holdfast"},
                                       {"ClientIDList.member.2", "app"}});
    role(
        "visit",
        R"({"StringEquals":{"id.example.net/realm:aud":"holdfast"},"StringLike":{"id.example.net/realm:sub":"staff-*"}})");
    EXPECT_EQ(set_keys(json::object{{"keys", json::array{jwk(idp, "one")}}}), 200);
  }
  void role(const std::string& name, const std::string& condition, const std::string& provider = kProvider,
            const std::string& actions = R"("sts:AssumeRoleWithWebIdentity")") {
    ok("CreateRole", {{"RoleName", name},
                      {"AssumeRolePolicyDocument",
                       R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":")" +
                           provider + R"("},"Action":)" + actions + R"(,"Condition":)" + condition + "}]}"}});
    ok("PutRolePolicy", {{"RoleName", name}, {"PolicyName", "own"}, {"PolicyDocument", policy("iam:ListUsers")}});
  }
  int set_keys(const json::value& given, const std::string& url = kUrl) {
    Request r;
    r.method = "PUT";
    r.path = "/holdfast/v1/oidc/keys";
    r.headers = {{"content-type", "application/json"}};
    r.body = json::serialize(json::object{{"url", url}, {"keys", given}});
    sign(r, "holdfast", admin.id, admin.secret);
    auto e = send(*gate, r);
    last = e->body;
    return e->status;
  }
  std::string last;
  int64_t seconds() { return clock.now() / 1'000'000; }
  json::object claims() {
    return {{"iss", std::string("https://") + kUrl},
            {"sub", "staff-7"},
            {"aud", "holdfast"},
            {"iat", seconds()},
            {"exp", seconds() + 600}};
  }
  static std::string token(const crypto::SigningKey& key, const json::object& body,
                           const json::object& head = {{"alg", "EdDSA"}, {"kid", "one"}}) {
    const std::string text = base64url(json::serialize(head)) + "." + base64url(json::serialize(body));
    return text + "." + base64url(key.sign(text));
  }
  Answer assume(const std::string& text, Form more = {}, const std::string& role_arn = kRole) {
    more.insert(more.begin(), {{"RoleArn", role_arn}, {"RoleSessionName", "one"}, {"WebIdentityToken", text}});
    return sts_as({}, "AssumeRoleWithWebIdentity", more);
  }
};

TEST(WebIdentity, ATokenGivesARolesSession) {
  WebSite s;
  const auto a = s.assume(WebSite::token(s.idp, s.claims()));
  ASSERT_EQ(a.status, 200) << a.body;
  EXPECT_EQ(a.element("SubjectFromWebIdentityToken"), "staff-7");
  EXPECT_EQ(a.element("Provider"), kProvider);
  EXPECT_EQ(a.element("Audience"), "holdfast");
  const std::string arn = std::string("arn:aws:sts::") + kAccount + ":assumed-role/visit/one";
  EXPECT_EQ(a.element("Arn"), arn);
  const IamSite::Credentials c{a.element("AccessKeyId"), a.element("SecretAccessKey"), a.element("SessionToken")};
  EXPECT_EQ(s.sts_as(c, "GetCallerIdentity").element("Arn"), arn);
  EXPECT_TRUE(s.may(c));
  EXPECT_FALSE(s.may(c, "ListRoles"));
  bool told = false;
  for (const auto& e : s.ledger.all)
    if (e.action == "sts:AssumeRoleWithWebIdentity") {
      told = true;
      EXPECT_EQ(e.principal, kProvider);
      EXPECT_EQ(e.account, kAccount);
      EXPECT_EQ(e.resource, kRole);
      EXPECT_EQ(e.reason, "allow:trust-policy/0");
    }
  EXPECT_TRUE(told);
  // With a session policy; and what is wrong with the request is told by name.
  EXPECT_EQ(s.assume(WebSite::token(s.idp, s.claims()), {{"Policy", IamSite::policy("iam:ListRoles")}}).status, 200);
  EXPECT_EQ(s.assume(WebSite::token(s.idp, s.claims()), {{"ProviderId", "www.amazon.com"}}).code(), "ValidationError");
  EXPECT_EQ(s.assume(WebSite::token(s.idp, s.claims()), {{"DurationSeconds", "3601"}}).code(), "ValidationError");
  // A signature beside it: credentials in two places.
  EXPECT_EQ(
      s.sts_as(
           s.admin, "AssumeRoleWithWebIdentity",
           {{"RoleArn", kRole}, {"RoleSessionName", "one"}, {"WebIdentityToken", WebSite::token(s.idp, s.claims())}})
          .code(),
      "IncompleteSignature");
}

TEST(WebIdentity, ARoleIsForWhomItsTrustNames) {
  WebSite s;
  json::object other = s.claims();
  other["sub"] = "guest-1";
  EXPECT_EQ(s.assume(WebSite::token(s.idp, other)).code(), "AccessDenied");
  other = s.claims();
  other["aud"] = "app";  // a client of the provider, and not of this role
  EXPECT_EQ(s.assume(WebSite::token(s.idp, other)).code(), "AccessDenied");
  other["aud"] = json::array{"app", "holdfast"};
  EXPECT_EQ(s.assume(WebSite::token(s.idp, other)).code(), "InvalidIdentityToken");  // which of them?
  other["azp"] = "holdfast";
  EXPECT_EQ(s.assume(WebSite::token(s.idp, other)).status, 200);
  other["azp"] = "app";
  EXPECT_EQ(s.assume(WebSite::token(s.idp, other)).code(), "AccessDenied");
  EXPECT_EQ(s.assume(WebSite::token(s.idp, s.claims()), {}, kRole + "x").code(), "AccessDenied");
  // A role that trusts users, and none of a provider.
  s.ok("CreateRole",
       {{"RoleName", "people"},
        {"AssumeRolePolicyDocument",
         R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:*"}]})"}});
  EXPECT_EQ(
      s.assume(WebSite::token(s.idp, s.claims()), {}, std::string("arn:aws:iam::") + kAccount + ":role/people").code(),
      "AccessDenied");
  // Another account knows no such provider.
  EXPECT_EQ(s.assume(WebSite::token(s.idp, s.claims()), {}, "arn:aws:iam::444455556666:role/visit").code(),
            "InvalidIdentityToken");
  // Tags and a source identity in the token are rights of their own.
  json::object tagged = s.claims();
  tagged["https://aws.amazon.com/tags"] = json::object{
      {"principal_tags", json::object{{"team", json::array{"models"}}}}, {"transitive_tag_keys", json::array{"team"}}};
  EXPECT_EQ(s.assume(WebSite::token(s.idp, tagged)).code(), "AccessDenied");
  s.role("tagged", R"({"StringEquals":{"aws:RequestTag/team":"models"}})", kProvider,
         R"(["sts:AssumeRoleWithWebIdentity","sts:TagSession"])");
  EXPECT_EQ(
      s.assume(WebSite::token(s.idp, tagged), {}, std::string("arn:aws:iam::") + kAccount + ":role/tagged").status,
      200);
}

TEST(WebIdentity, KeySetsAreChangedAndRefused) {
  WebSite s;
  const std::string good = WebSite::token(s.idp, s.claims());
  EXPECT_EQ(s.set_keys(json::object{{"keys", json::array{jwk(s.stranger, "two")}}}), 200);
  EXPECT_EQ(s.assume(good).code(), "InvalidIdentityToken");
  EXPECT_EQ(s.set_keys(json::object{{"keys", json::array{jwk(s.stranger, "two"), jwk(s.idp, "one")}}}), 200);
  EXPECT_EQ(s.assume(good).status, 200);
  json::object with_private = jwk(s.idp, "one");
  with_private["d"] = "AAAA";
  json::object encryption = jwk(s.idp, "one");
  encryption["use"] = "enc";
  json::object odd = jwk(s.idp, "one");
  odd["x"] = "AAA=";
  for (const json::value& bad :
       {json::value(json::object{}), json::value(json::object{{"keys", json::array{}}}), json::value(json::array{}),
        json::value(json::object{{"keys", json::array{with_private}}}),
        json::value(json::object{{"keys", json::array{encryption}}}),
        json::value(json::object{{"keys", json::array{odd}}}),
        json::value(json::object{{"keys", json::array{json::object{{"kty", "oct"}, {"k", "AAAA"}}}}}),
        json::value(json::object{{"keys", json::array{json::object{{"kty", "RSA"}, {"n", "AQAB"}, {"e", "AQAB"}}}}})})
    EXPECT_EQ(s.set_keys(bad), 400) << json::serialize(bad) << s.last;
  EXPECT_EQ(s.set_keys(json::object{{"keys", json::array{jwk(s.idp, "one")}}}, "other.example.net"), 404);
  EXPECT_EQ(s.assume(good).status, 200);
  s.ok("RemoveClientIDFromOpenIDConnectProvider", {{"OpenIDConnectProviderArn", kProvider}, {"ClientID", "holdfast"}});
  EXPECT_EQ(s.assume(good).code(), "InvalidIdentityToken");
  s.ok("AddClientIDToOpenIDConnectProvider", {{"OpenIDConnectProviderArn", kProvider}, {"ClientID", "holdfast"}});
  EXPECT_EQ(s.assume(good).status, 200);
  s.ok("DeleteOpenIDConnectProvider", {{"OpenIDConnectProviderArn", kProvider}});
  EXPECT_EQ(s.assume(good).code(), "InvalidIdentityToken");
}

TEST(WebIdentity, ProvidersAreListedAndTagged) {
  WebSite s;
  s.refused("CreateOpenIDConnectProvider", {{"Url", std::string("https://") + kUrl + "/"}}, 409, "EntityAlreadyExists");
  for (const char* url : {"http://id.example.net", "https://", "id.example.net", "https://a b", "https://a?x=1"})
    s.refused("CreateOpenIDConnectProvider", {{"Url", url}}, 400, "InvalidInput");
  s.ok("TagOpenIDConnectProvider",
       {{"OpenIDConnectProviderArn", kProvider}, {"Tags.member.1.Key", "team"}, {"Tags.member.1.Value", "x"}});
  s.ok("UpdateOpenIDConnectProviderThumbprint",
       {{"OpenIDConnectProviderArn", kProvider}, {"ThumbprintList.member.1", std::string(40, 'a')}});
  const auto got = s.iam("GetOpenIDConnectProvider", {{"OpenIDConnectProviderArn", kProvider}});
  EXPECT_EQ(got.element("Url"), kUrl);
  EXPECT_NE(got.body.find("<member>holdfast</member>"), std::string::npos) << got.body;
  EXPECT_NE(got.body.find(std::string(40, 'a')), std::string::npos);
  EXPECT_EQ(got.element("Key"), "team");
  EXPECT_EQ(s.iam("ListOpenIDConnectProviders").element("Arn"), kProvider);
  s.ok("UntagOpenIDConnectProvider", {{"OpenIDConnectProviderArn", kProvider}, {"TagKeys.member.1", "TEAM"}});
  EXPECT_EQ(s.iam("ListOpenIDConnectProviderTags", {{"OpenIDConnectProviderArn", kProvider}}).element("Key"), "");
}

// The threat's own test (reliability, 25): forged, expired and other-audience tokens: each is refused, and each is
// told.
TEST(WebIdentity, FiveHundredForgedTokens) {
  WebSite s;
  const std::string good = WebSite::token(s.idp, s.claims());
  std::vector<std::pair<std::string, std::string>> forged;
  const auto add = [&](const std::string& what, const std::string& text) { forged.emplace_back(what, text); };
  const auto parts = [&](const std::string& text) {
    std::vector<std::string> out;
    for (auto p : split(text, '.')) out.emplace_back(p);
    return out;
  };
  // Each character of the signature, and each of the payload, changed.
  for (size_t i = 0; i < good.size(); ++i) {
    std::string t = good;
    if (t[i] == '.') continue;
    t[i] = t[i] == 'A' ? 'B' : 'A';
    if (t != good) add("character " + std::to_string(i), t);
  }
  const auto with = [&](const char* name, json::value value) {
    json::object c = s.claims();
    if (value.is_null())
      c.erase(name);
    else
      c[name] = std::move(value);
    return c;
  };
  const auto idp = [&](const std::string& what, const json::object& c) { add(what, WebSite::token(s.idp, c)); };
  for (int minutes : {2, 10, 60, 600, 6000, 600000}) {
    idp("ended", with("exp", s.seconds() - minutes * 60));
    idp("not yet", with("nbf", s.seconds() + minutes * 60));
    idp("given in time to come", with("iat", s.seconds() + minutes * 60));
  }
  for (const char* name : {"iss", "sub", "aud", "exp", "iat"}) idp(std::string("without ") + name, with(name, nullptr));
  for (const char* name : {"iss", "sub", "aud", "exp", "iat", "nbf", "azp", "amr"})
    for (const json::value& v : {json::value(true), json::value(json::object{}), json::value(-5),
                                 json::value(json::array{1}), json::value(1e300)})
      idp(std::string("of another type: ") + name, with(name, v));
  for (const char* aud : {"", "Holdfast", "holdfast ", "holdfas", "*", "app2", "https://id.example.net/realm"})
    idp(std::string("for ") + aud, with("aud", aud));
  for (const char* iss :
       {"https://id.example.net", "https://id.example.net/realm2", "http://id.example.net/realm",
        "id.example.net/realm", "https://id.example.net@evil.example/realm", "https://ID.example.net/realm",
        "https://id.example.net/realm?x", "https://id.example.net/realm/../realm", ""})
    idp(std::string("of ") + iss, with("iss", iss));
  for (const char* alg : {"none", "None", "NONE", "", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256",
                          "ES384", "ES512", "PS256", "eddsa", "Ed25519"}) {
    add(std::string("algorithm ") + alg, WebSite::token(s.idp, s.claims(), {{"alg", alg}, {"kid", "one"}}));
    const auto p = parts(WebSite::token(s.idp, s.claims(), {{"alg", alg}}));
    add(std::string("unsigned, algorithm ") + alg, p[0] + "." + p[1] + ".");
    // Keyed with what is public.
    const std::string mac = crypto::hmac_sha256(s.idp.public_raw(), p[0] + "." + p[1]);
    add(std::string("keyed with the public key, algorithm ") + alg, p[0] + "." + p[1] + "." + base64url(mac));
  }
  for (const char* kid : {"one", "two", "", "../one"})
    add(std::string("a stranger's, kid ") + kid,
        WebSite::token(s.stranger, s.claims(), {{"alg", "EdDSA"}, {"kid", kid}}));
  add("its own key in the header",
      WebSite::token(s.stranger, s.claims(), {{"alg", "EdDSA"}, {"jwk", jwk(s.stranger, "one")}}));
  add("its own key set",
      WebSite::token(s.stranger, s.claims(), {{"alg", "EdDSA"}, {"jku", "https://evil.example/keys"}}));
  add("critical extensions", WebSite::token(s.idp, s.claims(), {{"alg", "EdDSA"}, {"crit", json::array{"exp"}}}));
  add("another kid", WebSite::token(s.idp, s.claims(), {{"alg", "EdDSA"}, {"kid", "two"}}));
  const auto p = parts(good);
  for (const std::string& t : {std::string("...."), std::string("a.b.c"), p[0] + "." + p[1],
                               p[1] + "." + p[0] + "." + p[2], p[0] + ".." + p[2], good + ".", "." + good, good + "=",
                               good + " ", p[0] + "." + p[1] + "." + p[2] + p[2], good + "." + p[2]})
    add("of another form", t);
  const auto twice = [&](const std::string& body) {
    const std::string text = p[0] + "." + base64url(body);
    return text + "." + base64url(s.idp.sign(text));
  };
  const std::string plain = json::serialize(s.claims());
  add("a member twice", twice("{\"aud\":\"app2\"," + plain.substr(1)));
  add("no object", twice("[" + plain + "]"));
  add("cut off", twice(plain.substr(0, plain.size() - 1)));
  add("bytes behind it", twice(plain + "x"));
  add("deep", twice(std::string(2000, '[')));
  for (int i = 0; i < 100; ++i) {
    std::string noise = s.random.bytes(64);
    add("noise", p[0] + "." + p[1] + "." + base64url(noise));
  }
  EXPECT_GE(forged.size(), 500u);
  size_t refused = 0;
  for (const auto& [what, text] : forged) {
    s.clock.advance(100'000);
    s.ledger.all.clear();
    const auto a = s.assume(text);
    EXPECT_TRUE(a.status == 400 || a.status == 403) << what << ": " << a.status << a.body;
    EXPECT_EQ(a.body.find("SecretAccessKey"), std::string::npos) << what;
    ASSERT_EQ(s.ledger.all.size(), 1u) << what << ": " << a.body;
    EXPECT_EQ(s.ledger.all.back().decision, "deny") << what;
    ++refused;
  }
  std::printf("forged tokens: %zu tried, %zu refused\n", forged.size(), refused);
  EXPECT_EQ(s.assume(WebSite::token(s.idp, s.claims())).status, 200);
}

TEST(WebIdentity, NothingIsGivenWithoutItsEntry) {
  WebSite s;
  const std::string good = WebSite::token(s.idp, s.claims()), before = testing::everything(*s.db);
  s.ledger.broken = true;
  EXPECT_EQ(s.assume(good).status, 503);
  EXPECT_EQ(s.set_keys(json::object{{"keys", json::array{jwk(s.stranger, "two")}}}), 503);
  const IamSite::Form arn = {{"OpenIDConnectProviderArn", kProvider}};
  const auto form = [&](IamSite::Form more) {
    more.insert(more.begin(), arn.begin(), arn.end());
    return more;
  };
  for (const auto& [action, fields] : std::vector<std::pair<std::string, IamSite::Form>>{
           {"CreateOpenIDConnectProvider", {{"Url", "https://other.example.net"}}},
           {"DeleteOpenIDConnectProvider", arn},
           {"AddClientIDToOpenIDConnectProvider", form({{"ClientID", "new"}})},
           {"RemoveClientIDFromOpenIDConnectProvider", form({{"ClientID", "app"}})},
           {"UpdateOpenIDConnectProviderThumbprint", form({{"ThumbprintList.member.1", std::string(40, 'b')}})},
           {"TagOpenIDConnectProvider", form({{"Tags.member.1.Key", "a"}, {"Tags.member.1.Value", "b"}})},
           {"UntagOpenIDConnectProvider", form({{"TagKeys.member.1", "a"}})}})
    EXPECT_EQ(s.iam(action, fields).status, 503) << action;
  EXPECT_EQ(testing::everything(*s.db), before);
  s.ledger.broken = false;
  EXPECT_EQ(s.assume(good).status, 200);
}

}  // namespace
}  // namespace hf::api
