#include "security/web_identity.h"

#include <boost/json.hpp>
#include <cmath>

#include "base/bytes.h"
#include "security/json.h"

namespace hf::security {
namespace json = boost::json;
namespace {

constexpr size_t kMaxToken = 20'000, kMaxSet = 256 << 10, kMaxKeys = 100, kMaxText = 2048, kMaxList = 50;
constexpr int64_t kSkew = 60;  // seconds

Error bad(const std::string& why) { return fail(Code::denied, "InvalidIdentityToken", "WebIdentityToken: " + why); }

std::string text_of(const json::value& v) { return {v.get_string().data(), v.get_string().size()}; }

// ---- key sets

Result<std::string> member(const json::object& key, const char* name, const std::string& where, bool required) {
  const json::value* v = key.if_contains(name);
  if (!v)
    return required ? Result<std::string>(fail(Code::invalid, where + ": expected the member '" + name + "'"))
                    : Result<std::string>(std::string());
  if (!v->is_string()) return fail(Code::invalid, where + "." + name + ": expected a string");
  return text_of(*v);
}
Result<std::string> bytes(const json::object& key, const char* name, const std::string& where) {
  auto out = unbase64url(TRY(member(key, name, where, true)));
  if (!out.ok()) return fail(Code::invalid, where + "." + name + ": expected base64url without padding");
  return out;
}

Result<crypto::PublicKey> public_key(const json::object& key, const std::string& where) {
  const std::string type = TRY(member(key, "kty", where, true));
  if (type == "RSA") return crypto::PublicKey::rsa(TRY(bytes(key, "n", where)), TRY(bytes(key, "e", where)));
  if (type == "EC") {
    const std::string curve = TRY(member(key, "crv", where, true));
    if (curve != "P-256" && curve != "P-384")
      return fail(Code::invalid, where + ".crv: expected P-256 or P-384, found '" + clip_utf8(curve, 40) + "'");
    return crypto::PublicKey::ec(curve == "P-256" ? crypto::PublicKey::Curve::p256 : crypto::PublicKey::Curve::p384,
                                 TRY(bytes(key, "x", where)), TRY(bytes(key, "y", where)));
  }
  if (type == "OKP") {
    if (TRY(member(key, "crv", where, true)) != "Ed25519") return fail(Code::invalid, where + ".crv: expected Ed25519");
    return crypto::PublicKey::ed25519(TRY(bytes(key, "x", where)));
  }
  return fail(Code::invalid, where + ".kty: expected RSA, EC or OKP, found '" + clip_utf8(type, 40) + "'");
}

// ---- claims: each has its type, or the token is none

class Claims {
 public:
  explicit Claims(const json::object& o) : o_(o) {}
  std::string text(const char* name) {
    const json::value* v = o_.if_contains(name);
    if (!v) return {};
    if (!v->is_string() || v->get_string().size() > kMaxText) return wrong(name), std::string();
    return text_of(*v);
  }
  std::vector<std::string> list(const char* name) {
    const json::value* v = o_.if_contains(name);
    std::vector<std::string> out;
    if (!v) return out;
    if (v->is_string()) return {text(name)};
    return strings(*v, name);
  }
  // Seconds; a fraction is cut off. 0: not said.
  int64_t time(const char* name) {
    const json::value* v = o_.if_contains(name);
    if (!v) return 0;
    double seconds = v->is_int64() ? static_cast<double>(v->get_int64()) : v->is_double() ? v->get_double() : -1;
    if (!(seconds > 0 && seconds < 1e11)) return wrong(name), 0;
    return static_cast<int64_t>(std::floor(seconds));
  }
  void tags(std::vector<std::pair<std::string, std::string>>& tags, std::vector<std::string>& transitive) {
    constexpr const char* kName = "https://aws.amazon.com/tags";
    const json::value* v = o_.if_contains(kName);
    if (!v) return;
    if (!v->is_object()) return wrong(kName);
    if (const json::value* keys = v->get_object().if_contains("transitive_tag_keys"))
      transitive = strings(*keys, kName);
    const json::value* principal = v->get_object().if_contains("principal_tags");
    if (!principal) return;
    if (!principal->is_object() || principal->get_object().size() > kMaxList) return wrong(kName);
    for (const auto& [key, values] : principal->get_object()) {
      const auto list = strings(values, kName);
      if (list.size() != 1 || key.empty() || key.size() > 128 || list[0].size() > 256) return wrong(kName);
      tags.emplace_back(std::string(key), list[0]);
    }
  }
  const std::string& problem() const { return problem_; }

