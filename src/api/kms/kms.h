// What the files of the key management service's operations share: how a request names a key, who may, and how a key
// is changed. Every operation asks Call::may itself, with what policies are told of the request.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/listing.h"
#include "api/service.h"
#include "security/json.h"
#include "security/kms_ring.h"

namespace hf::api::kms_api {

namespace keys = security::kms;
namespace json = boost::json;
using keys::Key;

struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

inline keys::KeyRing& ring(const Call& call) {
  check(call.site().kms != nullptr, "the site has a key ring");
  return *call.site().kms;
}
inline std::string key_arn(const Call& call, const Key& key) { return keys::arn_of(call.site().region, key); }

// ---- which key

enum class Named {
  key,       // id or ARN, of the caller's account
  anywhere,  // id or ARN, of any account
  alias      // those, or an alias or its ARN
};
// The ARN to ask for: the key's, also of an alias; "*" where there is none to tell.
std::string arn_for(const Call& call, const std::string& given);
template <class In>
std::string of_key(const Call& call, const In& in) {
  return arn_for(call, in.key_id);
}

// The caller may do `action` with the key that is named: only then is told whether there is one. InvalidArnException,
// NotFoundException.
struct Asked {
  std::string key_id;
  Named named = Named::key;
  security::Context context = {};
  std::vector<std::string> grant_tokens = {};
  std::string_view action = {};  // "": the call's
  bool other_key = false;        // not the one that the call's resource() names
};
Result<Key> ask(Call& call, Asked asked);
// Of no key: "*".
Status ask_any(Call& call, security::Context context = {});

// ---- what may be done in which state (AWS KMS developer guide, "Key states of AWS KMS keys")

Status not_pending_deletion(const Call& call, const Key& key);
Status usable(const Call& call, const Key& key);               // enabled: for cryptography
Status supports(const Key& key, bool does, const char* what);  // UnsupportedOperationException

// ---- changes

// The key as it is now, changed and written, with the call's entry.
template <class Fn>
Result<Key> edit(Call& call, const Key& seen, const std::string& detail, Fn fn) {
  Key key;
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        auto now = TRY(keys::find(txn, seen.account, seen.id, call.now()));
        if (!now) return fail(Code::not_found, "NotFoundException", "the key " + seen.id + " is gone");
        key = std::move(*now);
        TRY(fn(txn, key));
        return keys::put(txn, key);
      },
      detail));
  return key;
}
inline std::string told(json::object detail) { return security::canonical_json(detail); }

// DryRunOperationException, if the request says so: all else has been checked.
Status dry_run(const std::optional<bool>& dry);

// ---- shapes

struct TagView {
  std::string key, value;
  static void fields(wire::Fields<TagView>& f) {
    f("TagKey", &TagView::key).required().length(1, 128);
    f("TagValue", &TagView::value).required().length(0, 256);
  }
};
Status add_tags(const std::vector<TagView>& given, keys::Tags& tags);  // TagException, LimitExceededException
void tell_tags(security::Context& context, const std::vector<TagView>& tags);

struct Paged {
  std::optional<int64_t> limit;
  std::optional<std::string> marker;
};
template <class In>
void page_fields(wire::Fields<In>& f) {
  f("Limit", static_cast<std::optional<int64_t> In::*>(&In::limit)).range(1, 1000);
  f("Marker", static_cast<std::optional<std::string> In::*>(&In::marker)).length(1, 1024);
}
struct Page {
  std::optional<std::string> next;
  bool truncated = false;
};
template <class Out>
void paged_fields(wire::Fields<Out>& f) {
  f("NextMarker", static_cast<std::optional<std::string> Out::*>(&Out::next));
  f("Truncated", static_cast<bool Out::*>(&Out::truncated));
}
Result<std::string> after(const Paged& in);  // the text that the marker stands for; InvalidMarkerException
// `items` has one more than a page holds if there are more; name(item) is what the next page comes after.
template <class T, class Name>
void cut(std::vector<T>& items, int64_t limit, Page& page, Name name) {
  page.truncated = static_cast<int64_t>(items.size()) > limit;
  if (!page.truncated) return;
  items.resize(static_cast<size_t>(limit));
  page.next = hex(name(items.back()));
}

struct Metadata {
  std::string account, id, arn, description, usage, state, origin, manager = "CUSTOMER", spec;
  wire::Timestamp created;
  bool enabled = false, multi_region = false;
  std::optional<wire::Timestamp> deletion, valid_to;
  std::optional<std::string> expiration, material;
  std::vector<std::string> encryption, signing, agreement, macs;
  static void fields(wire::Fields<Metadata>& f);
};
Metadata metadata(const Call& call, const Key& key);
// Of the key's spec and usage, as DescribeKey lists them.
std::vector<std::string> algorithms(const Key& key);

using Operations = void(Service&);
Operations add_keys, add_states, add_aliases, add_policies, add_grants, add_rotation, add_import, add_tags_of_keys,
    add_encryption, add_data_keys, add_signatures;

// A row whose handler asks who may.
template <class In, class Out>
Operation& add(Service& s, const char* name, Effect effect, Result<Out> (*handler)(Call&, const In&),
               std::string (*resource)(const Call&, const In&)) {
  Operation& o = s.add<In, Out>(name, {}, effect, handler, resource);
  o.asks_for_each = true;
  return o;
}
template <class In>
std::string no_key(const Call&, const In&) {
  return "*";
}

}  // namespace hf::api::kms_api
