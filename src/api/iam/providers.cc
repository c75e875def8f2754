// OpenID Connect providers: whose tokens AssumeRoleWithWebIdentity takes. Their key sets: api/holdfast/oidc.cc.
#include "security/providers.h"

#include "api/iam/iam.h"

namespace hf::api::iam_api {
namespace {

using security::Provider;

template <class T>
void arn_field(wire::Fields<T>& f) {
  f("OpenIDConnectProviderArn", &T::arn).required().length(20, 2048);
}
template <class In>
std::string given_arn(const Call&, const In& in) {
  return in.arn;
}

struct Create {
  std::string url;
  std::vector<std::string> clients, thumbprints;
  std::vector<TagView> tags;
  static void fields(wire::Fields<Create>& f) {
    f("Url", &Create::url).required().length(1, 255);
    f("ClientIDList", &Create::clients).length(0, 100);
    f("ThumbprintList", &Create::thumbprints).length(0, 5);
    f("Tags", &Create::tags);
  }
};
struct CreateResponse {
  std::string arn;
  std::vector<TagView> tags;
  static void fields(wire::Fields<CreateResponse>& f) {
    f("OpenIDConnectProviderArn", &CreateResponse::arn);
    f("Tags", &CreateResponse::tags);
  }
};

std::string arn_of_url(const Call& call, const std::string& url) {
  Provider p;
  p.account = call.account();
  auto plain = security::provider_url(url);
  p.url = plain.ok() ? *plain : "*";
  return security::arn_of(p);
}
std::string new_arn(const Call& call, const Create& in) { return arn_of_url(call, in.url); }

Result<CreateResponse> create(Call& call, const Create& in) {
  TRY(may_tag(call, "iam:TagOpenIDConnectProvider", in.tags));
  Provider p;
  p.account = call.account();
  p.url = TRY(security::provider_url(in.url));
  p.client_ids = in.clients;
  p.thumbprints = in.thumbprints;
  p.tags = TRY(tags_of(in.tags));
  p.created = call.now();
  TRY(change(call, in, [&](store::Txn& txn) { return security::insert(txn, p); }));
  return CreateResponse{security::arn_of(p), tags_view(p.tags)};
}

struct ProviderName {
  std::string arn;
  static void fields(wire::Fields<ProviderName>& f) { arn_field(f); }
};
struct GetResponse {
  std::string url;
  std::vector<std::string> clients, thumbprints;
  wire::Timestamp created;
  std::vector<TagView> tags;
  static void fields(wire::Fields<GetResponse>& f) {
    f("Url", &GetResponse::url);
    f("ClientIDList", &GetResponse::clients);
    f("ThumbprintList", &GetResponse::thumbprints);
    f("CreateDate", &GetResponse::created);
    f("Tags", &GetResponse::tags);
  }
};

Result<GetResponse> get(Call& call, const ProviderName& in) {
  GetResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    const Provider p = TRY(security::provider_by_arn(txn, call.account(), in.arn));
    out = {p.url, p.client_ids, p.thumbprints, {p.created}, tags_view(p.tags)};
    return {};
  }));
  return out;
}

struct ArnView {
  std::string arn;
  static void fields(wire::Fields<ArnView>& f) { f("Arn", &ArnView::arn); }
};
struct ListResponse {
  std::vector<ArnView> providers;
  static void fields(wire::Fields<ListResponse>& f) { f("OpenIDConnectProviderList", &ListResponse::providers); }
};
std::string any_provider(const Call& call, const Nothing&) { return arn_of_url(call, ""); }

Result<ListResponse> list(Call& call, const Nothing&) {
  ListResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.providers.clear();
    const std::vector<Provider> all = TRY(security::providers(txn, call.account()));
    for (const Provider& p : all) out.providers.push_back({security::arn_of(p)});
    return {};
  }));
  return out;
}

Result<Nothing> remove(Call& call, const ProviderName& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return security::erase(txn, TRY(security::provider_by_arn(txn, call.account(), in.arn)));
  }));
  return Nothing{};
}

// A provider is read, changed and written, with its entry.
template <class In, class Fn>
Result<Nothing> edit(Call& call, const In& in, Fn fn) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Provider p = TRY(security::provider_by_arn(txn, call.account(), in.arn));
    TRY(fn(p));
    return security::update(txn, p);
  }));
  return Nothing{};
}

struct Client {
  std::string arn, id;
  static void fields(wire::Fields<Client>& f) {
    arn_field(f);
    f("ClientID", &Client::id).required().length(1, 255);
  }
};