 private:
  void wrong(const char* name) {
    if (problem_.empty()) problem_ = std::string("the claim ") + name + " is not of its type";
  }
  std::vector<std::string> strings(const json::value& v, const char* name) {
    std::vector<std::string> out;
    if (!v.is_array() || v.get_array().size() > kMaxList) return wrong(name), out;
    for (const json::value& one : v.get_array()) {
      if (!one.is_string() || one.get_string().size() > kMaxText) return wrong(name), out;
      out.push_back(text_of(one));
    }
    return out;
  }
  const json::object& o_;
  std::string problem_;
};

Result<json::object> part(std::string_view encoded, const char* which) {
  auto text = unbase64url(encoded);
  if (!text.ok()) return bad(std::string("its ") + which + " is no base64url");
  auto v = parse_json(*text, kMaxToken, which);
  if (!v.ok() || !v->is_object()) return bad(std::string("its ") + which + " is no JSON object");
  return std::move(v->get_object());
}

bool signed_by(const crypto::PublicKey& key, const std::string& algorithm, std::string_view message,
               std::string_view signature) {
  using crypto::Hash;
  using Curve = crypto::PublicKey::Curve;
  if (algorithm == "RS256") return key.verify_rsa(Hash::sha256, message, signature);
  if (algorithm == "RS384") return key.verify_rsa(Hash::sha384, message, signature);
  if (algorithm == "RS512") return key.verify_rsa(Hash::sha512, message, signature);
  if (algorithm == "ES256") return key.verify_ec(Curve::p256, message, signature);
  if (algorithm == "ES384") return key.verify_ec(Curve::p384, message, signature);
  return algorithm == "EdDSA" && key.verify_ed25519(message, signature);
}

}  // namespace

Result<KeySet> KeySet::parse(std::string_view text) {
  auto v = TRY(parse_json(text, kMaxSet, "the key set"));
  const json::value* list = v.is_object() ? v.get_object().if_contains("keys") : nullptr;
  if (!list || !list->is_array()) return fail(Code::invalid, "the key set: expected an object with an array 'keys'");
  if (list->get_array().empty() || list->get_array().size() > kMaxKeys)
    return fail(Code::invalid,
                "the key set: expected 1 to 100 keys, found " + std::to_string(list->get_array().size()));
  KeySet out;
  for (size_t i = 0; i < list->get_array().size(); ++i) {
    const std::string where = "keys[" + std::to_string(i) + "]";
    const json::value& one = list->get_array()[i];
    if (!one.is_object()) return fail(Code::invalid, where + ": expected an object");
    const json::object& key = one.get_object();
    for (const char* secret : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
      if (key.if_contains(secret))
        return fail(Code::invalid, where + ": expected a public key, found the private part '" + secret + "'");
    const std::string use = TRY(member(key, "use", where, false));
    if (!use.empty() && use != "sig") return fail(Code::invalid, where + ".use: expected sig");
    out.keys_.push_back(
        {TRY(member(key, "kid", where, false)), TRY(member(key, "alg", where, false)), TRY(public_key(key, where))});
  }
  return out;
}

Result<WebToken> WebToken::parse(std::string_view text) {
  if (text.size() > kMaxToken) return bad("expected at most 20000 characters");
  const auto parts = split(text, '.');
  if (parts.size() != 3) return bad("expected three parts with dots between them");
  WebToken t;
  const json::object head = TRY(part(parts[0], "header")), body = TRY(part(parts[1], "payload"));
  Claims header(head), claims(body);
  // RFC 7515, 4.1.11: extensions that must be understood, and none is.
  if (head.if_contains("crit")) return bad("its header names extensions that are critical, and none is known here");
  t.algorithm_ = header.text("alg");
  t.kid_ = header.text("kid");
  t.issuer_ = claims.text("iss");
  t.subject_ = claims.text("sub");
  t.azp_ = claims.text("azp");
  t.audiences_ = claims.list("aud");
  t.amr_ = claims.list("amr");
  t.expires_ = claims.time("exp");
  t.issued_ = claims.time("iat");
  t.not_before_ = claims.time("nbf");
  t.source_identity_ = claims.text("https://aws.amazon.com/source_identity");
  claims.tags(t.tags_, t.transitive_);
  for (const Claims* c : {&header, &claims})
    if (!c->problem().empty()) return bad(c->problem());
  auto signature = unbase64url(parts[2]);
  if (!signature.ok()) return bad("its signature is no base64url");
  t.signature_ = std::move(*signature);
  t.signed_part_ = std::string(text.substr(0, parts[0].size() + 1 + parts[1].size()));
  return t;
}

Status WebToken::verify(const KeySet& keys, Micros now) const {
  bool good = false;
  for (const KeySet::Key& k : keys.keys_) {
    if (good) break;
    if ((!kid_.empty() && !k.kid.empty() && k.kid != kid_) || (!k.alg.empty() && k.alg != algorithm_)) continue;
    good = signed_by(k.key, algorithm_, signed_part_, signature_);
  }
  if (!good) return fail(Code::denied, kUnknownSigner, "WebIdentityToken: no key of the provider's set has signed it");
  if (issuer_.empty() || subject_.empty() || audiences_.empty() || expires_ == 0 || issued_ == 0)
    return bad("expected the claims iss, sub, aud, exp and iat");
  const int64_t seconds = now / 1'000'000;
  if (expires_ <= seconds - kSkew)
    return fail(Code::denied, "ExpiredTokenException",
                "WebIdentityToken: it has ended at " + iso8601(expires_ * 1'000'000));
  if (issued_ > seconds + kSkew || not_before_ > seconds + kSkew) return bad("it is of the time to come");
  return {};
}

}  // namespace hf::security
