#include "wire/scalar.h"

#include <re2/re2.h>

#include <cmath>
#include <cstdio>

#include "base/bytes.h"
#include "wire/json.h"

namespace hf::wire {
namespace {

constexpr Micros kYear1 = -62135596800LL * 1'000'000, kYear10000 = 253402300800LL * 1'000'000;

// At most n bytes, cut between characters.
std::string_view shortened(std::string_view text, size_t n) {
  if (text.size() <= n) return text;
  text = text.substr(0, n);
  return text.substr(0, text.size() - incomplete_utf8_tail(text));
}

int64_t characters(std::string_view text) {
  int64_t n = 0;
  for (char c : text) n += (c & 0xc0) != 0x80;
  return n;
}

std::string plain_number(double v) {
  std::string out;
  if (v == std::floor(v) && std::fabs(v) < 9e15) return std::to_string(static_cast<int64_t>(v));
  write_json_number(out, v);
  return out;
}

Status in_range(const Field& f, double v, const Spot& spot) {
  if ((!f.min || v >= *f.min) && (!f.max || v <= *f.max)) return {};
  if (f.min == f.max) return expected(spot, plain_number(*f.min), f.is_secret ? "another value" : plain_number(v));
  return expected(spot, "a number from " + plain_number(*f.min) + " to " + plain_number(*f.max),
                  f.is_secret ? "another value" : plain_number(v));
}

Status in_length(const Field& f, int64_t n, const char* unit, const Spot& spot) {
  if ((!f.min_length || n >= *f.min_length) && (!f.max_length || n <= *f.max_length)) return {};
  return expected(spot, std::to_string(*f.min_length) + " to " + std::to_string(*f.max_length) + " " + unit,
                  std::to_string(n));
}

Status allowed_text(const Field& f, const std::string& text, const Spot& spot) {
  if (!f.values.empty()) {
    std::string list;
    for (const auto& v : f.values) {
      if (v == text) return {};
      list += (list.empty() ? "" : ", ") + v;
    }
    return expected(spot, f.values.size() == 1 ? list : "one of " + list, quoted(text, f.is_secret));
  }
  if (f.regex && !re2::RE2::FullMatch(text, *f.regex))
    return expected(spot, "text that matches " + f.pattern_text, quoted(text, f.is_secret));
  return {};
}

}  // namespace

std::string Spot::text() const {
  std::string out;
  if (up && (up->up || !up->name.empty() || up->index >= 0)) out = up->text();
  if (index >= 0) return (up ? out : "") + "[" + std::to_string(index) + "]";
  if (name.empty()) return out.empty() ? "the body" : out;
  return (out.empty() ? "" : out + ".") + std::string(shortened(name, 64));
}

Error expected(const Spot& spot, std::string_view what, std::string_view found) {
  return fail(Code::invalid, spot.text() + ": expected " + std::string(what) + ", found " + std::string(found));
}

std::string quoted(std::string_view text, bool secret) {
  if (secret) return "another value";
  if (!valid_utf8(text)) return "bytes that are not UTF-8";
  auto cut = shortened(text, 40);
  return "'" + std::string(cut) + (cut.size() < text.size() ? "...'" : "'");
}

const char* kind_text(Kind kind) {
  switch (kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::int32:
    case Kind::int64:
      return "an integer";
    case Kind::float64:
      return "a number";
    case Kind::string:
      return "a string";
    case Kind::timestamp:
      return "a time";
    case Kind::blob:
      return "base64";
    case Kind::document:
      return "JSON";
    case Kind::list:
      return "a list";
    case Kind::map:
      return "a map";
    case Kind::structure:
      return "an object";
    case Kind::body:
      return "a body";
  }
  return "";
}

std::string xml_name(const Field& field) { return field.location.empty() ? field.name : field.location; }

std::string_view local_name(std::string_view qualified) {
  size_t colon = qualified.rfind(':');
  return colon == qualified.npos ? qualified : qualified.substr(colon + 1);
}

Status integer_in_range(const TypeInfo& type, int64_t number, void* value, const Spot& spot) {
  if (type.kind == Kind::int32) {
    if (number < INT32_MIN || number > INT32_MAX)
      return expected(spot, "an integer from -2147483648 to 2147483647", std::to_string(number));
    *static_cast<int32_t*>(value) = static_cast<int32_t>(number);
  } else {
    *static_cast<int64_t*>(value) = number;
  }
  return {};
}

Result<Micros> from_epoch(double seconds, const Spot& spot) {
  double us = std::round(seconds * 1e6);
  if (!(us >= static_cast<double>(kYear1) && us < static_cast<double>(kYear10000)))
    return expected(spot, "seconds since 1970 within the years 1 to 9999", plain_number(seconds));
  return static_cast<Micros>(us);
}

std::string epoch_text(Micros t) {
  int64_t seconds = t / 1'000'000, rest = t % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --seconds;
  }
  if (rest == 0) return std::to_string(seconds);
  if (seconds < 0) {  // -1 s + 0.25 s is -0.75
    std::string out;
    write_json_number(out, static_cast<double>(t) / 1e6);
    return out;
  }
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, ".%06d", static_cast<int>(rest));
  std::string out = std::to_string(seconds) + buffer;
  while (out.back() == '0') out.pop_back();
  return out;
}

