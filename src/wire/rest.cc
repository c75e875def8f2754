// The rest protocols: members in the path, the query, headers and the body.
#include <algorithm>

#include "wire/codec.h"
#include "wire/json_value.h"
#include "wire/scalar.h"
#include "wire/xml_value.h"

namespace hf::wire {
namespace {

const std::string& place(const Field& f) { return f.location.empty() ? f.name : f.location; }

bool is_default(std::string_view text) { return text.empty() || text == "false"; }

TimeFormat time_of(const Field& f, TimeFormat other) { return f.time == TimeFormat::protocol_default ? other : f.time; }

// The texts that a request holds for a member outside of the body.
Result<std::vector<std::string>> texts_of(const Field& f, const RestRequest& request) {
  std::vector<std::string> out;
  switch (f.where) {
    case Where::path:
      for (const auto& [name, value] : request.labels)
        if (name == place(f)) out.push_back(value);
      break;
    case Where::query:
      for (const auto& [name, value] : request.query)
        if (name == place(f)) out.push_back(value);
      break;
    case Where::header: {
      const std::string name = lower(place(f));
      for (const auto& [n, value] : request.headers->all())
        if (n == name) out.push_back(value);
      break;
    }
    default:
      break;
  }
  return out;
}

Status decode_texts(const Field& f, const std::vector<std::string>& texts, void* slot, const Spot& spot) {
  const TimeFormat time = time_of(f, f.where == Where::header ? TimeFormat::http_date : TimeFormat::iso8601);
  if (f.type->kind != Kind::list) {
    if (texts.size() > 1) return expected(spot, "it once", "it " + std::to_string(texts.size()) + " times");
    return scalar_from_text(*f.type, time, texts[0], f.is_secret, slot, spot);
  }
  int64_t i = 0;
  for (const auto& text : texts) {
    auto parts = f.where == Where::header ? split(text, ',') : std::vector<std::string_view>{text};
    for (auto part : parts) {
      Spot at{&spot, {}, i++};
      TRY(scalar_from_text(*f.type->element, time, f.where == Where::header ? trim(part) : part, f.is_secret,
                           f.type->element->emplace(f.type->append(slot)), at));
    }
  }
  return {};
}

Status decode_prefix(const Field& f, const RestRequest& request, void* slot, const Spot& spot) {
  check(f.type->kind == Kind::map && f.type->element->kind == Kind::string, "prefix headers are a map of strings");
  const std::string prefix = lower(place(f));
  for (const auto& [name, value] : request.headers->all()) {
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    std::string key = name.substr(prefix.size());
    Spot at{&spot, key};
    if (!valid_utf8(value)) return expected(at, "UTF-8", "other bytes");
    auto& text = *static_cast<std::string*>(f.type->insert(slot, key));
    text += (text.empty() ? "" : ",") + value;
  }
  return {};
}

Status decode_payload(const Field& f, Format format, const RestRequest& request, void* object, bool& present,
                      const Spot& spot) {
  present = f.type->kind == Kind::body || !request.body.empty() || !f.type->optional;
  if (!present) return {};
  void* slot = f.type->emplace(member_of(f, object));
  switch (f.type->kind) {
    case Kind::body:
      *static_cast<Body*>(slot) = request.stream;
      return {};
    case Kind::blob:
      static_cast<Blob*>(slot)->bytes = request.body;
      return {};
    case Kind::string:
      return scalar_from_text(*f.type, TimeFormat::iso8601, request.body, f.is_secret, slot, spot);
    case Kind::document:
      *static_cast<Document*>(slot) = TRY(parse_json(request.body));
      return {};
    case Kind::structure: {
      const Shape& shape = f.type->shape();
      if (format == Format::json) return decode_json(shape, request.body, slot);
      return decode_xml(shape, f.location.empty() && !shape.xml_root.empty() ? shape.xml_root : place(f), request.body,
                        slot);
    }
    default:
      break;
  }
  check(false, "a payload is a body, blob, string, document or structure");
  return {};
}

// One member that is not in the body.
Status decode_bound(const Field& f, size_t index, const RestRequest& request, void* out, Given& given) {
  Spot top, at{&top, f.name};
  std::vector<std::string> texts = TRY(texts_of(f, request));
  if (!f.type) {
    for (const auto& text : texts)
      if (!f.unless_default || !is_default(text)) return refused_member(f, top);
    return {};
  }
  if (f.where == Where::prefix_headers) {
    void* slot = f.type->emplace(member_of(f, out));
    TRY(given.note(index, at));
    TRY(decode_prefix(f, request, slot, at));
    return check_rules(f, *f.type, slot, at);
  }
  if (texts.empty()) return {};
  TRY(given.note(index, at));
  void* slot = f.type->emplace(member_of(f, out));
  TRY(decode_texts(f, texts, slot, at));
  return check_rules(f, *f.type, slot, at);
}

void encode_payload(const Field& f, const RestStyle& style, const void* value, RestResponse& out) {
  auto content_type = [&](const char* type) {
    if (!out.headers.has("content-type")) out.headers.set("content-type", type);
  };
  switch (f.type->kind) {
    case Kind::body:
      out.has_stream = true;
      out.stream = *static_cast<const Body*>(value);
      return content_type("application/octet-stream");
    case Kind::blob:
      out.body = static_cast<const Blob*>(value)->bytes;
      return content_type("application/octet-stream");
    case Kind::string:
      out.body = *static_cast<const std::string*>(value);
      return content_type("text/plain");
    case Kind::document:
      write_json(out.body, *static_cast<const Document*>(value));
      return content_type("application/json");
    case Kind::structure: {
      const Shape& shape = f.type->shape();
      if (style.format == Format::json) {
        encode_json(shape, style.time, value, out.body);
        return content_type("application/json");
      }
      encode_xml(shape, f.location.empty() && !shape.xml_root.empty() ? shape.xml_root : place(f), style.xml_namespace,
                 value, out.body);
      return content_type("application/xml");
    }
    default:
      break;
  }
  check(false, "a payload is a body, blob, string, document or structure");
}

Status add_header(const Field& f, const std::string& name, std::string value, RestResponse& out) {
  for (char c : value)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
      return fail(Code::invalid, f.name + ": expected a header's value, found a control character in it");
  out.headers.add(name, std::move(value));
  return {};
}

Status encode_header(const Field& f, const void* value, RestResponse& out) {
  const TimeFormat time = time_of(f, TimeFormat::http_date);
  if (f.where == Where::prefix_headers) {
    Status all;
    f.type->each(value, [&](const std::string& key, const void* e) {
      if (all.ok()) all = add_header(f, place(f) + key, *static_cast<const std::string*>(e), out);
    });
    return all;
  }
  std::string text;
  if (f.type->kind == Kind::list) {
    f.type->each(value, [&](const std::string&, const void* e) {
      text += (text.empty() ? "" : ",") + scalar_to_text(*f.type->element, time, e);
    });
  } else {
    text = scalar_to_text(*f.type, time, value);
  }
  return text.empty() ? Status() : add_header(f, place(f), std::move(text), out);
}

}  // namespace

Status decode_rest(const Shape& shape, Format format, const RestRequest& request, void* out) {
  Given given(shape);
  Spot top;
  const Field* payload = nullptr;
  for (size_t i = 0; i < shape.fields.size(); ++i) {
    const Field& f = shape.fields[i];
    if (f.where == Where::body) continue;
    if (f.where != Where::payload) {
      TRY(decode_bound(f, i, request, out, given));
      continue;
    }
    payload = &f;
    if (!f.type) {
      if (!trim(request.body).empty()) return refused_member(f, top);
      continue;
    }
    Spot at{&top, f.name};
    bool present = false;
    TRY(decode_payload(f, format, request, out, present, at));
    if (!present) continue;
    TRY(given.note(i, at));
    TRY(check_rules(f, *f.type, value_of(f, out), at));
  }
  if (!payload && !trim(request.body).empty()) {
    if (format == Format::json) {
      TRY(decode_json_members(shape, TRY(parse_json_object(request.body)), out, given, top));
    } else {
      TRY(decode_xml_members(shape, request.body, out, given));
    }
  }
  return given.finish(top);
}

Status encode_rest(const Shape& shape, const RestStyle& style, const void* in, RestResponse& out) {
  bool body_members = false, payload = false;
  for (const Field& f : shape.fields) {
    if (!f.type) continue;
    body_members |= f.where == Where::body;
    const void* value = value_of(f, in);
    payload |= f.where == Where::payload;
    if (!value) continue;
    if (f.where == Where::status) out.status = *static_cast<const int32_t*>(value);
    if (f.where == Where::header || f.where == Where::prefix_headers) TRY(encode_header(f, value, out));
  }
  for (const Field& f : shape.fields)  // after the headers, of which content-type may be one
    if (f.type && f.where == Where::payload)
      if (const void* value = value_of(f, in)) encode_payload(f, style, value, out);
  if (payload) return {};
  if (style.format == Format::json) {
    encode_json(shape, style.time, in, out.body);
    out.headers.set("content-type", "application/json");
  } else if (body_members) {
    encode_xml(shape, shape.xml_root.empty() ? style.root : shape.xml_root, style.xml_namespace, in, out.body);
    out.headers.set("content-type", "application/xml");
  }
  return {};
}

std::vector<std::string> header_members(const Shape& shape) {
  std::vector<std::string> names;
  for (const Field& f : shape.fields) {
    if (f.where == Where::header) names.push_back(lower(place(f)));
    if (f.where == Where::prefix_headers) names.push_back(lower(place(f)) + "*");
  }
  return names;
}

std::vector<std::string> query_members(const Shape& shape) {
  std::vector<std::string> names;
  for (const Field& f : shape.fields)
    if (f.where == Where::query) names.push_back(place(f));
  return names;
}

}  // namespace hf::wire
