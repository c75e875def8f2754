#include "api/router.h"

#include "wire/codec.h"

namespace hf::api {
namespace {

ErrorForm form_of(const Service& s) { return {s.protocol, s.name, s.xml_namespace}; }

bool is_form(const http::RequestHead& head) {
  return head.headers.get("content-type").starts_with("application/x-www-form-urlencoded");
}

// "bucket.s3.example.net:8443" -> "bucket"; "s3.example.net" -> "".
std::string_view bucket_of_host(std::string_view authority) {
  size_t at = authority.find(".s3.");
  return at == authority.npos ? std::string_view() : authority.substr(0, at);
}

std::string_view value_of(const wire::Pairs& query, std::string_view name) {
  for (const auto& [n, v] : query)
    if (n == name) return v;
  return {};
}

std::string cut(std::string_view text) { return std::string(text.substr(0, 80)); }

Error unknown(const std::string& what) { return fail(Code::not_found, kUnknownOperation, what); }

Error not_offered(const Service& s, const Operation& o) {
  return fail(Code::invalid, kNotImplemented, s.name + " " + o.name + " is not implemented by this site");
}

}  // namespace

Credentials sniff(const http::RequestHead& head) {
  Credentials out;
  int places = 0;
  for (const auto& [name, value] : head.headers.all()) {
    if (name != "authorization") continue;
    ++places;
    std::string_view v = value;
    if (v.starts_with("AWS4-HMAC-SHA256")) {
      out.kind = Credentials::Kind::sigv4_header;
      size_t at = v.find("Credential=");
      if (at != v.npos) {
        auto parts = split(v.substr(at + 11, v.substr(at + 11).find_first_of(", ")), '/');
        if (parts.size() == 5) out.service = parts[3];
      }
    } else if (v.size() > 7 && iequal(v.substr(0, 7), "Bearer ")) {
      out.kind = Credentials::Kind::bearer;
      out.token = trim(v.substr(7));
    } else {
      out.kind = Credentials::Kind::other;
    }
  }
  bool v4 = false, v2 = false;
  for (auto part : split(head.query(), '&')) {
    auto name = percent_decode(part.substr(0, part.find('=')));
    if (!name.ok()) continue;
    v2 |= *name == "AWSAccessKeyId";
    bool credential = *name == "X-Amz-Credential";
    v4 |= credential || *name == "X-Amz-Signature" || *name == "X-Amz-Algorithm";
    if (!credential || places > 0) continue;
    auto value = percent_decode(part.substr(part.find('=') + 1));
    auto parts = value.ok() ? split(*value, '/') : std::vector<std::string_view>();
    if (parts.size() == 5) out.service = parts[3];
  }
  places += v4 + v2;
  if (places > 1) {
    out.kind = Credentials::Kind::several;
  } else if (v4) {
    out.kind = Credentials::Kind::sigv4_query;
  } else if (v2) {
    out.kind = Credentials::Kind::other;
  }
  return out;
}

Router::Router(const std::vector<Service>& services) {
  for (const Service& s : services) {
    Table t{&s, {}};
    for (const Operation& o : s.operations) {
      auto query = wire::decode_query(o.query, false);
      check(query.ok(), "a route's query does not decode");
      Row row{&o, wire::PathTemplate(o.path), std::move(*query), {}, {}};
      if (o.input) {
        row.headers = wire::header_members(*o.input);
        row.parameters = wire::query_members(*o.input);
      }
      for (const auto& [name, value] : row.query) row.parameters.push_back(name);
      t.rows.push_back(std::move(row));
    }
    tables_.push_back(std::move(t));
  }
}

const Router::Table* Router::table(std::string_view name) const {
  for (const Table& t : tables_)
    if (t.service->name == name) return &t;
  return nullptr;
}

void Router::give_operation(const Table& t, const Row& row, Match& out) const {
  out.service = t.service;
  out.form = form_of(*t.service);
  out.headers = row.headers;
  out.parameters = row.parameters;
  if (row.operation->input) {
    out.operation = row.operation;
  } else {
    out.problem = not_offered(*t.service, *row.operation);
  }
}

// The most specific row wins: an exact slash before a forgiven one, then more of the query, then more literal segments.
bool Router::match_rest(const Table& t, const http::RequestHead& head, std::string_view path, const wire::Pairs& query,
                        Match& out) const {
  const Row* best = nullptr;
  size_t best_score = 0;
  for (bool slash : {false, true}) {
    for (const Row& row : t.rows) {
      if (row.operation->method != head.method) continue;
      auto labels = row.path.match(path, slash);
      if (!labels) continue;
      bool all = true;
      for (const auto& [name, value] : row.query) {
        bool found = false;
        for (const auto& [n, v] : query) found |= n == name && (value.empty() || v == value);
        all &= found;
      }
      if (!all) continue;
      size_t score = 1 + row.query.size() * 32 + static_cast<size_t>(row.path.literals());
      if (best && score <= best_score) continue;
      best = &row;
      best_score = score;
      out.raw_labels.clear();
      for (const auto& [name, raw] : *labels) out.raw_labels.emplace_back(name, raw);
    }
    if (best) break;
  }
  if (best) give_operation(t, *best, out);
  return best;
}

bool Router::match_target(const http::RequestHead& head, Match& out) const {
  std::string_view target = head.headers.get("x-amz-target");
  if (target.empty() || head.method != "POST" || head.path() != "/") return false;
  size_t dot = target.rfind('.');
  std::string_view name = target.substr(dot == target.npos ? 0 : dot + 1);
  std::string_view prefix = dot == target.npos ? std::string_view() : target.substr(0, dot);
  prefix = prefix.substr(prefix.rfind('.') == prefix.npos ? 0 : prefix.rfind('.') + 1);
  out.form = {Protocol::aws_json_1_1, "", ""};
  out.problem = unknown("X-Amz-Target: expected an operation of this site, found '" + cut(target) + "'");
  for (const Table& t : tables_) {
    if (t.service->target_prefix.empty() || t.service->target_prefix != prefix) continue;
    out.service = t.service;
    out.form = form_of(*t.service);
    for (const Row& row : t.rows)
      if (row.operation->name == name) give_operation(t, row, out);
  }
  return true;
}

// May a request with such credentials be this service's? A SigV4 scope names the service; without one the path does.
bool Router::claims(const Service& s, const http::RequestHead& head, const Credentials& credentials) const {
  std::string_view path = head.path();
  if (!credentials.service.empty()) return s.signing_name == credentials.service;
  if (credentials.kind == Credentials::Kind::bearer && !s.bearer) return false;
  if (s.protocol == Protocol::openai) return path.starts_with("/v1/") || path.starts_with("/openai/v1/");
  if (s.protocol == Protocol::holdfast) return path.starts_with("/holdfast/v1");
  return s.protocol != Protocol::rest_xml;  // its paths are anything: only what nobody else claims
}

// The path that the service's templates speak of.
std::string Router::own_path(const Service& s, const http::RequestHead& head) const {
  std::string_view path = head.path();
  if (s.protocol == Protocol::openai && path.starts_with("/openai/v1/")) path.remove_prefix(7);
  std::string_view bucket = s.protocol == Protocol::rest_xml ? bucket_of_host(head.authority) : std::string_view();
  return bucket.empty() ? std::string(path) : "/" + std::string(bucket) + std::string(path);
}

Match Router::match(const http::RequestHead& head, const Credentials& credentials) const {
  Match out;
  std::string_view path = head.path();
  if (path == "/health" && (head.method == "GET" || head.method == "HEAD") &&
      credentials.kind == Credentials::Kind::none) {
    out.health = true;
    return out;
  }
  if (match_target(head, out)) return out;

  wire::Pairs query;  // one that does not decode matches no row that needs a parameter, and is refused when it is read
  if (auto decoded = wire::decode_query(head.query(), false); decoded.ok()) query = std::move(*decoded);
  std::string_view action = value_of(query, "Action");
  const Table* nearest = nullptr;
  for (const Table& t : tables_) {
    const Service& s = *t.service;
    if (!claims(s, head, credentials)) continue;
    if (s.protocol == Protocol::aws_query && path == "/" && (is_form(head) || !action.empty())) {
      out.service = &s;
      out.form = form_of(s);
      out.action_in_query = !is_form(head);
      out.any_service = credentials.service.empty();
      if (out.action_in_query) query_operation(out, action, value_of(query, "Version"));
      return out;
    }
    if (is_rest(s.protocol) && match_rest(t, head, own_path(s, head), query, out)) return out;
    const bool by_path = s.protocol == Protocol::openai || s.protocol == Protocol::holdfast;
    const bool near = by_path || !credentials.service.empty();
    if (near && (!nearest || (is_rest(s.protocol) && !is_rest(nearest->service->protocol)))) nearest = &t;
  }
  if (!nearest && credentials.service.empty() && credentials.kind != Credentials::Kind::bearer) nearest = table("s3");
  if (nearest) {
    out.service = nearest->service;
    out.form = form_of(*nearest->service);
    out.problem =
        unknown("expected an operation of " + out.service->name + ", found " + cut(head.method) + " " + cut(path));
    return out;
  }
  if (is_form(head)) out.form = {Protocol::aws_query, "", ""};
  out.problem = credentials.service.empty()
                    ? unknown("expected a route of this site, found " + cut(head.method) + " " + cut(path))
                    : unknown("expected a service of this site, found '" + cut(credentials.service) + "'");
  return out;
}

void Router::query_operation(Match& out, std::string_view action, std::string_view version) const {
  const Table* t = nullptr;
  for (const Table& candidate : tables_)
    if (candidate.service->protocol == Protocol::aws_query &&
        (out.any_service || candidate.service->signing_name == out.service->signing_name) &&
        (candidate.service->version == version || !t))
      t = &candidate;
  if (t->service->version != version) {
    out.problem = fail(Code::invalid, kUnknownOperation,
                       "Version: expected " + t->service->version + ", found '" + cut(version) + "'");
    return;
  }
  out.problem = unknown("Action: expected an operation of " + t->service->name + ", found '" + cut(action) + "'");
  for (const Row& row : t->rows)
    if (row.operation->name == action) give_operation(*t, row, out);
}

}  // namespace hf::api
