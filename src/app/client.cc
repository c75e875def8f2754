#include "app/client.h"

#include <boost/json.hpp>

#include "base/bytes.h"

namespace hf::app {
namespace json = boost::json;
namespace {

Result<json::value> parse(std::string_view text, const std::string& where) {
  json::parse_options options;
  options.max_depth = 64;
  boost::system::error_code ec;
  json::value v = json::parse({text.data(), text.size()}, ec, {}, options);
  if (ec) return fail(Code::corrupt, where + ": expected JSON, found something else (" + ec.message() + ")");
  return v;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* v = object.if_contains({name.data(), name.size()});
  return v && v->is_string() ? std::string(v->as_string()) : std::string();
}

Code code_of(int status) {
  switch (status) {
    case 401:
    case 403:
      return Code::denied;
    case 404:
      return Code::not_found;
    case 409:
      return Code::conflict;
    case 413:
      return Code::too_large;
    case 429:
      return Code::exhausted;
    case 503:
      return Code::unavailable;
    default:
      return status >= 500 ? Code::internal : Code::invalid;
  }
}

}  // namespace

std::string element(std::string_view xml, std::string_view name) {
  std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  size_t begin = xml.find(open);
  if (begin == xml.npos) return {};
  begin += open.size();
  size_t end = xml.find(close, begin);
  return end == xml.npos ? std::string() : std::string(xml.substr(begin, end - begin));
}

Result<Connection> read_site(os::Fs& fs, const std::string& state) {
  const std::string path = state + "/site.json";
  if (!fs.exists(path))
    return fail(Code::not_found, kNoSiteName,
                "no site was started in '" + state + "' yet: start one with 'holdfast up --state " + state + "'");
  const json::value site = TRY(parse(TRY(fs.read_file(path, 1 << 20)), path));
  if (!site.is_object()) return fail(Code::corrupt, path + ": expected a JSON object");
  Connection c;
  const json::object& s = site.as_object();
  c.endpoint = text_of(s, "endpoint");
  c.http_endpoint = text_of(s, "http_endpoint");
  c.ca_path = text_of(s, "ca");
  c.region = text_of(s, "region");
  if (!c.ca_path.empty()) c.ca_pem = TRY(fs.read_file(c.ca_path, 1 << 20));
  if (c.endpoint.empty()) return fail(Code::corrupt, path + ": the member 'endpoint' is missing");
  return c;
}

Result<Connection> read_connection(os::Fs& fs, const std::string& state) {
  Connection c = TRY(read_site(fs, state));
  const std::string path = state + "/admin.json";
  const json::value admin = TRY(parse(TRY(fs.read_file(path, 1 << 20)), path));
  if (!admin.is_object()) return fail(Code::corrupt, path + ": expected a JSON object");
  const json::object& a = admin.as_object();
  c.account = text_of(a, "account");
  c.credentials.access_key_id = text_of(a, "access_key_id");
  c.credentials.secret = crypto::Secret(text_of(a, "secret_access_key"));
  c.api_key = crypto::Secret(text_of(a, "api_key"));
  if (c.credentials.access_key_id.empty()) return fail(Code::corrupt, path + ": the member 'access_key_id' is missing");
  return c;
}

Result<std::unique_ptr<ApiClient>> ApiClient::make(Connection connection, os::Clock& clock, int timeout_ms) {
  std::unique_ptr<ApiClient> client(new ApiClient(std::move(connection), clock));
  http::ClientOptions options;
  options.ca_pem = client->connection_.ca_pem;
  options.timeout_ms = timeout_ms;
  client->http_ = TRY(http::Client::make(client->connection_.endpoint, options));
  return client;
}

http::Headers ApiClient::sign(const Request& request) const {
  http::Headers headers;
  if (request.anonymous) return request.headers;
  if (request.service.empty()) {
    headers = request.headers;
    headers.set("authorization", "Bearer " + std::string(connection_.api_key.reveal()));
    return headers;
  }
  security::HeaderList list = request.headers.all();
  list.emplace_back("host", http_->authority());
  security::sign(connection_.credentials, connection_.region, request.service, clock_.now(), request.method,
                 request.path, request.query, list, request.body);
  for (auto& [name, value] : list)
    if (name != "host") headers.add(name, value);
  return headers;
}

Result<http::Response> ApiClient::send(const Request& request) {
  std::string target = request.path + (request.query.empty() ? "" : "?" + request.query);
  return http_->request(request.method, target, sign(request), request.body);
}

Result<http::Response> ApiClient::expect(const Request& request) {
  http::Response response = TRY(send(request));
  if (response.status >= 300) return error_of(response);
  return response;
}

Result<json::value> ApiClient::expect_json(const Request& request) {
  http::Response response = TRY(expect(request));
  if (response.body.empty()) return json::value(json::object());
  return parse(response.body, request.method + " " + request.path);
}

Result<json::value> ApiClient::aws_json(const std::string& service, const std::string& target,
                                        const json::value& body) {
  Request r;
  r.method = "POST";
  r.service = service;
  r.body = json::serialize(body);
  r.headers.set("content-type", "application/x-amz-json-1.1");
  r.headers.set("x-amz-target", target);
  return expect_json(r);
}

Result<json::value> ApiClient::rest(const std::string& service, const std::string& method, const std::string& path,
                                    const json::value* body, const std::string& query) {
  Request r;
  r.method = method;
  r.path = path;
  r.query = query;
  r.service = service;
  if (body) {
    r.headers.set("content-type", "application/json");
    r.body = json::serialize(*body);
  }
  return expect_json(r);
}

Result<json::value> ApiClient::holdfast(const std::string& method, const std::string& path, const json::value* body,
                                        const std::string& query) {
  return rest("holdfast", method, "/holdfast/v1" + path, body, query);
}

Result<http::Response> ApiClient::s3(const std::string& method, const std::string& bucket, const std::string& key,
                                     const std::string& query, std::string body, const http::Headers& headers) {
  Request r;
  r.method = method;
  r.query = query;
  r.service = "s3";
  r.headers = headers;
  r.body = std::move(body);
  if (!bucket.empty()) r.path += bucket;
  if (!key.empty()) r.path += "/" + percent_encode(key, true);
  return expect(r);
}

Result<http::Response> ApiClient::stream(const Request& request, const std::function<bool(std::string_view)>& piece) {
  std::string target = request.path + (request.query.empty() ? "" : "?" + request.query);
  return http_->stream(request.method, target, sign(request), request.body, piece);
}

Error error_of(const http::Response& response) {
  std::string name(response.headers.get("x-amzn-errortype")), message;
  name = name.substr(0, name.find(':'));
  std::string_view body = trim(response.body);
  if (body.starts_with("{")) {
    auto parsed = parse(body, "error");
    if (parsed.ok() && parsed->is_object()) {
      const json::object* object = &parsed->as_object();
      if (const json::value* inner = object->if_contains("error"); inner && inner->is_object())
        object = &inner->as_object();
      if (name.empty()) name = text_of(*object, "__type");
      if (name.empty()) name = text_of(*object, "code");
      if (name.empty()) name = text_of(*object, "type");
      message = text_of(*object, "message");
      if (message.empty()) message = text_of(*object, "Message");
    }
  } else if (body.find("<Code>") != body.npos) {
    name = element(body, "Code");
    message = element(body, "Message");
  }
  if (size_t hash = name.find('#'); hash != name.npos) name = name.substr(hash + 1);
  if (message.empty()) message = "the site answered with status " + std::to_string(response.status);
  return fail(code_of(response.status), name, message);
}

}  // namespace hf::app
