// Codecs: from bytes to a struct that was described by fields(), and back. Driven by the Shape, so one implementation
// serves every operation. Decoding checks everything that the fields say; its errors are
//   Code::invalid, name "" (a rule is broken) | kMalformed (not the format at all) | kRefused (known, not offered),
//   message "<member path>: expected <what>, found <what>"   e.g. messages[0].content[1].text: expected ...
// Secret members are never quoted. Rules: required, lengths (characters of strings, bytes of blobs, elements of lists
// and maps), ranges, enums, patterns, unions (exactly one member). JSON null is the same as absent. All functions are
// pure and thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/http.h"
#include "wire/fields.h"
#include "wire/json.h"
#include "wire/path_template.h"

namespace hf::wire {

// ---- bodies
// aws-json's and rest-json's timestamps differ: epoch seconds, or ISO 8601. Either form is understood.
Status decode_json(const Shape& shape, std::string_view body, void* out);  // empty body: {}
void encode_json(const Shape& shape, TimeFormat time, const void* in, std::string& out);
boost::json::value to_document(const Shape& shape, TimeFormat time, const void* in);

// XML: one element `root` (any namespace) that holds the members. No DTD, no entities but the predefined ones.
Status decode_xml(const Shape& shape, std::string_view root, std::string_view body, void* out);
void encode_xml(const Shape& shape, std::string_view root, std::string_view xml_namespace, const void* in,
                std::string& out);
std::string xml_escape(std::string_view text);

// aws-query: Foo.member.1.Bar=..., Map.entry.1.key=..., flattened without "member". Action and Version are skipped, and
// so is what `skip` says (signing parameters in the URL).
Status decode_aws_query(const Shape& shape, const Pairs& pairs, void* out,
                        const std::function<bool(std::string_view)>& skip = {});
std::string encode_aws_query(const Shape* shape, const std::string& operation, const std::string& xml_namespace,
                             const std::string& request_id, const void* in);

// ---- rest: members in path, query, headers and body
enum class Format { json, xml };
struct RestRequest {
  Pairs labels, query;  // decoded
  const http::Headers* headers = nullptr;
  std::string_view body;  // whole; empty if the payload streams
  Body stream;            // for a wire::Body member
};
Status decode_rest(const Shape& shape, Format format, const RestRequest& request, void* out);

struct RestResponse {
  int status = 0;         // of a status() member, or 0
  http::Headers headers;  // content-type is set where there is a body
  std::string body;
  bool has_stream = false;
  Body stream;
};
struct RestStyle {
  Format format = Format::json;
  TimeFormat time = TimeFormat::iso8601;  // in the body
  std::string xml_namespace;
  std::string root;  // XML document element where the shape names none
};
// invalid: a header's value with control characters in it.
Status encode_rest(const Shape& shape, const RestStyle& style, const void* in, RestResponse& out);
// The names of the headers that are members of a shape (refused ones included); prefixes end in '*'.
std::vector<std::string> header_members(const Shape& shape);
// The names of the query parameters that are members of a shape (refused ones included).
std::vector<std::string> query_members(const Shape& shape);

// ---- logs: JSON without secrets; blobs, documents' and strings' lengths beyond 256 bytes instead of their bytes
std::string redact(const Shape& shape, const void* in);

}  // namespace hf::wire
