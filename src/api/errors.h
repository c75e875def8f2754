// Errors on the wire: one table of names and statuses, and each protocol's own form.
#pragma once

#include <string>

#include "api/service.h"

namespace hf::api {

// Names of the gate's and the codecs' own errors, before a protocol spells them (wire/json.h has two more).
inline constexpr const char* kMissingCredentials = "MissingAuthenticationToken";
inline constexpr const char* kUnknownKey = "InvalidAccessKeyId";
inline constexpr const char* kBadSignature = "SignatureDoesNotMatch";
inline constexpr const char* kAccessDenied = "AccessDenied";
inline constexpr const char* kNotImplemented = "NotImplemented";  // known, and not offered
inline constexpr const char* kUnknownOperation = "UnknownOperation";

struct ErrorForm {
  Protocol protocol = Protocol::rest_json;
  std::string service;  // Service::name
  std::string xml_namespace;
};
struct NamedError {
  int status = 500;
  std::string name;     // as the protocol spells it: "ValidationException", "NoSuchKey", "invalid_api_key"
  std::string message;  // of our own faults: only the request's id, the rest is for the log
};
NamedError name_error(const ErrorForm& form, const Error& error, const std::string& request_id);

struct Reply {
  int status = 200;
  http::Headers headers;
  std::string body;
};
// `target`: the request's path, for S3's <Resource>. HEAD: no body.
Reply error_reply(const ErrorForm& form, const Error& error, const std::string& request_id,
                  const http::RequestHead& head);
void add_request_id(const ErrorForm& form, const std::string& request_id, http::Headers& headers);

// A failure in the middle of a stream: the frame or line that ends it.
std::string stream_error(const ErrorForm& form, const Error& error, const std::string& request_id);

}  // namespace hf::api
