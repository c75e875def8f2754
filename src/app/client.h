// The command line's side of the API: signed requests to a site, over loopback or TLS. One thread at a time.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/fs.h"
#include "security/sigv4.h"

namespace hf::app {

// Where a site is and who we are to it.
struct Connection {
  std::string endpoint;       // "https://127.0.0.1:8480"
  std::string http_endpoint;  // "http://127.0.0.1:8480", or "" if clear text is off
  std::string ca_path, ca_pem;
  std::string region, account;
  security::Credentials credentials;
  crypto::Secret api_key;  // Bearer, for the OpenAI API
};

// The name of the error that means: nothing runs there (exit status 3).
inline constexpr const char* kNoSiteName = "NoSite";

// Reads STATE/site.json: where it is, without credentials. not_found, with what to do, if no site was ever started
// there.
Result<Connection> read_site(os::Fs& fs, const std::string& state);
// Reads STATE/site.json and STATE/admin.json. not_found, with what to do, if no site was ever started there.
Result<Connection> read_connection(os::Fs& fs, const std::string& state);

class ApiClient {
 public:
  // timeout_ms: without progress. An import of a large model, or a whole ledger, is minutes of silence.
  static Result<std::unique_ptr<ApiClient>> make(Connection connection, os::Clock& clock, int timeout_ms = 900'000);
  const Connection& connection() const { return connection_; }

  struct Request {
    std::string method = "GET";
    std::string path = "/";  // encoded
    std::string query;       // encoded, without '?'
    std::string service;     // signing name; "" : Bearer with the API key
    bool anonymous = false;  // no credentials at all: GET /health
    http::Headers headers;
    std::string body;
  };
  // Any status is an answer; only transport fails.
  Result<http::Response> send(const Request& request);
  // A status of 300 or more becomes an Error with the answer's own error name and message.
  Result<http::Response> expect(const Request& request);
  Result<boost::json::value> expect_json(const Request& request);

  // SageMaker and its like: POST / with X-Amz-Target.
  Result<boost::json::value> aws_json(const std::string& service, const std::string& target,
                                      const boost::json::value& body);
  // Bedrock, our own API: JSON by path.
  Result<boost::json::value> rest(const std::string& service, const std::string& method, const std::string& path,
                                  const boost::json::value* body = nullptr, const std::string& query = "");
  Result<boost::json::value> holdfast(const std::string& method, const std::string& path,
                                      const boost::json::value* body = nullptr, const std::string& query = "");
  Result<http::Response> s3(const std::string& method, const std::string& bucket, const std::string& key = "",
                            const std::string& query = "", std::string body = "", const http::Headers& headers = {});
  // Streams the answer's bytes as they come.
  Result<http::Response> stream(const Request& request, const std::function<bool(std::string_view)>& piece);

 private:
  ApiClient(Connection connection, os::Clock& clock) : connection_(std::move(connection)), clock_(clock) {}
  http::Headers sign(const Request& request) const;
  Connection connection_;
  os::Clock& clock_;
  std::unique_ptr<http::Client> http_;
};

// The text of the first element of the name in an XML answer: ours, so no parser is needed to find one. "": none.
std::string element(std::string_view xml, std::string_view name);

// The error that an answer of status >= 300 tells, in whatever protocol it speaks.
Error error_of(const http::Response& response);

}  // namespace hf::app
