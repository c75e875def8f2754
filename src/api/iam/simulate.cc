// Simulation: what policies would say of requests that nobody makes. The answers are evaluate()'s, the gate's own; what
// a request would tell besides (its address, its time) is told here by ContextEntries alone, and what is missing is
// named. A page is at most 100 decisions, each of which costs what a request's does.
#include <map>

#include "api/iam/iam.h"
#include "security/policy_context.h"
#include "security/policy_places.h"

namespace hf::api::iam_api {
namespace {

using security::Identity;
using security::Question;
using security::Trace;
using store_of::Source;

constexpr size_t kMaxText = 256 << 10;  // of the documents of a request, together
constexpr int64_t kMaxPage = 100;

Error wrong(const std::string& what) { return fail(Code::invalid, "InvalidInput", what); }

// ---- what is asked

struct ContextEntry {
  std::string name, type;
  std::vector<std::string> values;
  static void fields(wire::Fields<ContextEntry>& f) {
    f("ContextKeyName", &ContextEntry::name).required().length(5, 256);
    f("ContextKeyValues", &ContextEntry::values).required().length(1, 64);
    f("ContextKeyType", &ContextEntry::type)
        .required()
        .one_of({"string", "stringList", "numeric", "numericList", "boolean", "booleanList", "ip", "ipList", "binary",
                 "binaryList", "date", "dateList"});
  }
};

struct Asked : Paged {
  std::vector<std::string> policies, boundaries, actions, resources;
  std::optional<std::string> resource_policy, owner, caller;
  std::vector<ContextEntry> entries;
};
template <class In>
void asked_fields(wire::Fields<In>& f) {
  f("PermissionsBoundaryPolicyInputList", static_cast<std::vector<std::string> In::*>(&In::boundaries)).length(0, 1);
  f("ActionNames", static_cast<std::vector<std::string> In::*>(&In::actions))
      .required()
      .length(1, 256)
      .pattern("[A-Za-z0-9-]+:[A-Za-z0-9]+");
  f("ResourceArns", static_cast<std::vector<std::string> In::*>(&In::resources)).length(0, 256);
  f("ResourcePolicy", static_cast<std::optional<std::string> In::*>(&In::resource_policy)).length(1, 131072);
  f("ResourceOwner", static_cast<std::optional<std::string> In::*>(&In::owner)).length(1, 2048);
  f("CallerArn", static_cast<std::optional<std::string> In::*>(&In::caller)).length(1, 2048);
  f("ContextEntries", static_cast<std::vector<ContextEntry> In::*>(&In::entries)).length(0, 64);
  f.refused("ResourceHandlingOption", "it is about instances of EC2, which are not here");
  f.refused("OrderedOrganizationPolicyInputList", "there are no organizations here");
  page_fields(f);
}

struct SimulateCustom : Asked {
  static void fields(wire::Fields<SimulateCustom>& f) {
    f("PolicyInputList", static_cast<std::vector<std::string> SimulateCustom::*>(&SimulateCustom::policies))
        .required()
        .length(1, 20);
    asked_fields(f);
  }
};
struct SimulatePrincipal : Asked {
  std::string source;
  static void fields(wire::Fields<SimulatePrincipal>& f) {
    f("PolicySourceArn", &SimulatePrincipal::source).required().length(20, 2048);
    f("PolicyInputList", static_cast<std::vector<std::string> SimulatePrincipal::*>(&SimulatePrincipal::policies))
        .length(0, 20);
    f.refused("PolicyExclusionList",
              "all policies of the entity are judged; give those that are wanted to "
              "SimulateCustomPolicy");
    asked_fields(f);
  }
};

// ---- what is answered

struct PositionView {
  int64_t line = 0, column = 0;
  static void fields(wire::Fields<PositionView>& f) {
    f("Line", &PositionView::line);
    f("Column", &PositionView::column);
  }
};
struct StatementView {
  std::string policy, type;
  PositionView start, end;
  static void fields(wire::Fields<StatementView>& f) {
    f("SourcePolicyId", &StatementView::policy);
    f("SourcePolicyType", &StatementView::type);
    f("StartPosition", &StatementView::start);
    f("EndPosition", &StatementView::end);
  }
};
struct BoundaryDetail {
  bool allowed = false;
  static void fields(wire::Fields<BoundaryDetail>& f) { f("AllowedByPermissionsBoundary", &BoundaryDetail::allowed); }
};
struct Verdict {
  std::string resource, decision;
  std::vector<StatementView> matched;
  std::vector<std::string> missing;
  std::optional<std::map<std::string, std::string>> details;
  std::optional<BoundaryDetail> boundary;
  static void fields(wire::Fields<Verdict>& f) {
    f("EvalResourceName", &Verdict::resource);
    f("EvalResourceDecision", &Verdict::decision);
    f("MatchedStatements", &Verdict::matched);
    f("MissingContextValues", &Verdict::missing);
    f("EvalDecisionDetails", &Verdict::details);
    f("PermissionsBoundaryDecisionDetail", &Verdict::boundary);
  }
};
struct EvaluationView {
  std::string action;
  std::vector<Verdict> of_resource;  // one, where resources were named
  std::string resource, decision;
  std::vector<StatementView> matched;
  std::vector<std::string> missing;
  std::optional<std::map<std::string, std::string>> details;
  std::optional<BoundaryDetail> boundary;
  static void fields(wire::Fields<EvaluationView>& f) {
    f("EvalActionName", &EvaluationView::action);
    f("EvalResourceName", &EvaluationView::resource);
    f("EvalDecision", &EvaluationView::decision);
    f("MatchedStatements", &EvaluationView::matched);
    f("MissingContextValues", &EvaluationView::missing);
    f("PermissionsBoundaryDecisionDetail", &EvaluationView::boundary);
    f("EvalDecisionDetails", &EvaluationView::details);
    f("ResourceSpecificResults", &EvaluationView::of_resource);
  }
};
struct SimulateResponse : Page {
  std::vector<EvaluationView> results;
  static void fields(wire::Fields<SimulateResponse>& f) {
    f("EvaluationResults", &SimulateResponse::results);
    paged_fields(f);
  }
};

// ---- policies

Result<Source> parsed(const std::string& text, const std::string& id, const char* kind,
                      security::PolicyKind of = security::PolicyKind::identity) {
  auto policy = security::parse_policy(text, id, of);
  if (!policy.ok()) return wrong(id + ": " + policy.error().message);
  return Source{std::move(*policy), kind, text};
}

Result<std::vector<Source>> parsed_list(const std::vector<std::string>& texts, const std::string& member) {
  std::vector<Source> out;
  for (const auto& text : texts)
    out.push_back(TRY(parsed(text, member + "." + std::to_string(out.size() + 1), "none")));
  return out;
}

Status check_size(const Asked& in) {
  size_t size = in.resource_policy.value_or("").size();
  for (const auto* list : {&in.policies, &in.boundaries})
    for (const auto& text : *list) size += text.size();
  if (size <= kMaxText) return {};
  return wrong("expected policies of at most " + std::to_string(kMaxText) + " bytes together, found " +
               std::to_string(size));
}

Result<Entity> entity_of(store::Txn& txn, const Call& call, const std::string& arn) {
  auto found = TRY(store_of::by_arn(txn, arn));
  if (found && found->account == call.account() && found->kind != Kind::policy) return std::move(*found);
  return fail(
      Code::not_found, "NoSuchEntity",
      "PolicySourceArn: expected the ARN of a user, group or role of this account, found " + clip_utf8(arn, 200));
}

// ---- who asks, in the simulation

// A user, or a role's session; what is kept of them here is told of them, and their policies are left out.
Result<Identity> caller_of(store::Txn& txn, const Call& call, const std::string& arn) {
  const auto parts = split(arn, ':');
  const bool user = parts.size() == 6 && parts[2] == "iam" && parts[5].starts_with("user/");
  const auto names = split(parts.back(), '/');
  const bool session =
      parts.size() == 6 && parts[2] == "sts" && names.size() == 3 && names[0] == "assumed-role" && !names[2].empty();
  if (parts[0] != "arn" || (!user && !session) || parts[4].size() != 12)
    return wrong(
        "CallerArn: expected arn:aws:iam::ACCOUNT:user/NAME or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION, "
        "found " +
        clip_utf8(arn, 200));
  Identity who;
  who.account = parts[4];
  who.arn = arn;
  std::optional<Entity> kept;
  if (user && who.account == call.account()) kept = TRY(store_of::by_arn(txn, arn));
  if (session) {
    who.role_arn = "arn:aws:iam::" + who.account + ":role/" + std::string(names[1]);
    auto role = store_of::get(txn, Kind::role, who.account, std::string(names[1]));
    if (!role.ok() && role.error().code != Code::not_found) return std::move(role).error();
    if (role.ok() && who.account == call.account()) kept = std::move(*role);
  }
  if (!kept) return who;
  who.user_id = kept->id;
  if (session) {
    who.user_id += ":" + std::string(names[2]);
    who.role_arn = store_of::arn_of(*kept);
  }
  for (const auto& [key, value] : kept->tags) who.facts["aws:principaltag/" + lower(key)] = {value};
  return who;
}

// The values are of the type that the entry says. InvalidInput.
Status check_entry(const ContextEntry& entry, const std::string& where) {
  const bool list = entry.type.ends_with("List");
  const std::string type = list ? entry.type.substr(0, entry.type.size() - 4) : entry.type;
  if (!list && entry.values.size() != 1)
    return wrong(where + ": expected one value, or the type " + type + "List, found " +
                 std::to_string(entry.values.size()) + " values");
  static const std::map<std::string, const char*> kOperators = {
      {"numeric", "NumericEquals"}, {"boolean", "Bool"},    {"ip", "IpAddress"},
      {"binary", "BinaryEquals"},   {"date", "DateEquals"}, {"string", "StringEquals"}};
  const auto condition = TRY(security::parse_operator(kOperators.at(type)));
  for (const auto& value : entry.values) {
    auto s = security::check_value(condition.op, value, false);
    if (s.ok() && type == "ip" && value.find('/') != value.npos) s = wrong("expected an IP address, found a block");
    if (!s.ok()) return wrong(where + ": " + s.error().message);
  }
  return {};
}

// What is told of every request of this caller to this site, and before it what the entries say.
Status tell(const Call& call, const std::vector<ContextEntry>& entries, Identity& who) {
  security::Context facts;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string where = "ContextEntries." + std::to_string(i + 1);
    TRY(check_entry(entries[i], where));
    if (!facts.emplace(lower(entries[i].name), entries[i].values).second)
      return wrong(where + ": expected each key once, found " + entries[i].name + " twice");
  }
  facts.merge(who.facts);
  facts.merge(security::principal_context(who));
  facts.merge(security::site_context(call.site().region, call.site().residency));
  who.facts = std::move(facts);
  return {};
}

// ---- deciding

struct Bench {
  Identity who;  // its policies in the order of `sources`
  std::vector<Source> sources;
  std::optional<Source> boundary, resource;
  std::string owner;  // of resources whose ARN does not say it

