// JSON bodies of rest-json, aws-json, OpenAI and our own API.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>

#include "base/bytes.h"
#include "wire/codec.h"
#include "wire/json_value.h"
#include "wire/scalar.h"

namespace hf::wire {
namespace {

namespace json = boost::json;

std::string found(const json::value& v, bool secret) {
  if (secret) return "another value";
  switch (v.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return v.get_bool() ? "true" : "false";
    case json::kind::string:
      return "the string " + quoted(v.get_string(), false);
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
    default: {
      std::string out = "the number ";
      write_json(out, v);
      return out;
    }
  }
}

bool is_default(const json::value& v) {
  switch (v.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !v.get_bool();
    case json::kind::string:
      return v.get_string().empty();
    case json::kind::array:
      return v.get_array().empty();
    case json::kind::object:
      return v.get_object().empty();
    default:
      return false;
  }
}

Status integer(const Field& f, const TypeInfo& type, const json::value& v, void* out, const Spot& spot) {
  if (v.is_int64()) return integer_in_range(type, v.get_int64(), out, spot);
  if (v.is_double() && std::fabs(v.get_double()) <= 9007199254740992.0 && v.get_double() == std::floor(v.get_double()))
    return integer_in_range(type, static_cast<int64_t>(v.get_double()), out, spot);
  return expected(spot, v.is_number() ? "an integer within 64 bits" : "an integer", found(v, f.is_secret));
}

Status decode_value(const Field& f, const TypeInfo& type, const json::value& v, void* out, const Spot& spot) {
  auto wrong = [&] { return expected(spot, kind_text(type.kind), found(v, f.is_secret)); };
  switch (type.kind) {
    case Kind::boolean:
      if (!v.is_bool()) return wrong();
      *static_cast<bool*>(out) = v.get_bool();
      return {};
    case Kind::int32:
    case Kind::int64:
      return integer(f, type, v, out, spot);
    case Kind::float64:
      if (!v.is_number()) return wrong();
      *static_cast<double*>(out) = v.to_number<double>();
      return {};
    case Kind::string:
      if (!v.is_string()) return wrong();
      *static_cast<std::string*>(out) = std::string(v.get_string());
      return {};
    case Kind::blob:
      if (!v.is_string()) return wrong();
      return scalar_from_text(type, TimeFormat::iso8601, v.get_string(), f.is_secret, out, spot);
    case Kind::timestamp:
      if (v.is_string()) return scalar_from_text(type, TimeFormat::iso8601, v.get_string(), f.is_secret, out, spot);
      if (!v.is_number()) return wrong();
      static_cast<Timestamp*>(out)->us = TRY(from_epoch(v.to_number<double>(), spot));
      return {};
    case Kind::document:
      *static_cast<Document*>(out) = v;
      return {};
    case Kind::list: {
      if (!v.is_array()) return wrong();
      int64_t i = 0;
      for (const auto& e : v.get_array()) {
        Spot at{&spot, {}, i++};
        void* slot = type.append(out);
        TRY(decode_value(f, *type.element, e, type.element->emplace(slot), at));
      }
      return {};
    }
    case Kind::map: {
      if (!v.is_object()) return wrong();
      for (const auto& m : v.get_object()) {
        Spot at{&spot, m.key()};
        void* slot = type.insert(out, std::string(m.key()));
        TRY(decode_value(f, *type.element, m.value(), type.element->emplace(slot), at));
      }
      return {};
    }
    case Kind::structure:
      if (!v.is_object()) return wrong();
      return decode_json_object(type.shape(), v.get_object(), out, spot);
    case Kind::body:
      break;
  }
  check(false, "a streaming body inside of JSON");
  return {};
}

// ---- out
struct Writer {
  TimeFormat time;
  bool redacted;
  std::string& out;

  void structure(const Shape& shape, const void* in, bool all) {
    char separator = '{';
    for (const Field& f : shape.fields) {
      if (!f.type || (f.where != Where::body && !all)) continue;
      const void* v = value_of(f, in);
      if (!v) continue;
      out += separator;
      separator = ',';
      write_json_string(out, f.name);
      out += ':';
      if (redacted && f.is_secret) {
        out += "\"***\"";
      } else {
        value(f, *f.type, v);
      }
    }
    out += separator == '{' ? "{}" : "}";
  }

