#include "api/resource_policy.h"

#include "security/kms.h"
#include "security/providers.h"

namespace hf::api {
namespace {

constexpr std::string_view kIam = "arn:aws:iam::";

Result<security::Context> tags_of(store::Txn& txn, std::string_view arn) {
  security::Context out;
  security::iam::Tags tags;
  const std::string_view account = arn.substr(kIam.size(), arn.find(':', kIam.size()) - kIam.size());
  if (arn.find(":oidc-provider/") != arn.npos) {
    auto provider = security::provider_by_arn(txn, std::string(account), std::string(arn));
    if (!provider.ok() && provider.error().code != Code::not_found && provider.error().code != Code::invalid)
      return std::move(provider).error();
    if (provider.ok()) tags = std::move(provider->tags);
  } else if (auto entity = TRY(security::iam::by_arn(txn, arn))) {
    tags = std::move(entity->tags);
  }
  for (const auto& [key, value] : tags)
    for (const char* prefix : {"aws:resourcetag/", "iam:resourcetag/"}) out[prefix + lower(key)] = {value};
  return out;
}

}  // namespace

std::string_view bucket_of_arn(std::string_view arn) {
  constexpr std::string_view kPrefix = "arn:aws:s3:::";
  if (!arn.starts_with(kPrefix)) return {};
  const std::string_view bucket = arn.substr(kPrefix.size(), arn.find('/') - kPrefix.size());
  return bucket.find_first_of("*?") == bucket.npos ? bucket : std::string_view();
}

std::optional<std::pair<std::string, std::string>> key_of_arn(std::string_view arn) {
  const auto parts = split(arn, ':');
  if (parts.size() != 6 || parts[0] != "arn" || parts[2] != "kms" || !parts[5].starts_with("key/")) return {};
  return std::pair(std::string(parts[4]), std::string(parts[5].substr(4)));
}

bool has_facts(std::string_view arn) {
  return arn.starts_with(kIam) || !bucket_of_arn(arn).empty() || key_of_arn(arn).has_value();
}

namespace {

Result<ResourceFacts> bucket_facts(store::Txn& txn, std::string_view bucket) {
  ResourceFacts out;
  {
    auto q = TRY(txn.query("SELECT account FROM buckets WHERE name = ?"));
    q.bind(bucket);
    if (!TRY(q.step())) return out;
    out.owner = q.text(0);
  }
  auto row = TRY(store::get_record(txn, kBucketPolicy, out.owner, bucket));
  if (!row) return out;
  auto policy = security::parse_policy(row->body, "bucket-policy", security::PolicyKind::resource);
  if (!policy.ok()) return fail(Code::corrupt, "the policy of the bucket " + std::string(bucket) + " does not parse");
  out.policy = std::move(*policy);
  return out;
}

Result<ResourceFacts> key_facts(store::Txn& txn, const std::string& account, const std::string& id,
                                const security::Identity& who, Micros now) {
  ResourceFacts out;
  const auto key = TRY(security::kms::find(txn, account, id, now));
  if (!key) return out;
  auto policy = security::parse_policy(key->policy, "key-policy", security::PolicyKind::resource);
  if (!policy.ok()) return fail(Code::corrupt, "the policy of the key " + id + " does not parse");
  auto grants = TRY(security::kms::granted(txn, *key, who));
  for (security::Statement& s : grants) policy->statements.push_back(std::move(s));
  out.owner = account;
  out.policy = std::move(*policy);
  out.policy_rules = true;
  out.context = security::kms::facts_of(*key, TRY(security::kms::list_aliases(txn, account, id, "", 100)));
  return out;
}

}  // namespace

Result<ResourceFacts> resource_facts(store::Txn& txn, std::string_view arn, const security::Identity& who, Micros now) {
  if (const auto key = key_of_arn(arn)) return key_facts(txn, key->first, key->second, who, now);
  ResourceFacts out;
  if (arn.starts_with(kIam)) out.context = TRY(tags_of(txn, arn));
  const std::string_view bucket = bucket_of_arn(arn);
  return bucket.empty() ? std::move(out) : bucket_facts(txn, bucket);
}

}  // namespace hf::api