Status scalar_from_text(const TypeInfo& type, TimeFormat time, std::string_view text, bool secret, void* value,
                        const Spot& spot) {
  switch (type.kind) {
    case Kind::boolean:
      if (text != "true" && text != "false") return expected(spot, "true or false", quoted(text, secret));
      *static_cast<bool*>(value) = text == "true";
      return {};
    case Kind::int32:
    case Kind::int64: {
      auto n = parse_int(text);
      if (!n.ok()) return expected(spot, "an integer", quoted(text, secret));
      return integer_in_range(type, *n, value, spot);
    }
    case Kind::float64: {
      auto d = parse_double(text);
      if (!d.ok()) return expected(spot, "a number", quoted(text, secret));
      *static_cast<double*>(value) = *d;
      return {};
    }
    case Kind::string:
      if (!valid_utf8(text)) return expected(spot, "UTF-8", "other bytes");
      *static_cast<std::string*>(value) = text;
      return {};
    case Kind::blob: {
      auto bytes = unbase64(text);
      if (!bytes.ok()) return expected(spot, "base64", quoted(text, secret));
      static_cast<Blob*>(value)->bytes = std::move(*bytes);
      return {};
    }
    case Kind::timestamp: {
      auto t = time == TimeFormat::http_date ? parse_http_date(text) : parse_iso8601(text);
      if (!t.ok()) {
        auto seconds = parse_double(text);
        if (!seconds.ok())
          return expected(spot,
                          time == TimeFormat::http_date ? "a date like Sun, 22 Nov 2026 07:49:25 GMT"
                                                        : "a time like 2026-11-22T07:49:25Z",
                          quoted(text, secret));
        t = from_epoch(*seconds, spot);
        if (!t.ok()) return t.error();
      }
      static_cast<Timestamp*>(value)->us = *t;
      return {};
    }
    default:
      break;
  }
  return expected(spot, "no value, as the member has no text form", "one");  // documents in XML or a query
}

std::string scalar_to_text(const TypeInfo& type, TimeFormat time, const void* value) {
  switch (type.kind) {
    case Kind::boolean:
      return *static_cast<const bool*>(value) ? "true" : "false";
    case Kind::int32:
      return std::to_string(*static_cast<const int32_t*>(value));
    case Kind::int64:
      return std::to_string(*static_cast<const int64_t*>(value));
    case Kind::float64: {
      std::string out;
      write_json_number(out, *static_cast<const double*>(value));
      return out;
    }
    case Kind::string:
      return *static_cast<const std::string*>(value);
    case Kind::blob:
      return base64(static_cast<const Blob*>(value)->bytes);
    case Kind::timestamp: {
      Micros t = static_cast<const Timestamp*>(value)->us;
      if (time == TimeFormat::http_date) return http_date(t);
      return time == TimeFormat::epoch ? epoch_text(t) : iso8601_millis(t);
    }
    default:
      break;
  }
  check(false, "a member of this type has no text form");
  return {};
}

Status check_rules(const Field& field, const TypeInfo& type, const void* value, const Spot& spot, bool element) {
  switch (type.kind) {
    case Kind::int32:
      return in_range(field, *static_cast<const int32_t*>(value), spot);
    case Kind::int64:
      return in_range(field, static_cast<double>(*static_cast<const int64_t*>(value)), spot);
    case Kind::float64:
      return in_range(field, *static_cast<const double*>(value), spot);
    case Kind::string: {
      const auto& text = *static_cast<const std::string*>(value);
      if (!element) TRY(in_length(field, characters(text), "characters", spot));
      return allowed_text(field, text, spot);
    }
    case Kind::blob:
      return element
                 ? Status()
                 : in_length(field, static_cast<int64_t>(static_cast<const Blob*>(value)->bytes.size()), "bytes", spot);
    case Kind::list:
    case Kind::map: {
      if (!element) TRY(in_length(field, static_cast<int64_t>(type.size(value)), "elements", spot));
      if (field.values.empty() && !field.regex && !field.min && !field.max) return {};
      Status all;
      int64_t i = 0;
      type.each(value, [&](const std::string& key, const void* e) {
        Spot at{&spot, key, type.kind == Kind::list ? i++ : -1};
        if (all.ok()) all = check_rules(field, *type.element, e, at, true);
      });
      return all;
    }
    default:
      return {};
  }
}

Status Given::note(size_t field, const Spot& spot) {
  if (seen_[field]) return expected(spot, "it once", "it twice");
  seen_[field] = true;
  return {};
}

Status Given::finish(const Spot& spot) const {
  size_t present = 0;
  std::string names;
  for (size_t i = 0; i < seen_.size(); ++i) {
    const Field& f = shape_.fields[i];
    present += seen_[i];
    if (shape_.is_union && f.type) names += (names.empty() ? "" : ", ") + f.name;
    if (f.is_required && !seen_[i]) {
      Spot at{&spot, f.name};
      return expected(at, std::string(kind_text(f.type->kind)) + " (the member is required)", "nothing");
    }
  }
  if (shape_.is_union && present != 1)
    return expected(spot, "exactly one of " + names, present == 0 ? "none" : "more than one");
  return {};
}

Error unknown_member(const Shape& shape, std::string_view name, const Spot& spot) {
  Spot at{&spot, name};
  std::string list;
  size_t shown = 0;
  for (const Field& f : shape.fields)
    if (f.type && f.where == Where::body && shown++ < 24) list += (list.empty() ? "" : ", ") + f.name;
  return expected(at,
                  list.empty() ? "no members at all" : "only known members (" + list + (shown > 24 ? ", ...)" : ")"),
                  "an unknown one");
}

Error refused_member(const Field& field, const Spot& spot) {
  Spot at{&spot, field.name};
  return fail(Code::invalid, kRefused, at.text() + ": expected nothing, found a value: " + field.refused_because);
}

}  // namespace hf::wire
