#include "api/errors.h"

#include <algorithm>
#include <cctype>

#include "wire/codec.h"
#include "wire/eventstream.h"
#include "wire/sse.h"

namespace hf::api {
namespace {

enum class Family { json, query, s3, openai };

Family family_of(Protocol p) {
  switch (p) {
    case Protocol::rest_json:
    case Protocol::aws_json_1_0:
    case Protocol::aws_json_1_1:
    case Protocol::holdfast:
      return Family::json;
    case Protocol::aws_query:
      return Family::query;
    case Protocol::rest_xml:
      return Family::s3;
    case Protocol::openai:
      return Family::openai;
  }
  return Family::json;
}

// How a family spells the names that the gate, the codecs and SigV4 use.
struct Spelling {
  const char *ours, *json, *query, *s3, *openai;
};
constexpr Spelling kSpellings[] = {
    {kMissingCredentials, "MissingAuthenticationTokenException", kMissingCredentials, kAccessDenied, "invalid_api_key"},
    {kUnknownKey, "UnrecognizedClientException", "InvalidClientTokenId", kUnknownKey, "invalid_api_key"},
    {kBadSignature, "InvalidSignatureException", kBadSignature, kBadSignature, "invalid_api_key"},
    {"RequestTimeTooSkewed", "InvalidSignatureException", kBadSignature, "RequestTimeTooSkewed", "invalid_api_key"},
    {"IncompleteSignature", "IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed",
     "invalid_api_key"},
    {"AuthorizationQueryParametersError", "IncompleteSignatureException", "IncompleteSignature",
     "AuthorizationQueryParametersError", "invalid_api_key"},
    {"InvalidToken", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken", "invalid_api_key"},
    {"ExpiredToken", "ExpiredTokenException", "ExpiredToken", "ExpiredToken", "invalid_api_key"},
    {"XAmzContentSHA256Mismatch", "InvalidSignatureException", kBadSignature, "XAmzContentSHA256Mismatch",
     "invalid_api_key"},
    {kAccessDenied, "AccessDeniedException", kAccessDenied, kAccessDenied, "insufficient_permissions"},
    {kNotImplemented, "NotImplementedException", "InvalidAction", kNotImplemented, "not_implemented"},
    {kUnknownOperation, "UnknownOperationException", "InvalidAction", "MethodNotAllowed", "unknown_url"},
    {wire::kMalformed, "SerializationException", "MalformedInput", "MalformedXML", "invalid_json"},
    {wire::kRefused, "ValidationException", "ValidationError", kNotImplemented, "unsupported_parameter"},
    {"ValidationException", "ValidationException", "ValidationError", "InvalidArgument", "invalid_value"},
    {"ResourceNotFoundException", "ResourceNotFoundException", "NoSuchEntity", "NoSuchKey", "model_not_found"},
    {kDiskFull, "ServiceUnavailableException", "ServiceUnavailable", "SlowDown", "service_unavailable"},
};

// The name of an error that has none.
const char* default_name(Family family, Code code) {
  static constexpr const char* kNames[][4] = {
      // json, query, s3, openai; in the order of Code
      {"ValidationException", "ValidationError", "InvalidArgument", "invalid_value"},
      {"AccessDeniedException", kAccessDenied, kAccessDenied, "insufficient_permissions"},
      {"ResourceNotFoundException", "NoSuchEntity", "NoSuchKey", "model_not_found"},
      {"ConflictException", "EntityAlreadyExists", "OperationAborted", "conflict"},
      {"RequestEntityTooLargeException", "RequestEntityTooLarge", "EntityTooLarge", "request_too_large"},
      {"ThrottlingException", "Throttling", "SlowDown", "rate_limit_exceeded"},
      {"ServiceUnavailableException", "ServiceUnavailable", "ServiceUnavailable", "service_unavailable"},
      {"InternalServerException", "InternalFailure", "InternalError", "server_error"},
      {"InternalServerException", "InternalFailure", "InternalError", "server_error"},
  };
  return kNames[static_cast<size_t>(code)][static_cast<size_t>(family)];
}

// Services that spell a JSON name their own way.
struct ServiceName {
  const char *service, *json, *name;
};
constexpr ServiceName kServiceNames[] = {
    {"sagemaker", "ResourceNotFoundException", "ResourceNotFound"},
    {"sagemaker", "ConflictException", "ResourceInUse"},
    {"sagemaker", "InternalServerException", "InternalFailure"},
    {"kms", "ResourceNotFoundException", "NotFoundException"},
    {"kms", "InternalServerException", "KMSInternalException"},
    {"kms", "ServiceUnavailableException", "DependencyTimeoutException"},
    {"sagemaker-runtime", "ValidationException", "ValidationError"},
    {"sagemaker-runtime", "ResourceNotFoundException", "ValidationError"},
    {"sagemaker-runtime", "ServiceUnavailableException", "ServiceUnavailable"},
    {"sagemaker-runtime", "InternalServerException", "InternalFailure"},
    {"sagemaker-runtime", "ModelErrorException", "ModelError"},
    {"sagemaker-runtime", "ModelStreamErrorException", "ModelError"},
};

// Statuses by name, whatever the protocol. A name that is not here has the status of its Code.
struct NameStatus {
  const char* name;
  int status;
};
constexpr NameStatus kStatuses[] = {
    // common
    {"NotImplementedException", 501},
    {"UnknownOperationException", 404},
    {"MissingAuthenticationTokenException", 403},
    {"UnrecognizedClientException", 403},
    {"InvalidSignatureException", 403},
    {"IncompleteSignatureException", 403},
    {"ExpiredTokenException", 403},
    {"SerializationException", 400},
    {"RequestEntityTooLargeException", 413},
    // bedrock, bedrock-runtime
    {"ValidationException", 400},
    {"AccessDeniedException", 403},
    {"ResourceNotFoundException", 404},
    {"ConflictException", 400},
    {"ServiceQuotaExceededException", 400},
    {"TooManyTagsException", 400},
    {"ThrottlingException", 429},
    {"ModelTimeoutException", 408},
    {"ModelNotReadyException", 429},
    {"ModelErrorException", 424},
    {"ModelStreamErrorException", 424},
    {"InternalServerException", 500},
    {"ServiceUnavailableException", 503},
    // sagemaker, sagemaker-runtime
    {"ResourceNotFound", 400},
    {"ResourceInUse", 400},
    {"ResourceLimitExceeded", 400},
    {"ValidationError", 400},
    {"ModelError", 424},
    {"InternalFailure", 500},
    {"ServiceUnavailable", 503},
    {"InternalDependencyException", 530},
    // kms
    {"KMSInternalException", 500},
    {"DependencyTimeoutException", 503},
    // aws-query
    {"InvalidAction", 400},
    {"MissingAuthenticationToken", 403},
    {"InvalidClientTokenId", 403},
    {"IncompleteSignature", 403},
    {"MalformedInput", 400},
    {"NoSuchEntity", 404},
    {"EntityAlreadyExists", 409},
    {"ConcurrentModification", 409},
    {"DeleteConflict", 409},
    {"LimitExceeded", 409},
    {"MalformedPolicyDocument", 400},
    {"InvalidInput", 400},
    {"InvalidIdentityToken", 400},
    {"NotSupportedService", 404},
    {"ReportNotPresent", 410},
    {"ReportExpired", 410},
    {"Throttling", 400},
    {"RequestEntityTooLarge", 413},
    // s3
    {"AccessDenied", 403},
    {"InvalidAccessKeyId", 403},
    {"SignatureDoesNotMatch", 403},
    {"RequestTimeTooSkewed", 403},
    {"AuthorizationHeaderMalformed", 403},
    {"AuthorizationQueryParametersError", 403},
    {"InvalidToken", 403},
    {"ExpiredToken", 403},
    {"NoSuchBucket", 404},
    {"NoSuchKey", 404},
    {"NoSuchVersion", 404},
    {"NoSuchUpload", 404},
    {"NoSuchBucketPolicy", 404},
    {"MalformedPolicy", 400},
    {"NotFound", 404},
    {"BucketAlreadyExists", 409},
    {"BucketAlreadyOwnedByYou", 409},
    {"BucketNotEmpty", 409},
    {"OperationAborted", 409},
    {"InvalidRange", 416},
    {"InvalidPartNumber", 416},
    {"PreconditionFailed", 412},
    {"NotModified", 304},
    {"MethodNotAllowed", 405},
    {"NotImplemented", 501},
    {"MalformedXML", 400},
    {"InvalidArgument", 400},
    {"InvalidRequest", 400},
    {"InvalidBucketName", 400},
    {"InvalidURI", 400},
    {"BadDigest", 400},
    {"InvalidDigest", 400},
    {"EntityTooLarge", 400},
    {"EntityTooSmall", 400},
    {"IncompleteBody", 400},
    {"XAmzContentSHA256Mismatch", 400},
    {"KeyTooLongError", 400},
    {"MetadataTooLarge", 400},
    {"MissingContentLength", 411},
    {"IllegalLocationConstraintException", 400},
    {"InvalidLocationConstraint", 400},
    {"SlowDown", 503},
    {"InternalError", 500},
    // openai
    {"invalid_api_key", 401},
    {"insufficient_permissions", 403},
    {"model_not_found", 404},
    {"unknown_url", 404},
    {"not_implemented", 501},
    {"rate_limit_exceeded", 429},
    {"request_too_large", 413},
    {"service_unavailable", 503},
};

int status_of_code(Code code) {
  static constexpr int kByCode[] = {400, 403, 404, 409, 413, 429, 503, 500, 500};
  return kByCode[static_cast<size_t>(code)];
}

std::string spelled(const ErrorForm& form, Family family, const Error& error) {
  std::string name = error.name.empty() ? default_name(family, error.code) : error.name;
  for (const Spelling& s : kSpellings) {
    if (name != s.ours) continue;
    const char* const by_family[] = {s.json, s.query, s.s3, s.openai};
    name = by_family[static_cast<size_t>(family)];
    break;
  }
  for (const ServiceName& s : kServiceNames)
    if (form.service == s.service && name == s.json) name = s.name;
  return name;
}

std::string json_members(std::initializer_list<std::pair<const char*, std::string_view>> members) {
  std::string out;
  for (const auto& [name, value] : members) {
    out += out.empty() ? '{' : ',';
    wire::write_json_string(out, name);
    out += ':';
    wire::write_json_string(out, value);
  }
  return out + "}";
}

// "messages[0].role: expected ..." -> "messages[0].role"; otherwise nothing.
std::string_view param_of(const Error& error) {
  std::string_view text = error.message;
  size_t colon = text.find(": expected ");
  if (error.code != Code::invalid || colon == text.npos || colon > 128) return {};
  text = text.substr(0, colon);
  return text.find(' ') == text.npos ? text : std::string_view();
}

std::string openai_body(const NamedError& named, const Error& error) {
  const char* type = named.status >= 500 && named.status != 501 ? "server_error"
                     : named.status == 429                      ? "rate_limit_error"
                     : named.status == 403                      ? "permission_error"
                                                                : "invalid_request_error";
  std::string out = "{\"error\":{\"message\":";
  wire::write_json_string(out, named.message);
  out += std::string(",\"type\":\"") + type + "\",\"param\":";
  auto param = param_of(error);
  if (param.empty()) {
    out += "null";
  } else {
    wire::write_json_string(out, param);
  }
  out += ",\"code\":";
  wire::write_json_string(out, named.name);
  return out + "}}";
}

// XML 1.0 has no form for most control characters, and the client's parser would trip over one.
std::string xml_element(const char* name, std::string_view text) {
  std::string plain(text);
  for (char& c : plain)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
  return std::string("<") + name + ">" + wire::xml_escape(plain) + "</" + name + ">";
}

}  // namespace

NamedError name_error(const ErrorForm& form, const Error& error, const std::string& request_id) {
  NamedError out;
  const Family family = family_of(form.protocol);
  out.name = spelled(form, family, error);
  out.status = status_of_code(error.code);
  for (const NameStatus& s : kStatuses)
    if (out.name == s.name) out.status = s.status;
  if (family == Family::query && out.name == "ExpiredTokenException") out.status = 400;  // STS's, of a provider's token
  const bool aws_json = form.protocol == Protocol::aws_json_1_0 || form.protocol == Protocol::aws_json_1_1;
  if (aws_json && out.status < 500 && out.status != 403 && out.status != 413) out.status = 400;  // statuses are REST's
  out.message = error.message;
  if (error.code == Code::internal)
    out.message = "an internal error; the site's log tells more under the request id " + request_id;
  if (error.code == Code::corrupt)  // which file of the site's, is the operator's to know
    out.message = "what is stored here is damaged; the site's log tells more under the request id " + request_id;
  return out;
}

void add_request_id(const ErrorForm& form, const std::string& request_id, http::Headers& headers) {
  switch (family_of(form.protocol)) {
    case Family::json:
    case Family::query:
      headers.set("x-amzn-requestid", request_id);
      return;
    case Family::openai:
      headers.set("x-request-id", request_id);
      return;
    case Family::s3:
      headers.set("x-amz-request-id", request_id);
      headers.set("x-amz-id-2", request_id);
      return;
  }
}

Reply error_reply(const ErrorForm& form, const Error& error, const std::string& request_id,
                  const http::RequestHead& head) {
  NamedError named = name_error(form, error, request_id);
  Reply out;
  out.status = named.status;
  add_request_id(form, request_id, out.headers);
  if (named.status == 429 || named.status == 503)
    out.headers.set("retry-after", std::to_string(error.retry_after_s > 0 ? error.retry_after_s : 1));
  switch (family_of(form.protocol)) {
    case Family::json: {
      const bool rest = is_rest(form.protocol);
      out.headers.set("content-type", rest                                      ? "application/json"
                                      : form.protocol == Protocol::aws_json_1_0 ? "application/x-amz-json-1.0"
                                                                                : "application/x-amz-json-1.1");
      out.headers.set("x-amzn-errortype", named.name);
      out.body = rest ? json_members({{"message", named.message}})
                      : json_members({{"__type", named.name}, {"message", named.message}});
      break;
    }
    case Family::query:
      out.headers.set("content-type", "text/xml");
      out.body = "<ErrorResponse xmlns=\"" + wire::xml_escape(form.xml_namespace) + "\"><Error>" +
                 xml_element("Type", named.status >= 500 ? "Receiver" : "Sender") + xml_element("Code", named.name) +
                 xml_element("Message", named.message) + "</Error>" + xml_element("RequestId", request_id) +
                 "</ErrorResponse>";
      break;
    case Family::s3:
      out.headers.set("content-type", "application/xml");
      out.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>" + xml_element("Code", named.name) +
                 xml_element("Message", named.message) + xml_element("Resource", head.path()) +
                 xml_element("RequestId", request_id) + xml_element("HostId", request_id) + "</Error>";
      break;
    case Family::openai:
      out.headers.set("content-type", "application/json");
      if (named.status == 401) out.headers.set("www-authenticate", "Bearer");
      if (named.status == 501) out.headers.set("x-should-retry", "false");  // the SDK tries other 5xx again
      out.body = openai_body(named, error);
      break;
  }
  if (head.method == "HEAD" || out.status == 304) out.body.clear();
  return out;
}

std::string stream_error(const ErrorForm& form, const Error& error, const std::string& request_id) {
  NamedError named = name_error(form, error, request_id);
  if (form.protocol == Protocol::openai) return wire::sse_event(openai_body(named, error));
  if (form.service == "sagemaker-runtime") {
    if (error.code == Code::internal)
      return wire::exception_message("InternalStreamFailure", json_members({{"Message", named.message}}));
    return wire::exception_message("ModelStreamError",
                                   json_members({{"Message", named.message}, {"ErrorCode", "StreamBroken"}}));
  }
  // bedrock-runtime's unions have these members, spelled in camel case.
  static constexpr const char* kMembers[] = {"internalServerException",     "modelStreamErrorException",
                                             "validationException",         "throttlingException",
                                             "serviceUnavailableException", "modelTimeoutException"};
  std::string member = named.name == "ModelErrorException" ? "modelStreamErrorException" : named.name;
  if (!member.empty()) member[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(member[0])));
  if (std::none_of(std::begin(kMembers), std::end(kMembers), [&](const char* m) { return member == m; }))
    member = error.code == Code::invalid ? "validationException" : "internalServerException";
  return wire::exception_message(member, json_members({{"message", named.message}}));
}

}  // namespace hf::api
