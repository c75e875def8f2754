// What hangs on a user, group or role: inline policies, attached policies, the permissions boundary.
#include "api/iam/iam.h"

namespace hf::api::iam_api {
namespace {

template <Kind K, class T>
void name_field(wire::Fields<T>& f) {
  f(name_member(K), static_cast<std::string T::*>(&T::name)).required().length(1, longest_name(K)).pattern(kName);
}

// ---- inline
template <Kind K>
struct Inline {
  std::string name, policy;
  static void fields(wire::Fields<Inline>& f) {
    name_field<K>(f);
    f("PolicyName", &Inline::policy).required().length(1, 128).pattern(kName);
  }
};
template <Kind K>
struct InlineDocument {
  std::string name, policy, document;
  static void fields(wire::Fields<InlineDocument>& f) {
    name_field<K>(f);
    f("PolicyName", &InlineDocument::policy).required().length(1, 128).pattern(kName);
    f("PolicyDocument", &InlineDocument::document).required().length(1, 131072);
  }
};
template <Kind K>
struct InlineNames : Page {
  std::vector<std::string> names;
  static void fields(wire::Fields<InlineNames>& f) {
    f("PolicyNames", &InlineNames::names);
    paged_fields(f);
  }
};
template <Kind K>
struct PagedName : Paged {
  std::string name;
  static void fields(wire::Fields<PagedName>& f) {
    name_field<K>(f);
    page_fields(f);
  }
};

template <Kind K>
Result<Nothing> put_inline(Call& call, const InlineDocument<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return store_of::put_document(txn, TRY(target(txn, call, K, in.name)), {in.policy, in.document, call.now()});
  }));
  return Nothing{};
}

template <Kind K>
Result<InlineDocument<K>> get_inline(Call& call, const Inline<K>& in) {
  InlineDocument<K> out{in.name, in.policy, ""};
  TRY(call.read([&](store::Txn& txn) -> Status {
    const Document d = TRY(store_of::get_document(txn, TRY(target(txn, call, K, in.name)), in.policy));
    out.document = percent_encode(d.text);
    return {};
  }));
  return out;
}

template <Kind K>
Result<Nothing> delete_inline(Call& call, const Inline<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return store_of::erase_document(txn, TRY(target(txn, call, K, in.name)), in.policy);
  }));
  return Nothing{};
}

template <Kind K>
Result<InlineNames<K>> list_inline(Call& call, const PagedName<K>& in) {
  InlineNames<K> out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.names.clear();
    for (const Document& d : TRY(store_of::documents(txn, TRY(target(txn, call, K, in.name)))))
      out.names.push_back(d.name);
    return take(out.names, in, out, [](const std::string& n) { return n; });
  }));
  return out;
}

// ---- attached
template <Kind K>
struct Attach {
  std::string name, arn;
  static void fields(wire::Fields<Attach>& f) {
    name_field<K>(f);
    f("PolicyArn", &Attach::arn).required().length(20, 2048);
  }
};

template <Kind K>
Result<Nothing> attach(Call& call, const Attach<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return store_of::link(txn, TRY(target(txn, call, K, in.name)), TRY(find_policy(txn, call, in.arn)));
  }));
  return Nothing{};
}

template <Kind K>
Result<Nothing> detach(Call& call, const Attach<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    return store_of::unlink(txn, TRY(target(txn, call, K, in.name)), TRY(find_policy(txn, call, in.arn)));
  }));
  return Nothing{};
}

template <Kind K>
struct ListAttached : Paged {
  std::string name;
  std::optional<std::string> prefix;
  static void fields(wire::Fields<ListAttached>& f) {
    name_field<K>(f);
    f("PathPrefix", &ListAttached::prefix).length(1, 512).pattern(kPathPrefix);
    page_fields(f);
  }
};
template <Kind K>
struct ListAttachedResponse : Page {
  std::vector<AttachedView> policies;
  static void fields(wire::Fields<ListAttachedResponse>& f) {
    f("AttachedPolicies", &ListAttachedResponse::policies);
    paged_fields(f);
  }
};

template <Kind K>
Result<ListAttachedResponse<K>> list_attached(Call& call, const ListAttached<K>& in) {
  ListAttachedResponse<K> out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    out.policies.clear();
    for (const Entity& e : TRY(store_of::linked(txn, TRY(target(txn, call, K, in.name)), Kind::policy)))
      if (e.path.starts_with(in.prefix.value_or("/"))) out.policies.push_back({e.name, store_of::arn_of(e)});
    return take(out.policies, in, out, [](const AttachedView& v) { return v.name; });
  }));
  return out;
}

// ---- boundary
template <Kind K>
struct PutBoundary {
  std::string name, boundary;
  static void fields(wire::Fields<PutBoundary>& f) {
    name_field<K>(f);
    f("PermissionsBoundary", &PutBoundary::boundary).required().length(20, 2048);
  }
};

template <Kind K>
Result<Nothing> put_boundary(Call& call, const PutBoundary<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(target(txn, call, K, in.name));
    e.boundary = TRY(find_policy(txn, call, in.boundary)).id;
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

template <Kind K>
Result<Nothing> delete_boundary(Call& call, const Named<K>& in) {
  TRY(change(call, in, [&](store::Txn& txn) -> Status {
    Entity e = TRY(target(txn, call, K, in.name));
    if (e.boundary.empty())
      return fail(Code::not_found, "NoSuchEntity", "the " + std::string(store_of::word(K)) + " has no boundary");
    e.boundary.clear();
    return store_of::update(txn, e);
  }));
  return Nothing{};
}

template <Kind K>
void add_kind(Service& s) {
  const std::string w = title(K);
  s.add<InlineDocument<K>, Nothing>("Put" + w + "Policy", {}, Effect::write, put_inline<K>,
                                    named_arn<K, InlineDocument<K>>);
  s.add<Inline<K>, InlineDocument<K>>("Get" + w + "Policy", {}, Effect::read, get_inline<K>, named_arn<K, Inline<K>>);
  s.add<Inline<K>, Nothing>("Delete" + w + "Policy", {}, Effect::write, delete_inline<K>, named_arn<K, Inline<K>>);
  s.add<PagedName<K>, InlineNames<K>>("List" + w + "Policies", {}, Effect::read, list_inline<K>,
                                      named_arn<K, PagedName<K>>);
  s.add<Attach<K>, Nothing>("Attach" + w + "Policy", {}, Effect::write, attach<K>, named_arn<K, Attach<K>>);
  s.add<Attach<K>, Nothing>("Detach" + w + "Policy", {}, Effect::write, detach<K>, named_arn<K, Attach<K>>);
  s.add<ListAttached<K>, ListAttachedResponse<K>>("ListAttached" + w + "Policies", {}, Effect::read, list_attached<K>,
                                                  named_arn<K, ListAttached<K>>);
}
template <Kind K>
void add_boundary(Service& s) {
  const std::string w = title(K);
  s.add<PutBoundary<K>, Nothing>("Put" + w + "PermissionsBoundary", {}, Effect::write, put_boundary<K>,
                                 named_arn<K, PutBoundary<K>>);
  s.add<Named<K>, Nothing>("Delete" + w + "PermissionsBoundary", {}, Effect::write, delete_boundary<K>,
                           named_arn<K, Named<K>>);
}

}  // namespace

void add_attachments(Service& s) {
  add_kind<Kind::user>(s);
  add_kind<Kind::group>(s);
  add_kind<Kind::role>(s);
  add_boundary<Kind::user>(s);
  add_boundary<Kind::role>(s);
}

}  // namespace hf::api::iam_api
