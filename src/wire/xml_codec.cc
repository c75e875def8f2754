// XML bodies of rest-xml and of aws-query's answers, over pugixml (which expands no entity but the predefined ones and
// character references).
#include <cstring>
#include <pugixml.hpp>

#include "base/bytes.h"
#include "wire/codec.h"
#include "wire/scalar.h"
#include "wire/xml_value.h"

namespace hf::wire {
namespace {

using pugi::xml_node;

Error malformed(const std::string& what) { return fail(Code::invalid, kMalformed, "expected XML, but " + what); }

// pugixml lets through what is no XML: unknown entities, control characters. The text outside of CDATA and comments is
// looked at here, before.
Status check_text(std::string_view body) {
  if (!valid_utf8(body)) return malformed("it is not UTF-8");
  for (size_t i = 0; i < body.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(body[i]);
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
      return malformed("byte " + std::to_string(i) + " is a control character");
    if (c == '<') {
      auto rest = body.substr(i);
      if (rest.starts_with("<!DOCTYPE") || rest.starts_with("<!ENTITY"))
        return malformed("it has a DTD, which is refused");
      for (auto [open, close] : {std::pair<std::string_view, std::string_view>{"<![CDATA[", "]]>"}, {"<!--", "-->"}}) {
        if (!rest.starts_with(open)) continue;
        size_t end = body.find(close, i + open.size());
        if (end == body.npos)
          return malformed("a '" + std::string(open) + "' at byte " + std::to_string(i) + " does not end");
        i = end + close.size() - 1;
        break;
      }
    }
    if (c != '&') continue;
    size_t end = body.substr(i, 12).find(';');
    std::string_view name = end == body.npos ? "" : body.substr(i + 1, end - 1);
    bool known = name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos";
    if (name.size() >= 2 && name[0] == '#') {
      bool hexadecimal = name[1] == 'x';
      auto digits = name.substr(hexadecimal ? 2 : 1);
      uint32_t code = 0;
      known = !digits.empty();
      for (char d : digits) {
        int v = d >= '0' && d <= '9'                                ? d - '0'
                : hexadecimal && (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10
                                                                    : -1;
        if (v < 0 || code > 0x10ffff) known = false;
        code = code * (hexadecimal ? 16 : 10) + static_cast<uint32_t>(v < 0 ? 0 : v);
      }
      if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) known = false;
    }
    if (!known) return malformed("the entity at byte " + std::to_string(i) + " is not one of XML's own");
  }
  return {};
}

Status check_depth(const xml_node& root) {
  int depth = 0;
  for (xml_node n = root; n;) {
    if (depth > kMaxDepth) return malformed("it is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    if (n.first_child()) {
      n = n.first_child();
      ++depth;
      continue;
    }
    while (n != root && !n.next_sibling()) {
      n = n.parent();
      --depth;
    }
    if (n == root) break;
    n = n.next_sibling();
  }
  return {};
}

Result<xml_node> parse(std::string_view body, pugi::xml_document& document) {
  TRY(check_text(body));
  auto parsed = document.load_buffer(body.data(), body.size(),
                                     pugi::parse_default | pugi::parse_ws_pcdata_single | pugi::parse_doctype,
                                     pugi::encoding_utf8);
  if (!parsed) return malformed("near byte " + std::to_string(parsed.offset) + ": " + parsed.description());
  xml_node root;
  for (xml_node n : document.children()) {
    if (n.type() == pugi::node_doctype) return malformed("it has a DTD, which is refused");
    if (n.type() != pugi::node_element) continue;
    if (root) return malformed("it has more than one document element");
    root = n;
  }
  if (!root) return malformed("it has no element");
  TRY(check_depth(root));
  return root;
}

Result<std::string> text_of(const xml_node& node, const Spot& spot) {
  std::string out;
  for (xml_node n : node.children()) {
    if (n.type() == pugi::node_pcdata || n.type() == pugi::node_cdata) {
      out += n.value();
    } else if (n.type() == pugi::node_element) {
      return expected(spot, "text", "the element <" + std::string(n.name()).substr(0, 40) + ">");
    }
  }
  return out;
}

Status decode_structure(const Shape& shape, const xml_node& node, void* out, Given& given, const Spot& spot);

Status decode_value(const Field& f, const TypeInfo& type, const xml_node& node, void* out, const Spot& spot) {
  switch (type.kind) {
    case Kind::structure: {
      const Shape& shape = type.shape();
      Given given(shape);
      TRY(decode_structure(shape, node, out, given, spot));
      return given.finish(spot);
    }
    case Kind::list: {
      std::string item = f.list_member.empty() ? "member" : f.list_member;
      int64_t i = 0;
      for (xml_node n : node.children()) {
        if (n.type() == pugi::node_pcdata && trim(n.value()).empty()) continue;
        if (n.type() == pugi::node_comment) continue;
        Spot at{&spot, {}, i++};
        if (local_name(n.name()) != item)
          return expected(at, "<" + item + ">", "<" + std::string(n.name()).substr(0, 40) + ">");
        void* slot = type.append(out);
        TRY(decode_value(f, *type.element, n, type.element->emplace(slot), at));
      }
      return {};
    }
    case Kind::map: {
      for (xml_node n : node.children("entry")) {
        std::string key = TRY(text_of(n.child("key"), spot));
        Spot at{&spot, key};
        void* slot = type.insert(out, key);
        TRY(decode_value(f, *type.element, n.child("value"), type.element->emplace(slot), at));
      }
      return {};
    }
    default: {
      TimeFormat time = f.time == TimeFormat::protocol_default ? TimeFormat::iso8601 : f.time;
      std::string text = TRY(text_of(node, spot));
      bool keep = type.kind == Kind::string;
      return scalar_from_text(type, time, keep ? std::string_view(text) : trim(text), f.is_secret, out, spot);
    }
  }
}

bool is_default(const xml_node& node) {
  if (!node.first_child()) return true;
  for (xml_node n : node.children())
    if (n.type() != pugi::node_pcdata || (!trim(n.value()).empty() && trim(n.value()) != "false")) return false;
  return true;
}

Status decode_attributes(const Shape& shape, const xml_node& node, void* out, Given& given, const Spot& spot) {
  for (auto a : node.attributes()) {
    std::string_view name = a.name();
    if (name == "xmlns" || name.starts_with("xmlns:") || name == "xsi:schemaLocation") continue;
    size_t i = 0;
    while (i < shape.fields.size() &&
           (!shape.fields[i].is_attribute || local_name(xml_name(shape.fields[i])) != local_name(name)))
      ++i;
    if (i == shape.fields.size()) return unknown_member(shape, name, spot);
    const Field& f = shape.fields[i];
    Spot at{&spot, f.name};
    TRY(given.note(i, at));
    void* slot = f.type->emplace(member_of(f, out));
    TRY(scalar_from_text(*f.type, TimeFormat::iso8601, a.value(), f.is_secret, slot, at));
    TRY(check_rules(f, *f.type, slot, at));
  }
  return {};
}

Status decode_structure(const Shape& shape, const xml_node& node, void* out, Given& given, const Spot& spot) {
  TRY(decode_attributes(shape, node, out, given, spot));
  std::vector<bool> started(shape.fields.size());
  for (xml_node n : node.children()) {
    if (n.type() == pugi::node_comment || n.type() == pugi::node_pi) continue;
    if (n.type() != pugi::node_element) {
      if (trim(n.value()).empty()) continue;
      return expected(spot, "elements", "text between them");
    }
    std::string_view name = local_name(n.name());
    size_t i = 0;
    while (i < shape.fields.size() && (shape.fields[i].where != Where::body || shape.fields[i].is_attribute ||
                                       local_name(xml_name(shape.fields[i])) != name))
      ++i;
    if (i == shape.fields.size()) return unknown_member(shape, name, spot);
    const Field& f = shape.fields[i];
    if (!f.type) {
      if (f.unless_default && is_default(n)) continue;
      return refused_member(f, spot);
    }
    Spot at{&spot, f.name};
    if (f.is_flattened && f.type->kind == Kind::list) {
      if (!started[i]) TRY(given.note(i, at));
      void* list = started[i] ? const_cast<void*>(f.type->get(member_of(f, out))) : f.type->emplace(member_of(f, out));
      started[i] = true;
      Spot item{&at, {}, static_cast<int64_t>(f.type->size(list))};
      void* slot = f.type->append(list);
      TRY(decode_value(f, *f.type->element, n, f.type->element->emplace(slot), item));
      continue;
    }
    TRY(given.note(i, at));
    void* slot = f.type->emplace(member_of(f, out));
    TRY(decode_value(f, *f.type, n, slot, at));
    TRY(check_rules(f, *f.type, slot, at));
  }
  for (size_t i = 0; i < started.size(); ++i) {
    if (!started[i]) continue;
    const Field& f = shape.fields[i];
    Spot at{&spot, f.name};
    TRY(check_rules(f, *f.type, value_of(f, out), at));
  }
  return {};
}

// ---- out
void encode_value(const Field& f, const TypeInfo& type, std::string_view name, const void* v, std::string& out) {
  auto element = [&](std::string_view text) {
    out += '<';
    out += name;
    out += '>';
    out += text;
    out += "</";
    out += name;
    out += '>';
  };
  switch (type.kind) {
    case Kind::structure:
      return encode_xml_element(type.shape(), name, f.xml_namespace, v, out);
    case Kind::list: {
      std::string inner, item = f.is_flattened ? std::string(name) : f.list_member.empty() ? "member" : f.list_member;
      type.each(v, [&](const std::string&, const void* e) {
        if (type.element->present(e)) encode_value(f, *type.element, item, type.element->get(e), inner);
      });
      if (f.is_flattened) {
        out += inner;
      } else {
        element(inner);
      }
      return;
    }
    case Kind::map: {
      std::string inner;
      type.each(v, [&](const std::string& key, const void* e) {
        inner += "<entry><key>" + xml_escape(key) + "</key>";
        encode_value(f, *type.element, "value", type.element->get(e), inner);
        inner += "</entry>";
      });
      return element(inner);
    }
    default: {
      TimeFormat time = f.time == TimeFormat::protocol_default ? TimeFormat::iso8601 : f.time;
      return element(xml_escape(scalar_to_text(type, time, v)));
    }
  }
}

}  // namespace

std::string xml_escape(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '\n':
      case '\t':
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {  // a raw \r would be read as \n
          out += "&#x";
          if (c >= 0x10) out += kDigits[c >> 4];
          out += kDigits[c & 15];
          out += ';';
        } else {
          out += c;
        }
    }
  }
  return out;
}

