// Path templates of the rest protocols: "/model/{modelId}/converse", "/{Bucket}/{Key+}". The path is split on raw '/'
// and only then decoded, so an encoded slash in a label is part of the label. A raw ':' is allowed anywhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hf::wire {

using Pairs = std::vector<std::pair<std::string, std::string>>;

class PathTemplate {
 public:
  // Our own tables: a template that cannot be is a check. At most 16 segments; {Name+} only as the last.
  explicit PathTemplate(std::string_view text);

  // Labels as sent (still encoded), or nothing where it does not match: names point into the template, values into
  // path. A label takes one segment that is not empty, a greedy one the whole rest, slashes included, that is not
  // empty. `slash`: a trailing '/' more or less is allowed (never for a greedy end).
  std::optional<std::vector<std::pair<std::string_view, std::string_view>>> match(std::string_view path,
                                                                                  bool slash) const;
  int literals() const { return literals_; }  // segments that are not labels: the more, the more specific
  const std::string& text() const { return text_; }

 private:
  struct Segment {
    std::string text;  // literal, or the label's name
    bool label = false, greedy = false;
  };
  std::string text_;
  std::vector<Segment> segments_;
  bool trailing_slash_ = false;
  int literals_ = 0;
};

// Percent-decodes, checks UTF-8. `name` goes into the error.
Result<std::string> decode_label(std::string_view raw, std::string_view name);
// "a=b&c&d=%20" -> pairs, decoded; '+' stays '+' unless form. At most `limit` parameters.
Result<Pairs> decode_query(std::string_view query, bool form, size_t limit = 10'000);

}  // namespace hf::wire
