#include "security/sessions.h"

#include <boost/json.hpp>

#include "base/bytes.h"
#include "security/json.h"

namespace hf::security {
namespace json = boost::json;
namespace {

constexpr size_t kMaxCached = 10'000, kMaxToken = 16 << 10;
constexpr size_t kSecret = 40;  // characters
constexpr Micros kSkew = 900'000'000;
constexpr const char* kContext = "session-token";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";  // 5 bits a character

Error bad(std::string message) {
  return fail(Code::denied, "InvalidToken", "x-amz-security-token: " + std::move(message));
}

json::array strings(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& s : list) out.emplace_back(s);
  return out;
}

// What the caller gave freely: it has to fit into a header, again and again.
json::object given(const Session& s) {
  json::array tags;
  for (const auto& [key, value] : s.tags) tags.emplace_back(json::array{key, value});
  return {{"policy", s.policy},
          {"policies", strings(s.policy_arns)},
          {"tags", std::move(tags)},
          {"transitive", strings(s.transitive)}};
}

std::string packed(const Session& s, const std::string& id) {
  json::object out = given(s);
  out["kind"] = static_cast<int>(s.kind);
  out["id"] = id;
  out["account"] = s.account;
  out["principal"] = s.principal;
  out["name"] = s.name;
  out["issued"] = s.issued;
  out["expires"] = s.expires;
  out["limited"] = s.limited;
  out["factor"] = s.second_factor;
  out["source"] = s.source_identity;
  out["provider"] = s.provider;
  return json::serialize(out);
}

std::string text_of(const json::object& o, const char* member) {
  const json::string& s = o.at(member).as_string();
  return {s.data(), s.size()};
}

std::vector<std::string> list_of(const json::object& o, const char* member) {
  std::vector<std::string> out;
  for (const json::value& v : o.at(member).as_array()) out.emplace_back(v.as_string().data(), v.as_string().size());
  return out;
}

// Only what packed() wrote comes here: anything else is corrupt.
Session unpacked(const json::object& o) {
  Session s;
  s.kind = static_cast<Session::Kind>(o.at("kind").as_int64());
  s.account = text_of(o, "account");
  s.principal = text_of(o, "principal");
  s.name = text_of(o, "name");
  s.issued = o.at("issued").as_int64();
  s.expires = o.at("expires").as_int64();
  s.limited = o.at("limited").as_bool();
  s.second_factor = o.at("factor").as_int64();
  s.source_identity = text_of(o, "source");
  s.provider = text_of(o, "provider");
  s.policy = text_of(o, "policy");
  s.policy_arns = list_of(o, "policies");
  s.transitive = list_of(o, "transitive");
  for (const json::value& v : o.at("tags").as_array()) {
    const json::array& pair = v.as_array();
    s.tags.emplace_back(pair.at(0).as_string().c_str(), pair.at(1).as_string().c_str());
  }
  return s;
}

// Of a key's session without a second factor, as AWS has it.
Result<Policy> limits() {
  return parse_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","sts:*"],"Resource":"*"},)"
      R"({"Effect":"Allow","Action":["sts:AssumeRole","sts:GetCallerIdentity"],"Resource":"*"}]})",
      "session-without-a-second-factor");
}

// The session's own facts, for conditions.
void tell(const Session& s, Micros now, Identity& who) {
  who.facts["aws:tokenissuetime"] = {iso8601(s.issued)};
  who.facts["aws:multifactorauthpresent"] = {s.second_factor ? "true" : "false"};
  if (s.second_factor) who.facts["aws:multifactorauthage"] = {std::to_string((now - s.second_factor) / 1'000'000)};
  if (!s.source_identity.empty()) who.facts["aws:sourceidentity"] = {s.source_identity};
  if (!s.provider.empty()) who.facts["aws:federatedprovider"] = {s.provider};
  for (const auto& [key, value] : s.tags) who.facts["aws:principaltag/" + lower(key)] = {value};
  for (const auto& [key, value] : s.tags)
    for (const auto& on : s.transitive)
      if (iequal(on, key)) who.transitive.emplace_back(key, value);
}

}  // namespace

Sessions::Sessions(store::Db& db, os::Clock& clock, os::Random& random, Keys& keys, const crypto::Secret& root_key)
    : db_(db),
      clock_(clock),
      random_(random),
      keys_(keys),
      sealer_(root_key, "session-token", random),
      id_key_(crypto::hmac_sha256(root_key.reveal(), "holdfast-session-ids-v1")) {}

// ---- ids: "ASIA", 8 characters that are random, 8 that hold the account's number under a mask of those.

std::string Sessions::mask(std::string_view salt) const {
  return crypto::hmac_sha256(id_key_.reveal(), salt).substr(0, 8);
}

std::string Sessions::new_id(const std::string& account) const {
  const std::string salt = iam::identifier("", random_.bytes(8));
  uint64_t number = std::stoull(account) ^ (get_u64be(mask(salt).data()) & 0xff'ffff'ffff);
  std::string rest;
  for (int shift = 35; shift >= 0; shift -= 5) rest += kAlphabet[(number >> shift) & 31];
  return "ASIA" + salt + rest;
}

