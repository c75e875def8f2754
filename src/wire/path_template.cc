#include "wire/path_template.h"

#include "base/text.h"
#include "wire/json.h"

namespace hf::wire {

PathTemplate::PathTemplate(std::string_view text) : text_(text) {
  check(!text.empty() && text[0] == '/', "a path template starts with '/'");
  auto parts = split(text.substr(1), '/');
  if (parts.back().empty()) {
    trailing_slash_ = true;
    parts.pop_back();
  }
  check(parts.size() <= 16, "a path template has at most 16 segments");
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string_view p = parts[i];
    check(!p.empty(), "a path template has no empty segment");
    Segment s;
    if (p.front() == '{') {
      check(p.size() > 2 && p.back() == '}', "a label is a whole segment: {name}");
      p = p.substr(1, p.size() - 2);
      s.label = true;
      if (p.back() == '+') {
        check(i + 1 == parts.size() && !trailing_slash_, "a greedy label is the last segment");
        s.greedy = true;
        p.remove_suffix(1);
      }
    } else {
      ++literals_;
    }
    s.text = p;
    segments_.push_back(std::move(s));
  }
}

std::optional<std::vector<std::pair<std::string_view, std::string_view>>> PathTemplate::match(std::string_view path,
                                                                                              bool slash) const {
  if (path.empty() || path[0] != '/') return {};
  path.remove_prefix(1);
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  bool more = !path.empty();  // a segment starts here; path is what is left
  bool ended_in_slash = path.empty();
  for (const Segment& s : segments_) {
    if (!more) return {};
    if (s.greedy) {
      labels.emplace_back(s.text, path);
      return labels;
    }
    size_t end = path.find('/');
    std::string_view part = path.substr(0, end);
    if (s.label ? part.empty() : part != s.text) return {};
    if (s.label) labels.emplace_back(s.text, part);
    ended_in_slash = end != path.npos;
    path.remove_prefix(ended_in_slash ? end + 1 : part.size());
    more = ended_in_slash && !path.empty();
  }
  if (more) return {};
  if (segments_.empty()) return labels;
  if (!slash && ended_in_slash != trailing_slash_) return {};
  return labels;
}

Result<std::string> decode_label(std::string_view raw, std::string_view name) {
  auto decoded = percent_decode(raw);
  if (!decoded.ok() || !valid_utf8(*decoded))
    return fail(Code::invalid,
                std::string(name) + ": expected percent-encoded UTF-8, found something else in the path");
  return decoded;
}

Result<Pairs> decode_query(std::string_view query, bool form, size_t limit) {
  Pairs pairs;
  if (query.empty()) return pairs;
  for (auto part : split(query, '&')) {
    if (part.empty()) continue;
    if (pairs.size() == limit)
      return fail(Code::too_large, "expected at most " + std::to_string(limit) + " parameters");
    size_t equal = part.find('=');
    std::string_view raw_name = part.substr(0, equal), raw_value = equal == part.npos ? "" : part.substr(equal + 1);
    auto name = form ? form_decode(raw_name) : percent_decode(raw_name);
    auto value = form ? form_decode(raw_value) : percent_decode(raw_value);
    if (!name.ok() || !value.ok() || !valid_utf8(*name) || !valid_utf8(*value))
      return fail(
          Code::invalid, kMalformed,
          "expected percent-encoded UTF-8 in parameter " + std::to_string(pairs.size() + 1) + ", found something else");
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

}  // namespace hf::wire
