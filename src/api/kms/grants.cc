// Grants: rights over a key that its holder hands on, one by one, beside its policy.
#include <algorithm>

#include "api/kms/encryption.h"
#include "api/resource_policy.h"
#include "base/bytes.h"

namespace hf::api::kms_api {
namespace {

using keys::Grant;

constexpr int64_t kMostGrants = 50'000;

// As policies know the caller: a user, a role, a role's session, or an account.
Result<std::string> principal(const char* member, const std::string& given) {
  const auto bad = [&] {
    return fail(Code::invalid, "InvalidArnException",
                std::string(member) + ": expected the ARN of a user, a role, a role's session or an account, found " +
                    clip_utf8(given, 256));
  };
  const auto digits = [](std::string_view s) {
    return s.size() == 12 && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (digits(given)) return "arn:aws:iam::" + given + ":root";
  const auto parts = split(given, ':');
  if (parts.size() != 6 || parts[0] != "arn" || parts[1] != "aws" || !parts[3].empty() || !digits(parts[4]))
    return bad();
  const bool iam = parts[2] == "iam" && (parts[5] == "root" || (parts[5].starts_with("user/") && parts[5].size() > 5) ||
                                         (parts[5].starts_with("role/") && parts[5].size() > 5));
  const bool sts = parts[2] == "sts" && parts[5].starts_with("assumed-role/");
  if (!iam && !sts) return bad();
  return given;
}

struct Constraints {
  std::optional<EncryptionContext> subset, equals;
  static void fields(wire::Fields<Constraints>& f) {
    f("EncryptionContextSubset", &Constraints::subset);
    f("EncryptionContextEquals", &Constraints::equals);
    f.refused("SourceArn", "no service of a site calls with another's rights");
  }
};

struct Create {
  std::string key_id, grantee;
  std::optional<std::string> retiring, name;
  std::vector<std::string> operations, tokens;
  std::optional<Constraints> constraints;
  std::optional<bool> dry;
  static void fields(wire::Fields<Create>& f) {
    f("KeyId", &Create::key_id).required().length(1, 2048);
    f("GranteePrincipal", &Create::grantee).required().length(1, 256);
    f("RetiringPrincipal", &Create::retiring).length(1, 256);
    f("Operations", &Create::operations)
        .required()
        .one_of({"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
                 "ReEncryptTo", "Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey",
                 "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac",
                 "DeriveSharedSecret"});
    f("Constraints", &Create::constraints);
    f("GrantTokens", &Create::tokens).length(0, 10);
    f("Name", &Create::name).length(1, 256).pattern("[a-zA-Z0-9:/_-]+");
    f("DryRun", &Create::dry);
    f.refused("GranteeServicePrincipal", "no service of a site uses keys with rights of its own");
    f.refused("RetiringServicePrincipal", "no service of a site uses keys with rights of its own");
  }
};
struct Created {
  std::string token, id;
  static void fields(wire::Fields<Created>& f) {
    f("GrantToken", &Created::token).secret();
    f("GrantId", &Created::id);
  }
};

// What a key of this kind is asked for.
bool fits(const Key& key, const std::string& operation) {
  if (operation == "CreateGrant" || operation == "RetireGrant" || operation == "DescribeKey") return true;
  const bool pair = keys::spec_of(key.spec)->type.has_value();
  if (operation == "GetPublicKey") return pair;
  if (operation == "Encrypt" || operation == "Decrypt" || operation.starts_with("ReEncrypt"))
    return key.usage == "ENCRYPT_DECRYPT";
  if (operation.starts_with("GenerateDataKey")) return key.symmetric();
  if (operation == "Sign" || operation == "Verify") return key.usage == "SIGN_VERIFY";
  if (operation == "DeriveSharedSecret") return key.usage == "KEY_AGREEMENT";
  return key.usage == "GENERATE_VERIFY_MAC";
}

Result<Grant> grant_of(const Create& in) {
  Grant g;
  g.grantee = TRY(principal("GranteePrincipal", in.grantee));
  if (in.retiring) g.retiring = TRY(principal("RetiringPrincipal", *in.retiring));
  g.name = in.name.value_or("");
  g.operations = in.operations;
  std::sort(g.operations.begin(), g.operations.end());
  g.operations.erase(std::unique(g.operations.begin(), g.operations.end()), g.operations.end());
  if (!in.constraints) return g;
  if (in.constraints->subset && in.constraints->equals)
    return invalid("Constraints: expected EncryptionContextSubset or EncryptionContextEquals, found both");
  g.subset = in.constraints->subset;
  g.equals = in.constraints->equals;
  if (g.subset) TRY(check_context("EncryptionContextSubset", *g.subset));
  if (g.equals) TRY(check_context("EncryptionContextEquals", *g.equals));
  return g;
}

security::Context context_of(const Grant& g) {
  security::Context out;
  out["kms:grantoperations"] = g.operations;
  out["kms:granteeprincipal"] = {g.grantee};
  out["kms:grantisforawsresource"] = {"false"};
  if (!g.retiring.empty()) out["kms:retiringprincipal"] = {g.retiring};
  if (g.subset || g.equals) {
    out["kms:grantconstrainttype"] = {g.equals ? "EncryptionContextEquals" : "EncryptionContextSubset"};
    keys::tell(out, g.equals ? *g.equals : *g.subset);
  }
  return out;
}

Status check_grant(const Key& key, const Grant& g) {
  if (g.operations.empty()) return invalid("Operations: expected at least one");
  for (const std::string& operation : g.operations)
    if (!fits(key, operation))
      return invalid("Operations: " + operation + " is nothing for a key of spec " + key.spec + " for " + key.usage);
  if ((g.subset || g.equals) && !key.symmetric())
    return invalid("Constraints: expected none with a key of spec " + key.spec + ", which knows no encryption context");
  return {};
}

// A grant with a name that is like this one in all else is this one.
Result<std::optional<Grant>> the_same(store::Txn& txn, const Grant& g) {
  if (g.name.empty()) return std::optional<Grant>();
  auto all = TRY(keys::list_grants(txn, g.account, g.key, g.grantee, "", INT64_MAX));
  for (Grant& have : all)
    if (have.name == g.name && have.retiring == g.retiring && have.operations == g.operations &&
        have.subset == g.subset && have.equals == g.equals)
      return std::optional<Grant>(std::move(have));
  return std::optional<Grant>();
}

Result<Created> create(Call& call, const Create& in) {
  Grant g = TRY(grant_of(in));
  const Key key = TRY(
      ask(call, {.key_id = in.key_id, .named = Named::anywhere, .context = context_of(g), .grant_tokens = in.tokens}));
  TRY(usable(call, key));
  TRY(check_grant(key, g));
  g.account = key.account;
  g.key = key.id;
  g.issuer = call.account();
  g.created = call.now();
  g.id = hex(call.site().random.bytes(32));
  TRY(dry_run(in.dry));
  json::array operations;
  for (const auto& one : g.operations) operations.emplace_back(one);
  std::string detail;
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        const auto same = TRY(the_same(txn, g));
        if (same) g.id = same->id;
        detail = told({{"grantId", g.id},
                       {"granteePrincipal", g.grantee},
                       {"retiringPrincipal", g.retiring},
                       {"operations", operations}});
        if (same) return {};
        if (!TRY(keys::find(txn, key.account, key.id, call.now())))
          return fail(Code::not_found, "NotFoundException", "the key " + key.id + " is gone");
        if (TRY(keys::count_grants(txn, g.account, g.key)) >= kMostGrants)
          return fail(Code::conflict, "LimitExceededException", "expected at most 50000 grants a key");
        return keys::put(txn, g);
      },
      detail));
  return Created{ring(call).grant_token(g), g.id};
}