void encode_xml_members(const Shape& shape, const void* in, std::string& out) {
  for (const Field& f : shape.fields) {
    if (!f.type || f.where != Where::body || f.is_attribute) continue;
    if (const void* v = value_of(f, in)) encode_value(f, *f.type, xml_name(f), v, out);
  }
}

void encode_xml_element(const Shape& shape, std::string_view name, std::string_view xml_namespace, const void* in,
                        std::string& out) {
  out += '<';
  out += name;
  if (!xml_namespace.empty()) out += " xmlns=\"" + xml_escape(xml_namespace) + "\"";
  for (const Field& f : shape.fields) {
    if (!f.type || !f.is_attribute) continue;
    const void* v = value_of(f, in);
    if (!v) continue;
    std::string attribute = xml_name(f);
    if (attribute.starts_with("xsi:")) out += " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    out += ' ' + attribute + "=\"" + xml_escape(scalar_to_text(*f.type, TimeFormat::iso8601, v)) + '"';
  }
  out += '>';
  encode_xml_members(shape, in, out);
  out += "</";
  out += name;
  out += '>';
}

void encode_xml(const Shape& shape, std::string_view root, std::string_view xml_namespace, const void* in,
                std::string& out) {
  out += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  encode_xml_element(shape, root, xml_namespace, in, out);
}

Status decode_xml(const Shape& shape, std::string_view root, std::string_view body, void* out) {
  pugi::xml_document document;
  xml_node node = TRY(parse(body, document));
  if (!root.empty() && local_name(node.name()) != root)
    return malformed("its element is <" + std::string(node.name()).substr(0, 40) + ">, not <" + std::string(root) +
                     ">");
  Given given(shape);
  Spot top;
  TRY(decode_structure(shape, node, out, given, top));
  return given.finish(top);
}

Status decode_xml_members(const Shape& shape, std::string_view body, void* out, Given& given) {
  pugi::xml_document document;
  xml_node node = TRY(parse(body, document));
  return decode_structure(shape, node, out, given, Spot{});
}

}  // namespace hf::wire