Result<Nothing> add_client(Call& call, const Client& in) {
  return edit(call, in, [&](Provider& p) -> Status {
    if (std::find(p.client_ids.begin(), p.client_ids.end(), in.id) == p.client_ids.end()) p.client_ids.push_back(in.id);
    return {};
  });
}
Result<Nothing> remove_client(Call& call, const Client& in) {
  return edit(call, in, [&](Provider& p) -> Status {
    std::erase(p.client_ids, in.id);
    return {};
  });
}

struct Thumbprints {
  std::string arn;
  std::vector<std::string> thumbprints;
  static void fields(wire::Fields<Thumbprints>& f) {
    arn_field(f);
    f("ThumbprintList", &Thumbprints::thumbprints).required().length(0, 5);
  }
};
Result<Nothing> update_thumbprints(Call& call, const Thumbprints& in) {
  return edit(call, in, [&](Provider& p) -> Status {
    p.thumbprints = in.thumbprints;
    return {};
  });
}

// ---- tags

struct TagRequest {
  std::string arn;
  std::vector<TagView> tags;
  static void fields(wire::Fields<TagRequest>& f) {
    arn_field(f);
    f("Tags", &TagRequest::tags).required();
  }
};
Result<Nothing> tag(Call& call, const TagRequest& in) {
  return edit(call, in, [&](Provider& p) -> Status {
    std::vector<TagView> all = in.tags;
    for (const TagView& old : tags_view(p.tags))
      if (std::none_of(in.tags.begin(), in.tags.end(), [&](const TagView& t) { return iequal(t.key, old.key); }))
        all.push_back(old);
    p.tags = TRY(tags_of(all));
    return {};
  });
}
struct UntagRequest {
  std::string arn;
  std::vector<std::string> keys;
  static void fields(wire::Fields<UntagRequest>& f) {
    arn_field(f);
    f("TagKeys", &UntagRequest::keys).required();
  }
};
Result<Nothing> untag(Call& call, const UntagRequest& in) {
  return edit(call, in, [&](Provider& p) -> Status {
    for (const auto& key : in.keys) std::erase_if(p.tags, [&](const auto& t) { return iequal(t.first, key); });
    return {};
  });
}
struct ListTags : Paged {
  std::string arn;
  static void fields(wire::Fields<ListTags>& f) {
    arn_field(f);
    page_fields(f);
  }
};
struct TagsResponse : Page {
  std::vector<TagView> tags;
  static void fields(wire::Fields<TagsResponse>& f) {
    f("Tags", &TagsResponse::tags);
    paged_fields(f);
  }
};
Result<TagsResponse> list_tags(Call& call, const ListTags& in) {
  TagsResponse out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.tags = tags_view(TRY(security::provider_by_arn(txn, call.account(), in.arn)).tags);
    return take(out.tags, in, out, [](const TagView& t) { return t.key; });
  }));
  return out;
}

}  // namespace

void add_providers(Service& s) {
  s.add<Create, CreateResponse>("CreateOpenIDConnectProvider", {}, Effect::write, create, new_arn).tells =
      tells_tags<Create>;
  s.add<ProviderName, GetResponse>("GetOpenIDConnectProvider", {}, Effect::read, get, given_arn<ProviderName>);
  s.add<Nothing, ListResponse>("ListOpenIDConnectProviders", {}, Effect::read, list, any_provider);
  s.add<ProviderName, Nothing>("DeleteOpenIDConnectProvider", {}, Effect::write, remove, given_arn<ProviderName>);
  s.add<Client, Nothing>("AddClientIDToOpenIDConnectProvider", {}, Effect::write, add_client, given_arn<Client>);
  s.add<Client, Nothing>("RemoveClientIDFromOpenIDConnectProvider", {}, Effect::write, remove_client,
                         given_arn<Client>);
  s.add<Thumbprints, Nothing>("UpdateOpenIDConnectProviderThumbprint", {}, Effect::write, update_thumbprints,
                              given_arn<Thumbprints>);
  s.add<TagRequest, Nothing>("TagOpenIDConnectProvider", {}, Effect::write, tag, given_arn<TagRequest>).tells =
      tells_tags<TagRequest>;
  s.add<UntagRequest, Nothing>("UntagOpenIDConnectProvider", {}, Effect::write, untag, given_arn<UntagRequest>).tells =
      tells_keys<UntagRequest>;
  s.add<ListTags, TagsResponse>("ListOpenIDConnectProviderTags", {}, Effect::read, list_tags, given_arn<ListTags>);
}

}  // namespace hf::api::iam_api