// ---- lists

struct View {
  std::string key, id, grantee, issuer;
  std::optional<std::string> name, retiring;
  wire::Timestamp created;
  std::vector<std::string> operations;
  std::optional<Constraints> constraints;
  static void fields(wire::Fields<View>& f) {
    f("KeyId", &View::key);
    f("GrantId", &View::id);
    f("Name", &View::name);
    f("CreationDate", &View::created);
    f("GranteePrincipal", &View::grantee);
    f("RetiringPrincipal", &View::retiring);
    f("IssuingAccount", &View::issuer);
    f("Operations", &View::operations);
    f("Constraints", &View::constraints);
  }
};
View view_of(const Call& call, const Grant& g) {
  Key key;
  key.account = g.account;
  key.id = g.key;
  View v;
  v.key = key_arn(call, key);
  v.id = g.id;
  v.grantee = g.grantee;
  v.issuer = "arn:aws:iam::" + g.issuer + ":root";
  if (!g.name.empty()) v.name = g.name;
  if (!g.retiring.empty()) v.retiring = g.retiring;
  v.created.us = g.created;
  v.operations = g.operations;
  if (g.subset || g.equals) v.constraints = Constraints{g.subset, g.equals};
  return v;
}
struct ListResponse : Page {
  std::vector<View> grants;
  static void fields(wire::Fields<ListResponse>& f) {
    f("Grants", &ListResponse::grants);
    paged_fields(f);
  }
};

struct List : Paged {
  std::string key_id;
  std::optional<std::string> id, grantee;
  static void fields(wire::Fields<List>& f) {
    f("KeyId", &List::key_id).required().length(1, 2048);
    f("GrantId", &List::id).length(1, 128);
    f("GranteePrincipal", &List::grantee).length(1, 256);
    f.refused("GranteeServicePrincipal", "no service of a site uses keys with rights of its own");
    page_fields(f);
  }
};
Result<ListResponse> list(Call& call, const List& in) {
  const Key key = TRY(ask(call, {.key_id = in.key_id, .named = Named::anywhere}));
  const std::string from = TRY(after(in));
  const std::string grantee = in.grantee ? TRY(principal("GranteePrincipal", *in.grantee)) : "";
  const int64_t limit = in.limit.value_or(50);
  std::vector<Grant> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found.clear();
    if (!in.id) {
      found = TRY(keys::list_grants(txn, key.account, key.id, grantee, from, limit + 1));
      return {};
    }
    auto one = TRY(keys::find_grant(txn, key.account, key.id, *in.id));
    if (!one) return fail(Code::invalid, "InvalidGrantIdException", "GrantId: expected one of the key's grants");
    if (grantee.empty() || one->grantee == grantee) found.push_back(std::move(*one));
    return {};
  }));
  ListResponse out;
  cut(found, limit, out, [](const Grant& g) { return g.id; });
  for (const Grant& g : found) out.grants.push_back(view_of(call, g));
  return out;
}

