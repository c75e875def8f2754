// aws-query: a form with dotted names in, XML out.
#include <map>

#include "wire/codec.h"
#include "wire/scalar.h"
#include "wire/xml_value.h"

namespace hf::wire {
namespace {

// The dotted names as a tree. Children are ordered by name; list items are put into the order of their numbers later.
struct Node {
  std::optional<std::string> value;
  std::map<std::string, Node, std::less<>> children;
};

Error malformed(std::string what) { return fail(Code::invalid, kMalformed, std::move(what)); }

Status insert(Node& root, const std::string& name, const std::string& value) {
  Node* node = &root;
  auto parts = split(name, '.');
  if (parts.size() > static_cast<size_t>(kMaxDepth))
    return malformed("expected names of at most " + std::to_string(kMaxDepth) + " parts, found " +
                     std::to_string(parts.size()));
  for (auto part : parts) {
    if (part.empty()) return malformed("expected a name like Foo.member.1, found " + quoted(name, false));
    node = &node->children[std::string(part)];
  }
  if (node->value) return malformed("expected each parameter once, found " + quoted(name, false) + " twice");
  node->value = value;
  return {};
}

Status decode_structure(const Shape& shape, const Node& node, void* out, const Spot& spot);

// The items 1, 2, 3, ... of a list or map.
Result<std::vector<const Node*>> items_of(const Node& node, const Spot& spot) {
  std::map<int64_t, const Node*> ordered;
  for (const auto& [name, child] : node.children) {
    auto number = parse_int(name);
    if (!number.ok() || *number < 1 || *number > 100'000 || std::to_string(*number) != name)
      return expected(spot, "items numbered from 1", quoted(name, false));
    ordered[*number] = &child;
  }
  std::vector<const Node*> items;
  for (const auto& [number, child] : ordered) items.push_back(child);
  return items;
}

Status decode_value(const Field& f, const TypeInfo& type, const Node& node, void* out, const Spot& spot) {
  const bool empty = node.value && node.value->empty() && node.children.empty();  // "Tags=": a list or map of nothing
  switch (type.kind) {
    case Kind::structure:
      return decode_structure(type.shape(), node, out, spot);
    case Kind::list:
    case Kind::map: {
      if (empty) return {};
      if (node.value) return expected(spot, kind_text(type.kind), "a single value");
      const Node* holder = &node;
      if (!f.is_flattened) {
        std::string inner = type.kind == Kind::map ? "entry" : f.list_member.empty() ? "member" : f.list_member;
        auto it = node.children.find(inner);
        if (it == node.children.end() || node.children.size() != 1)
          return expected(spot, "." + inner + ".1 and so on", quoted(node.children.begin()->first, false));
        holder = &it->second;
      }
      int64_t i = 0;
      for (const Node* item : TRY(items_of(*holder, spot))) {
        Spot at{&spot, {}, i++};
        if (type.kind == Kind::list) {
          void* slot = type.append(out);
          TRY(decode_value(f, *type.element, *item, type.element->emplace(slot), at));
          continue;
        }
        auto key = item->children.find("key"), value = item->children.find("value");
        if (key == item->children.end() || !key->second.value || value == item->children.end() ||
            item->children.size() != 2)
          return expected(at, "a key and a value", "something else");
        void* slot = type.insert(out, *key->second.value);
        TRY(decode_value(f, *type.element, value->second, type.element->emplace(slot), at));
      }
      return {};
    }
    default: {
      if (!node.value || !node.children.empty()) return expected(spot, kind_text(type.kind), "members");
      TimeFormat time = f.time == TimeFormat::protocol_default ? TimeFormat::iso8601 : f.time;
      return scalar_from_text(type, time, *node.value, f.is_secret, out, spot);
    }
  }
}

Status decode_structure(const Shape& shape, const Node& node, void* out, const Spot& spot) {
  if (node.value) return expected(spot, "members", "a single value");
  Given given(shape);
  for (const auto& [name, child] : node.children) {
    size_t i = 0;
    while (i < shape.fields.size() && xml_name(shape.fields[i]) != name) ++i;
    if (i == shape.fields.size()) return unknown_member(shape, name, spot);
    const Field& f = shape.fields[i];
    if (!f.type) {
      if (f.unless_default && child.children.empty() && (child.value->empty() || *child.value == "false")) continue;
      return refused_member(f, spot);
    }
    Spot at{&spot, f.name};
    TRY(given.note(i, at));
    void* slot = f.type->emplace(member_of(f, out));
    TRY(decode_value(f, *f.type, child, slot, at));
    TRY(check_rules(f, *f.type, slot, at));
  }
  return given.finish(spot);
}

}  // namespace

Status decode_aws_query(const Shape& shape, const Pairs& pairs, void* out,
                        const std::function<bool(std::string_view)>& skip) {
  Node root;
  for (const auto& [name, value] : pairs) {
    if (name == "Action" || name == "Version" || (skip && skip(name))) continue;
    TRY(insert(root, name, value));
  }
  return decode_structure(shape, root, out, Spot{});
}

std::string encode_aws_query(const Shape* shape, const std::string& operation, const std::string& xml_namespace,
                             const std::string& request_id, const void* in) {
  std::string out = "<" + operation + "Response xmlns=\"" + xml_escape(xml_namespace) + "\">";
  if (shape && !shape->fields.empty()) {
    out += "<" + operation + "Result>";
    encode_xml_members(*shape, in, out);
    out += "</" + operation + "Result>";
  }
  return out + "<ResponseMetadata><RequestId>" + xml_escape(request_id) + "</RequestId></ResponseMetadata></" +
         operation + "Response>";
}

}  // namespace hf::wire