  void settle() {
    for (const Source& s : sources) who.policies.push_back(s.policy);
    if (boundary) who.boundary = boundary->policy;
  }
  const Source& source_of(const Trace::Match& m) const {
    if (m.part == Trace::Part::resource) return *resource;
    if (m.part == Trace::Part::boundary) return *boundary;
    return sources[static_cast<size_t>(m.policy - who.policies.data())];
  }
};

Status add_given(const Asked& in, Bench& bench) {
  for (Source& s : TRY(parsed_list(in.policies, "PolicyInputList"))) bench.sources.push_back(std::move(s));
  for (Source& s : TRY(parsed_list(in.boundaries, "PermissionsBoundaryPolicyInputList"))) bench.boundary = std::move(s);
  if (in.resource_policy)
    bench.resource = TRY(parsed(*in.resource_policy, "ResourcePolicy", "resource", security::PolicyKind::resource));
  if (in.resource_policy && bench.who.arn.empty())
    return wrong("CallerArn: expected one, as a ResourcePolicy names whom it speaks of");
  if (!in.owner) return {};
  const auto parts = split(*in.owner, ':');
  bench.owner = parts.size() == 6 ? std::string(parts[4]) : *in.owner;
  if (bench.owner.size() == 12 && bench.owner.find_first_not_of("0123456789") == std::string::npos) return {};
  return wrong("ResourceOwner: expected an account's 12 digits or arn:aws:iam::ACCOUNT:root, found " +
               clip_utf8(*in.owner, 200));
}

const char* word_of(bool allowed, bool explicit_deny) {
  return allowed ? "allowed" : explicit_deny ? "explicitDeny" : "implicitDeny";
}

// What the policies of one kind say by themselves.
const char* word_of(const Trace& trace, Trace::Part part) {
  bool allowed = false, denied = false;
  for (const auto& m : trace.matches)
    if (m.part == part) (m.allow ? allowed : denied) = true;
  return word_of(allowed && !denied, denied);
}

PositionView position_of(const security::Place& p) { return {p.line, p.column}; }

// The statements that make the decision: the Allows of one that is allowed, the Denies of one that is denied by name.
std::vector<StatementView> matched(const Bench& bench, const Trace& trace, const security::Decision& decision) {
  std::vector<StatementView> out;
  if (!decision.allowed && !decision.explicit_deny) return out;
  for (const auto& m : trace.matches) {
    if (m.allow != decision.allowed) continue;
    const Source& source = bench.source_of(m);
    const auto places = security::statement_places(source.text);
    check(m.statement < places.size(), "each statement of a policy has a place in its document");
    out.push_back(
        {source.policy.id, source.kind, position_of(places[m.statement].start), position_of(places[m.statement].end)});
  }
  return out;
}

// As the gate would answer a request for this resource; of "arn:...*" as it would for all that begin so.
Result<Verdict> judge(const Bench& bench, const std::string& action, const std::string& resource) {
  Question question{.action = action, .resource = resource};
  if (resource != "*") {
    const size_t wild = resource.find_first_of("*?");
    if (!resource.starts_with("arn:") || (wild != resource.npos && wild + 1 != resource.size()) ||
        resource.ends_with('?'))
      return wrong("ResourceArns: expected '*', an ARN, or an ARN that ends in '*', found " + clip_utf8(resource, 200));
    question.all_that_begin_so = wild != resource.npos;
    if (question.all_that_begin_so) question.resource.remove_suffix(1);
  }
  const auto parts = split(resource, ':');
  std::string owner = parts.size() > 5 ? std::string(parts[4]) : "";
  if (owner.empty()) owner = question.owner = bench.owner;
  if (bench.resource) question.resource_policy = &bench.resource->policy;
  Trace trace;
  const security::Decision decision = security::evaluate(bench.who, question, &trace);
  Verdict out;
  out.resource = resource;
  out.decision = word_of(decision.allowed, decision.explicit_deny);
  out.matched = matched(bench, trace, decision);
  out.missing = std::move(trace.missing);
  if (bench.who.boundary)
    out.boundary = BoundaryDetail{word_of(trace, Trace::Part::boundary) == std::string_view("allowed")};
  if (!owner.empty() && owner != bench.who.account)
    out.details = {{"IAM Policy", word_of(trace, Trace::Part::identity)},
                   {"Resource Policy", word_of(trace, Trace::Part::resource)}};
  return out;
}

EvaluationView whole(const std::string& action, Verdict v, bool named) {
  EvaluationView out;
  out.action = action;
  out.resource = v.resource;
  out.decision = v.decision;
  out.matched = v.matched;
  out.details = v.details;
  out.boundary = v.boundary;
  if (named)
    out.of_resource.push_back(std::move(v));
  else
    out.missing = std::move(v.missing);
  return out;
}

// Each action with each resource, in the order in which they were given.
Result<SimulateResponse> simulate(const Bench& bench, const Asked& in) {
  const std::vector<std::string> any = {"*"};
  const auto& resources = in.resources.empty() ? any : in.resources;
  std::vector<size_t> cells(in.actions.size() * resources.size());
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = i;
  Paged page = in;
  page.max_items = std::min(in.max_items.value_or(kMaxPage), kMaxPage);
  SimulateResponse out;
  TRY(take(cells, page, out, [](size_t i) { return time_key(static_cast<Micros>(i)); }));
  for (size_t i : cells) {
    const std::string &action = in.actions[i / resources.size()], &resource = resources[i % resources.size()];
    out.results.push_back(whole(action, TRY(judge(bench, action, resource)), !in.resources.empty() && resource != "*"));
  }
  return out;
}

Result<SimulateResponse> simulate_custom(Call& call, const SimulateCustom& in) {
  TRY(check_size(in));
  Bench bench;
  bench.who.account = call.account();
  if (in.caller) {
    TRY(call.read([&](store::Txn& txn) -> Status {
      bench.who = TRY(caller_of(txn, call, *in.caller));
      return {};
    }));
  }
  TRY(add_given(in, bench));
  bench.settle();
  TRY(tell(call, in.entries, bench.who));
  return simulate(bench, in);
}

// The policies are the entity's; the caller is the one that is named, or the entity.
Result<SimulateResponse> simulate_principal(Call& call, const SimulatePrincipal& in) {
  TRY(check_size(in));
  Bench bench;
  TRY(call.read([&](store::Txn& txn) -> Status {
    bench = {};
    const Entity entity = TRY(entity_of(txn, call, in.source));
    bench.sources = TRY(store_of::sources_of(txn, entity));
    bench.boundary = TRY(store_of::boundary_of(txn, entity));
    bench.who.account = call.account();
    if (in.caller) {
      bench.who = TRY(caller_of(txn, call, *in.caller));
      return {};
    }
    if (entity.kind == Kind::group || (entity.kind == Kind::role && in.resource_policy)) return {};
    bench.who = TRY(store_of::identity_of(txn, entity));
    bench.who.policies.clear();
    if (entity.kind == Kind::role) bench.who.role_arn = bench.who.arn;
    return {};
  }));
  TRY(add_given(in, bench));
  bench.settle();
  TRY(tell(call, in.entries, bench.who));
  return simulate(bench, in);
}

// ---- which keys they hang on

struct CustomKeys {
  std::vector<std::string> policies;
  static void fields(wire::Fields<CustomKeys>& f) {
    f("PolicyInputList", &CustomKeys::policies).required().length(1, 20);
  }
};
struct PrincipalKeys {
  std::string source;
  std::vector<std::string> policies;
  static void fields(wire::Fields<PrincipalKeys>& f) {
    f("PolicySourceArn", &PrincipalKeys::source).required().length(20, 2048);
    f("PolicyInputList", &PrincipalKeys::policies).length(0, 20);
  }
};
struct KeysResponse {
  std::vector<std::string> names;
  static void fields(wire::Fields<KeysResponse>& f) { f("ContextKeyNames", &KeysResponse::names); }
};

KeysResponse keys_of(const std::vector<Source>& sources) {
  KeysResponse out;
  for (const Source& s : sources)
    for (std::string& key : security::context_keys(s.policy))
      if (std::none_of(out.names.begin(), out.names.end(), [&](const auto& n) { return iequal(n, key); }))
        out.names.push_back(std::move(key));
  return out;
}

Result<KeysResponse> custom_keys(Call&, const CustomKeys& in) {
  return keys_of(TRY(parsed_list(in.policies, "PolicyInputList")));
}

// Those of its boundary too: they are needed to simulate it.
Result<KeysResponse> principal_keys(Call& call, const PrincipalKeys& in) {
  std::vector<Source> sources;
  TRY(call.read([&](store::Txn& txn) -> Status {
    const Entity entity = TRY(entity_of(txn, call, in.source));
    sources = TRY(store_of::sources_of(txn, entity));
    if (auto boundary = TRY(store_of::boundary_of(txn, entity))) sources.push_back(std::move(*boundary));
    return {};
  }));
  for (Source& s : TRY(parsed_list(in.policies, "PolicyInputList"))) sources.push_back(std::move(s));
  return keys_of(sources);
}

template <class In>
std::string nothing_named(const Call&, const In&) {
  return "*";
}
template <class In>
std::string source_arn(const Call&, const In& in) {
  return in.source;
}

}  // namespace

void add_simulation(Service& s) {
  s.add<SimulateCustom, SimulateResponse>("SimulateCustomPolicy", {}, Effect::read, simulate_custom,
                                          nothing_named<SimulateCustom>);
  s.add<SimulatePrincipal, SimulateResponse>("SimulatePrincipalPolicy", {}, Effect::read, simulate_principal,
                                             source_arn<SimulatePrincipal>);
  s.add<CustomKeys, KeysResponse>("GetContextKeysForCustomPolicy", {}, Effect::read, custom_keys,
                                  nothing_named<CustomKeys>);
  s.add<PrincipalKeys, KeysResponse>("GetContextKeysForPrincipalPolicy", {}, Effect::read, principal_keys,
                                     source_arn<PrincipalKeys>);
}

}  // namespace hf::api::iam_api