struct ListRetirable : Paged {
  std::string retiring;
  static void fields(wire::Fields<ListRetirable>& f) {
    f("RetiringPrincipal", &ListRetirable::retiring).required().length(1, 256);
    f.refused("RetiringServicePrincipal", "no service of a site uses keys with rights of its own");
    page_fields(f);
  }
};
Result<ListResponse> list_retirable(Call& call, const ListRetirable& in) {
  TRY(ask_any(call));
  const std::string from = TRY(after(in)), who = TRY(principal("RetiringPrincipal", in.retiring));
  const int64_t limit = in.limit.value_or(50);
  std::vector<Grant> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(keys::list_retirable(txn, call.account(), who, from, limit + 1));
    return {};
  }));
  ListResponse out;
  cut(found, limit, out, [](const Grant& g) { return g.key + "/" + g.id; });
  for (const Grant& g : found) out.grants.push_back(view_of(call, g));
  return out;
}

// ---- their end

Result<Nothing> end(Call& call, const Key& key, const std::string& id, const std::optional<bool>& dry) {
  const Error none = fail(Code::invalid, "InvalidGrantIdException", "GrantId: expected one of the key's grants");
  std::optional<Grant> seen;
  TRY(call.read([&](store::Txn& txn) -> Status {
    seen = TRY(keys::find_grant(txn, key.account, key.id, id));
    return {};
  }));
  if (!seen) return none;
  TRY(dry_run(dry));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        if (!TRY(keys::find_grant(txn, key.account, key.id, id))) return none;
        return keys::erase(txn, *seen);
      },
      told({{"grantId", id}, {"granteePrincipal", seen->grantee}})));
  return Nothing{};
}

struct Revoke {
  std::string key_id, id;
  std::optional<bool> dry;
  static void fields(wire::Fields<Revoke>& f) {
    f("KeyId", &Revoke::key_id).required().length(1, 2048);
    f("GrantId", &Revoke::id).required().length(1, 128);
    f("DryRun", &Revoke::dry);
  }
};
Result<Nothing> revoke(Call& call, const Revoke& in) {
  security::Context context;
  context["kms:grantisforawsresource"] = {"false"};
  const Key key = TRY(ask(call, {.key_id = in.key_id, .named = Named::anywhere, .context = std::move(context)}));
  return end(call, key, in.id, in.dry);
}

struct Retire {
  std::optional<std::string> token, key_id, id;
  std::optional<bool> dry;
  static void fields(wire::Fields<Retire>& f) {
    f("GrantToken", &Retire::token).length(1, 8192).secret();
    f("KeyId", &Retire::key_id).length(1, 2048);
    f("GrantId", &Retire::id).length(1, 128);
    f("DryRun", &Retire::dry);
  }
};
std::string retired_key(const Call& call, const Retire& in) {
  if (in.key_id) return arn_for(call, *in.key_id);
  const auto grant = in.token ? ring(call).open_grant_token(*in.token) : Result<Grant>(invalid(""));
  return grant.ok() ? "arn:aws:kms:" + call.site().region + ":" + grant->account + ":key/" + grant->key : "*";
}
// By whom the grant names, or who may retire grants of the key at all.
Result<Nothing> retire(Call& call, const Retire& in) {
  const bool by_id = in.key_id && in.id;
  if (in.token.has_value() == by_id || (in.token && (in.key_id || in.id))) {
    TRY(ask_any(call));
    return invalid("expected GrantToken, or KeyId and GrantId");
  }
  std::string id = in.id.value_or("");
  if (in.token) {
    auto grant = ring(call).open_grant_token(*in.token);
    if (!grant.ok()) {
      TRY(ask_any(call));
      return grant.error();
    }
    id = grant->id;
  }
  security::Context context;
  context["kms:grantid"] = {id};
  const Key key =
      TRY(ask(call, {.key_id = retired_key(call, in), .named = Named::anywhere, .context = std::move(context)}));
  return end(call, key, id, in.dry);
}

}  // namespace

void add_grants(Service& s) {
  add<Create, Created>(s, "CreateGrant", Effect::write, create, of_key<Create>);
  add<List, ListResponse>(s, "ListGrants", Effect::read, list, of_key<List>);
  add<ListRetirable, ListResponse>(s, "ListRetirableGrants", Effect::read, list_retirable, no_key<ListRetirable>);
  add<Revoke, Nothing>(s, "RevokeGrant", Effect::write, revoke, of_key<Revoke>);
  add<Retire, Nothing>(s, "RetireGrant", Effect::write, retire, retired_key);
}

}  // namespace hf::api::kms_api
