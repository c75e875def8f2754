// What the codecs share: where in the input we are, members as untyped memory, texts of scalars, and the rules of a
// field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/fields.h"

namespace hf::wire {

// A place in the input, as a chain on the stack; only an error turns it into text.
struct Spot {
  const Spot* up = nullptr;
  std::string_view name;
  int64_t index = -1;
  std::string text() const;  // "messages[0].content", "the body" at the top
};

Error expected(const Spot& spot, std::string_view what, std::string_view found);
std::string quoted(std::string_view text, bool secret);  // at most 40 bytes of it, or "another value"

inline void* member_of(const Field& field, void* object) { return field.at(object, field.member.data()); }
inline const void* member_of(const Field& field, const void* object) {
  return field.at(const_cast<void*>(object), field.member.data());
}
// The value of a member that is there, or nullptr for an absent optional.
inline const void* value_of(const Field& field, const void* object) {
  const void* member = member_of(field, object);
  return field.type->present(member) ? field.type->get(member) : nullptr;
}

const char* kind_text(Kind kind);  // "a string", "an integer", ...
std::string xml_name(const Field& field);
std::string_view local_name(std::string_view qualified);

// Text forms, for XML, query, headers and paths. Lists, maps and structures are a check.
Status scalar_from_text(const TypeInfo& type, TimeFormat time, std::string_view text, bool secret, void* value,
                        const Spot& spot);
std::string scalar_to_text(const TypeInfo& type, TimeFormat time, const void* value);
Status integer_in_range(const TypeInfo& type, int64_t number, void* value, const Spot& spot);
Result<Micros> from_epoch(double seconds, const Spot& spot);  // years 1 to 9999
std::string epoch_text(Micros t);                             // 1700000000.123

// length, range, enum and pattern of one value that was decoded.
Status check_rules(const Field& field, const TypeInfo& type, const void* value, const Spot& spot, bool element = false);

// Which members of a structure were given; at the end: required ones, and exactly one of a union.
class Given {
 public:
  explicit Given(const Shape& shape) : shape_(shape), seen_(shape.fields.size()) {}
  Status note(size_t field, const Spot& spot);  // a second time: an error
  Status finish(const Spot& spot) const;

 private:
  const Shape& shape_;
  std::vector<bool> seen_;
};
Error unknown_member(const Shape& shape, std::string_view name, const Spot& spot);
Error refused_member(const Field& field, const Spot& spot);

}  // namespace hf::wire
