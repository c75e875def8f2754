// Aliases: names of keys. To change one is a right over the alias and over each key that it names.
#include <algorithm>

#include "api/kms/kms.h"
#include "api/resource_policy.h"

namespace hf::api::kms_api {
namespace {

constexpr int64_t kMostOfAKey = 50;

Status check_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' ||
           c == '-';
  };
  if (name.starts_with("alias/") && name.size() > 6 && name.size() <= 256 &&
      std::all_of(name.begin(), name.end(), fits) && !name.starts_with("alias/aws/"))
    return {};
  return fail(Code::invalid, "InvalidAliasNameException",
              "AliasName: expected alias/ and up to 250 letters, digits, /, _ and -, not alias/aws/, found " +
                  clip_utf8(name, 256));
}
Error none(const Call& call, const std::string& name) {
  return fail(Code::not_found, "NotFoundException",
              "Alias " + call.arn("kms", clip_utf8(name, 256)) + " is not found.");
}
template <class In>
std::string of_alias(const Call& call, const In& in) {
  return in.name.starts_with("alias/") ? call.arn("kms", in.name) : "*";
}
Status ask_alias(Call& call, const std::string& name) {
  TRY(check_name(name));
  const std::string arn = call.arn("kms", name);
  security::Context context;
  context["kms:calleraccount"] = {call.account()};
  return call.may(security::Question{.action = call.action(), .resource = arn, .context = std::move(context)});
}
Status check_target(store::Txn& txn, const Call& call, const Key& seen) {
  const auto key = TRY(keys::find(txn, seen.account, seen.id, call.now()));
  if (!key) return fail(Code::not_found, "NotFoundException", "the key " + seen.id + " is gone");
  TRY(not_pending_deletion(call, *key));
  if (static_cast<int64_t>(TRY(keys::list_aliases(txn, seen.account, seen.id, "", kMostOfAKey)).size()) >= kMostOfAKey)
    return fail(Code::conflict, "LimitExceededException", "expected at most 50 aliases a key");
  return {};
}

struct Target {
  std::string name, key_id;
  static void fields(wire::Fields<Target>& f) {
    f("AliasName", &Target::name).required().length(1, 256);
    f("TargetKeyId", &Target::key_id).required().length(1, 2048);
  }
};

Result<Nothing> create(Call& call, const Target& in) {
  TRY(ask_alias(call, in.name));
  const Key key = TRY(ask(call, {.key_id = in.key_id, .other_key = true}));
  if (key.account != call.account()) return none(call, in.name);
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        if (TRY(keys::find_alias(txn, call.account(), in.name)))
          return fail(Code::conflict, "AlreadyExistsException",
                      "An alias with the name " + call.arn("kms", in.name) + " already exists");
        TRY(check_target(txn, call, key));
        return keys::put(txn, keys::Alias{call.account(), in.name, key.id, call.now(), call.now()});
      },
      told({{"targetKeyId", key.id}})));
  return Nothing{};
}

Result<keys::Alias> seen_alias(Call& call, const std::string& name) {
  std::optional<keys::Alias> alias;
  TRY(call.read([&](store::Txn& txn) -> Status {
    alias = TRY(keys::find_alias(txn, call.account(), name));
    return {};
  }));
  if (!alias) return none(call, name);
  return std::move(*alias);
}

Result<Nothing> update(Call& call, const Target& in) {
  TRY(ask_alias(call, in.name));
  const keys::Alias seen = TRY(seen_alias(call, in.name));
  const Key before = TRY(ask(call, {.key_id = seen.key, .other_key = true}));
  const Key key = TRY(ask(call, {.key_id = in.key_id, .other_key = true}));
  if (key.account != call.account()) return none(call, in.name);
  const auto kind = [](const Key& k) { return keys::spec_of(k.spec)->kind == keys::Spec::Kind::symmetric; };
  if (kind(before) != kind(key) || before.usage != key.usage)
    return invalid("TargetKeyId: expected a key of the type and usage of the alias's present one");
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        auto alias = TRY(keys::find_alias(txn, call.account(), in.name));
        if (!alias || alias->key != seen.key) return none(call, in.name);
        TRY(check_target(txn, call, key));
        alias->key = key.id;
        alias->updated = call.now();
        return keys::put(txn, *alias);
      },
      told({{"targetKeyId", key.id}, {"before", seen.key}})));
  return Nothing{};
}

struct Delete {
  std::string name;
  static void fields(wire::Fields<Delete>& f) { f("AliasName", &Delete::name).required().length(1, 256); }
};
Result<Nothing> remove(Call& call, const Delete& in) {
  TRY(ask_alias(call, in.name));
  const keys::Alias seen = TRY(seen_alias(call, in.name));
  TRY(ask(call, {.key_id = seen.key, .other_key = true}));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        auto alias = TRY(keys::find_alias(txn, call.account(), in.name));
        if (!alias || alias->key != seen.key) return none(call, in.name);
        return keys::erase(txn, *alias);
      },
      told({{"targetKeyId", seen.key}})));
  return Nothing{};
}

struct List : Paged {
  std::optional<std::string> key_id;
  static void fields(wire::Fields<List>& f) {
    f("KeyId", &List::key_id).length(1, 2048);
    page_fields(f);
  }
};
struct Entry {
  std::string name, arn, key;
  wire::Timestamp created, updated;
  static void fields(wire::Fields<Entry>& f) {
    f("AliasName", &Entry::name);
    f("AliasArn", &Entry::arn);
    f("TargetKeyId", &Entry::key);
    f("CreationDate", &Entry::created);
    f("LastUpdatedDate", &Entry::updated);
  }
};
struct ListResponse : Page {
  std::vector<Entry> list;
  static void fields(wire::Fields<ListResponse>& f) {
    f("Aliases", &ListResponse::list);
    paged_fields(f);
  }
};
// A right of its own, over no key (as in AWS): names are all that it shows.
Result<ListResponse> list(Call& call, const List& in) {
  TRY(ask_any(call));
  const std::string from = TRY(after(in));
  const int64_t limit = in.limit.value_or(50);
  std::string id;
  if (in.key_id) {
    const auto named = key_of_arn(arn_for(call, *in.key_id));
    if (!named || named->first != call.account() || in.key_id->find("alias/") != std::string::npos)
      return fail(Code::not_found, "NotFoundException", "Invalid keyId " + clip_utf8(*in.key_id, 200));
    id = named->second;
  }
  std::vector<keys::Alias> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    if (!id.empty() && !TRY(keys::find(txn, call.account(), id, call.now())))
      return fail(Code::not_found, "NotFoundException", "Key '" + call.arn("kms", "key/" + id) + "' does not exist");
    found = TRY(keys::list_aliases(txn, call.account(), id, from, limit + 1));
    return {};
  }));
  ListResponse out;
  cut(found, limit, out, [](const keys::Alias& a) { return a.name; });
  for (const keys::Alias& a : found)
    out.list.push_back({a.name, call.arn("kms", a.name), a.key, {a.created}, {a.updated}});
  return out;
}

}  // namespace

void add_aliases(Service& s) {
  add<Target, Nothing>(s, "CreateAlias", Effect::write, create, of_alias<Target>);
  add<Target, Nothing>(s, "UpdateAlias", Effect::write, update, of_alias<Target>);
  add<Delete, Nothing>(s, "DeleteAlias", Effect::write, remove, of_alias<Delete>);
  add<List, ListResponse>(s, "ListAliases", Effect::read, list, no_key<List>);
}

}  // namespace hf::api::kms_api
