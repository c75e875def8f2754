// Fields: how a request or response struct is described, once, for every protocol. A struct lists its members:
//
//   struct CreateBucketRequest {
//     std::string bucket;
//     std::optional<Configuration> configuration;
//     static void fields(wire::Fields<CreateBucketRequest>& f) {
//       f("Bucket", &CreateBucketRequest::bucket).path().required().length(3, 63);
//       f("CreateBucketConfiguration", &CreateBucketRequest::configuration).payload();
//       f.refused("ObjectLockEnabledForBucket", "object lock is not
//       offered").header("x-amz-bucket-object-lock-enabled");
//     }
//   };
//
// and decoding, validation, encoding, redaction, the coverage page and the fuzz target follow. Member types: bool,
// int32_t, int64_t, double, std::string, Timestamp, Blob, Document, a struct with fields(), std::vector<T>,
// std::map<std::string, T>, std::optional<T> (absent if not sent), wire::Body (a streaming payload).
// A member that is neither listed nor refused is refused by name: nothing is ignored in silence. So are parameters of
// the query that are no member, and x-amz-* of S3 (api/strict.h); other headers (user-agent, ...) are outside of this.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/text.h"

namespace re2 {
class RE2;
}

namespace hf::wire {

struct Timestamp {
  Micros us = 0;
};
struct Blob {
  std::string bytes;
};
using Document = boost::json::value;

// A payload that is not held in memory. In a request: read() gives decoded bytes, and the error of a wrong hash,
// signature, chunk or checksum at the latest in place of the end (0), so nothing is committed before the end was read.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual Result<size_t> read(std::span<char> out) = 0;
  // Headers that came after the body (aws-chunked: x-amz-checksum-*), verified; complete once read() has returned 0.
  virtual const std::vector<std::pair<std::string, std::string>>& trailers() const;
};
struct Body {
  std::shared_ptr<BodySource> source;
  int64_t length = -1;  // decoded length if known
};

enum class Kind { boolean, int32, int64, float64, string, timestamp, blob, document, list, map, structure, body };
enum class Where { body, header, prefix_headers, query, path, payload, status };
enum class TimeFormat { protocol_default, iso8601, http_date, epoch };

struct Shape;

// What a member's type can do, without its name: one static table a type, made by the templates below.
struct TypeInfo {
  Kind kind;
  bool optional = false;              // std::optional<...>
  const TypeInfo* element = nullptr;  // of list and map
  const Shape& (*shape)() = nullptr;  // of structure
  // Access through a pointer to the member. present: an optional that holds a value (true for others).
  bool (*present)(const void*) = nullptr;
  void* (*emplace)(void*) = nullptr;          // makes an optional hold a value; returns the value's address
  const void* (*get)(const void*) = nullptr;  // the value's address
  // list / map
  size_t (*size)(const void*) = nullptr;
  void* (*append)(void*) = nullptr;                      // list: a new last element
  void* (*insert)(void*, const std::string&) = nullptr;  // map: the key's element
  void (*each)(const void*, const std::function<void(const std::string& key, const void* element)>&) = nullptr;
};

struct Field {
  std::string name;  // AWS's member name
  Where where = Where::body;
  std::string location;            // header, query or XML name where it differs from `name`
  const TypeInfo* type = nullptr;  // nullptr: refused
  void* (*at)(void* object, const void* member) = nullptr;
  std::vector<char> member;  // the pointer to member, as bytes, for `at`
  bool is_required = false, is_secret = false, is_flattened = false, is_attribute = false;
  std::optional<double> min, max;                 // range of numbers
  std::optional<int64_t> min_length, max_length;  // characters of strings, elements of lists and maps
  std::vector<std::string> values;                // enum
  std::shared_ptr<const re2::RE2> regex;          // of pattern(), compiled once
  std::string pattern_text;                       // RE2 syntax, whole value
  std::string refused_because;
  bool unless_default = true;  // refused: "", {}, [], false and null are let through
  std::string list_member;     // XML element of a list's items ("member" by default)
  std::string xml_namespace;
  TimeFormat time = TimeFormat::protocol_default;

  Field& required() { return is_required = true, *this; }
  Field& secret() { return is_secret = true, *this; }
  Field& header(std::string n) { return where = Where::header, location = std::move(n), *this; }
  Field& prefix_headers(std::string n) { return where = Where::prefix_headers, location = std::move(n), *this; }
  Field& query(std::string n) { return where = Where::query, location = std::move(n), *this; }
  Field& path() { return where = Where::path, *this; }
  Field& payload() { return where = Where::payload, *this; }
  Field& status() { return where = Where::status, *this; }
  Field& xml(std::string n) { return location = std::move(n), *this; }
  Field& attribute() { return is_attribute = true, *this; }
  Field& flattened() { return is_flattened = true, *this; }
  Field& items(std::string n) { return list_member = std::move(n), *this; }
  Field& ns(std::string n) { return xml_namespace = std::move(n), *this; }
  // Of a list or map: length() counts its elements; range(), pattern() and one_of() are rules for each element.
  Field& length(int64_t lo, int64_t hi) { return min_length = lo, max_length = hi, *this; }
  Field& range(double lo, double hi) { return min = lo, max = hi, *this; }
  Field& pattern(std::string p);  // RE2 syntax, linear time; must compile (a check)
  Field& one_of(std::initializer_list<const char*> v) { return values.assign(v.begin(), v.end()), *this; }
  Field& time_format(TimeFormat f) { return time = f, *this; }
  Field& even_default() { return unless_default = false, *this; }
};

struct Shape {
  std::vector<Field> fields;
  bool is_union = false;  // exactly one member
  std::string xml_root;   // element name of a document (default: the operation's or member's)
};

template <class T>
const TypeInfo* type_info();  // wire/fields_impl.h
template <class T>
const Shape& shape_of();

template <class T>
class Fields {
 public:
  explicit Fields(Shape& shape) : shape_(shape) {}
  template <class M>
  Field& operator()(std::string name, M T::*member) {
    Field f;
    f.name = std::move(name);
    f.type = type_info<M>();
    f.at = [](void* object, const void* bytes) -> void* {
      M T::*m;
      __builtin_memcpy(&m, bytes, sizeof m);
      return &(static_cast<T*>(object)->*m);
    };
    f.member.resize(sizeof member);
    __builtin_memcpy(f.member.data(), &member, sizeof member);
    return shape_.fields.emplace_back(std::move(f));
  }
  // A member of AWS's that we do not honour: sending it is an error that names it and says why. Sending its empty or
  // default form ("", {}, [], false, null) is allowed unless even_default() is added.
  Field& refused(std::string name, std::string why) {
    Field f;
    f.name = std::move(name);
    f.refused_because = std::move(why);
    return shape_.fields.emplace_back(std::move(f));
  }
  void is_union() { shape_.is_union = true; }
  void root(std::string name) { shape_.xml_root = std::move(name); }

 private:
  Shape& shape_;
};

template <class T>
const Shape& shape_of() {
  static const Shape shape = [] {
    Shape s;
    Fields<T> f(s);
    T::fields(f);
    return s;
  }();
  return shape;
}

}  // namespace hf::wire

#include "wire/fields_impl.h"