  void text(const TypeInfo& type, const void* v, TimeFormat t) {
    std::string s = scalar_to_text(type, t, v);
    if (redacted && (type.kind == Kind::blob || s.size() > 256)) s = "(" + std::to_string(s.size()) + " bytes)";
    write_json_string(out, s);
  }

  void value(const Field& f, const TypeInfo& type, const void* v) {
    switch (type.kind) {
      case Kind::boolean:
      case Kind::int32:
      case Kind::int64:
      case Kind::float64:
        out += scalar_to_text(type, time, v);
        return;
      case Kind::string:
      case Kind::blob:
        return text(type, v, time);
      case Kind::timestamp: {
        TimeFormat t = f.time == TimeFormat::protocol_default ? time : f.time;
        if (t == TimeFormat::epoch) {
          out += scalar_to_text(type, t, v);
        } else {
          text(type, v, t);
        }
        return;
      }
      case Kind::document:
        if (redacted) {
          out += "\"(a document)\"";
        } else {
          write_json(out, *static_cast<const Document*>(v));
        }
        return;
      case Kind::list:
      case Kind::map: {
        const bool map = type.kind == Kind::map;
        const char open = map ? '{' : '[';
        char separator = open;
        type.each(v, [&](const std::string& key, const void* e) {
          if (!type.element->present(e)) return;
          out += separator;
          separator = ',';
          if (map) {
            write_json_string(out, key);
            out += ':';
          }
          value(f, *type.element, type.element->get(e));
        });
        if (separator == open) out += open;
        out += map ? '}' : ']';
        return;
      }
      case Kind::structure:
        return structure(type.shape(), v, redacted);
      case Kind::body:
        out += "\"(a stream)\"";
        return;
    }
  }
};

}  // namespace

Status decode_json_members(const Shape& shape, const json::object& object, void* out, Given& given, const Spot& spot) {
  for (const auto& m : object) {
    size_t i = 0;
    while (i < shape.fields.size() && (shape.fields[i].where != Where::body || shape.fields[i].name != m.key())) ++i;
    if (i == shape.fields.size()) return unknown_member(shape, m.key(), spot);
    const Field& f = shape.fields[i];
    if (!f.type) {
      if (f.unless_default && is_default(m.value())) continue;
      return refused_member(f, spot);
    }
    if (m.value().is_null() && f.type->kind != Kind::document) continue;
    Spot at{&spot, f.name};
    TRY(given.note(i, at));
    void* slot = f.type->emplace(member_of(f, out));
    TRY(decode_value(f, *f.type, m.value(), slot, at));
    TRY(check_rules(f, *f.type, slot, at));
  }
  return {};
}

Status decode_json_object(const Shape& shape, const json::object& object, void* out, const Spot& spot) {
  Given given(shape);
  TRY(decode_json_members(shape, object, out, given, spot));
  return given.finish(spot);
}

Result<json::object> parse_json_object(std::string_view body) {
  if (trim(body).empty()) return json::object();
  json::value v = TRY(parse_json(body));
  if (!v.is_object())
    return fail(Code::invalid, kMalformed, "the body: expected a JSON object, found " + found(v, true));
  return std::move(v.get_object());
}

Status decode_json(const Shape& shape, std::string_view body, void* out) {
  json::object object = TRY(parse_json_object(body));
  return decode_json_object(shape, object, out, Spot{});
}

void encode_json(const Shape& shape, TimeFormat time, const void* in, std::string& out) {
  Writer{time, false, out}.structure(shape, in, false);
}

json::value to_document(const Shape& shape, TimeFormat time, const void* in) {
  std::string text;
  encode_json(shape, time, in, text);
  auto v = parse_json(text);
  check(v.ok(), "JSON that we wrote does not parse");
  return std::move(v).value();
}

std::string redact(const Shape& shape, const void* in) {
  std::string out;
  Writer{TimeFormat::iso8601, true, out}.structure(shape, in, true);
  return out;
}

}  // namespace hf::wire