std::string Sessions::account_of(std::string_view id) const {
  if (id.size() != 20 || !id.starts_with("ASIA")) return {};
  uint64_t number = 0;
  for (char c : id.substr(12)) {
    const size_t digit = kAlphabet.find(c);
    if (digit == kAlphabet.npos) return {};
    number = number << 5 | digit;
  }
  number ^= get_u64be(mask(id.substr(4, 8)).data()) & 0xff'ffff'ffff;
  if (number > 999'999'999'999) return {};
  std::string out = std::to_string(number);
  return std::string(12 - out.size(), '0') + out;
}

// ---- giving

Result<Sessions::Issued> Sessions::issue(Session session, int64_t seconds) {
  const size_t size = json::serialize(given(session)).size(), empty = json::serialize(given({})).size();
  if (size - empty > kRoom)
    return fail(Code::invalid, "PackedPolicyTooLarge",
                "session policies and tags: expected at most " + std::to_string(kRoom) + " bytes together, found " +
                    std::to_string(size - empty));
  session.issued = clock_.now();
  session.expires = session.issued + seconds * 1'000'000;
  Issued out;
  out.access_key_id = new_id(session.account);
  out.secret = crypto::Secret(base64(random_.bytes(kSecret / 4 * 3)));
  // The secret goes before the JSON, so that no parser leaves copies of it.
  const crypto::Secret plain(std::string(out.secret.reveal()) + packed(session, out.access_key_id));
  out.token = sealer_.seal(plain.reveal(), kContext);
  out.expires = session.expires;
  out.packed_percent = static_cast<int64_t>(((size - empty) * 100 + kRoom - 1) / kRoom);
  return out;
}

// ---- taking back

void Sessions::keep(const std::string& digest, std::shared_ptr<const Opened> one) {
  std::lock_guard lock(mutex_);
  if (cache_.size() >= kMaxCached) cache_.clear();
  cache_[digest] = std::move(one);
}

Result<std::shared_ptr<const Sessions::Opened>> Sessions::opened(std::string_view token) {
  if (token.size() > kMaxToken) return bad("expected at most 16384 characters");
  auto plain = sealer_.open(token, kContext);
  if (!plain.ok()) return bad("expected a token that this site gave, found another");
  auto one = std::make_shared<Opened>();
  try {
    const std::string_view rest = plain->reveal().substr(kSecret);
    const json::value v = json::parse(json::string_view(rest.data(), rest.size()));
    one->session = unpacked(v.as_object());
    one->access_key_id = text_of(v.as_object(), "id");
    one->secret = crypto::Secret(std::string(plain->reveal().substr(0, kSecret)));
  } catch (const std::exception&) {  // sealed by us, and of a form that this program does not know: another version's
    return bad("expected a token of this version of the site; ask for a new one");
  }
  return std::shared_ptr<const Opened>(std::move(one));
}

Result<Identity> Sessions::of_key(const Session& session) {
  auto found = TRY(keys_.by_access_key(session.principal));
  if (!found) return bad("the access key that it was given to is gone, inactive or expired");
  return std::move(found->identity);
}

Result<std::optional<Identity>> Sessions::identity_of(store::Txn& txn, const Session& s) {
  auto entity = TRY(iam::by_id(txn, s.principal));
  if (!entity) return std::optional<Identity>();
  Identity who = TRY(iam::identity_of(txn, *entity));
  if (s.kind == Session::Kind::role) {
    who.role_arn = who.arn;
    who.arn = "arn:aws:sts::" + s.account + ":assumed-role/" + entity->name + "/" + s.name;
    who.user_id = entity->id + ":" + s.name;
  }
  if (s.policy.empty() && s.policy_arns.empty()) return std::optional<Identity>(std::move(who));
  who.session.emplace();
  if (!s.policy.empty()) who.session->push_back(TRY(parse_policy(s.policy, "session-policy")));
  for (const auto& arn : s.policy_arns) {
    auto managed = iam::policy_by_arn(txn, arn);
    if (managed.ok())
      who.session->push_back(TRY(iam::policy_of(txn, *managed)));
    else if (managed.error().code != Code::not_found)
      return managed.error();
  }
  return std::optional<Identity>(std::move(who));
}

// With an identity that is true now.
Result<std::shared_ptr<const Sessions::Opened>> Sessions::current(std::shared_ptr<const Opened> known,
                                                                  const std::string& digest) {
  auto fresh = std::make_shared<Opened>(*known);
  bool same = false;
  std::optional<Identity> who;
  TRY(db_.read([&](store::Txn& txn) -> Status {
    fresh->generation = TRY(iam::generation(txn, known->session.account));
    same = known->generation == fresh->generation;
    if (!same) who = TRY(identity_of(txn, known->session));
    return {};
  }));
  if (same) return known;
  if (!who) return bad("its user or role is gone");
  fresh->identity = std::move(*who);
  std::shared_ptr<const Opened> out = std::move(fresh);
  keep(digest, out);
  return out;
}

Result<Keys::Found> Sessions::open(const std::string& access_key_id, std::string_view token) {
  const std::string digest = crypto::sha256(token);
  std::shared_ptr<const Opened> one;
  {
    std::lock_guard lock(mutex_);
    if (auto it = cache_.find(digest); it != cache_.end()) one = it->second;
  }
  if (!one) keep(digest, one = TRY(opened(token)));
  const Session& s = one->session;
  if (one->access_key_id != access_key_id) return bad("expected the token of this access key, found another's");
  const Micros now = clock_.now();
  if (s.issued > now + kSkew) return bad("expected a token of the past, found one that is given in time to come");
  if (s.expires <= now)
    return fail(Code::denied, "ExpiredToken", "x-amz-security-token: the session has ended at " + iso8601(s.expires));
  Keys::Found out;
  if (s.kind == Session::Kind::key)
    out.identity = TRY(of_key(s));
  else
    out.identity = TRY(current(one, digest))->identity;
  if (s.limited) {
    check(!out.identity.session, "a key's session has no session policies");
    out.identity.session = std::vector<Policy>{TRY(limits())};
  }
  out.identity.access_key_id = access_key_id;
  out.identity.temporary = true;
  tell(s, now, out.identity);
  out.secret = one->secret;
  return out;
}

}  // namespace hf::security
