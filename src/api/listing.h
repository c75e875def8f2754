// Lists with filters, an order and pages, over what fits in memory: an account's jobs, models, endpoints.
#pragma once

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/call.h"
#include "base/bytes.h"

namespace hf::api {

// A text that sorts as the time does.
inline std::string time_key(Micros t) {
  char text[24];
  std::snprintf(text, sizeof text, "%020lld", static_cast<long long>(t));
  return text;
}

// key(item): what to sort by, unique (end it with the name). A token is the last key of the page before, so pages do
// not shift when items come and go. Returns the token of the next page, or nothing; `items` becomes the page.
template <class T, class Key>
Result<std::optional<std::string>> take_page(std::vector<T>& items, Key key, bool descending, int64_t limit,
                                             const std::optional<std::string>& token) {
  std::vector<std::pair<std::string, T>> keyed;
  for (T& item : items) {
    std::string k = key(item);
    keyed.emplace_back(std::move(k), std::move(item));
  }
  auto before = [descending](const std::string& a, const std::string& b) { return descending ? a > b : a < b; };
  std::sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) { return before(a.first, b.first); });
  auto at = keyed.begin();
  if (token) {
    auto last = unhex(*token);
    if (!last.ok())
      return fail(Code::invalid, "ValidationException", "NextToken: expected one that this operation gave");
    at = std::find_if(keyed.begin(), keyed.end(), [&](const auto& e) { return before(*last, e.first); });
  }
  items.clear();
  std::optional<std::string> next;
  for (; at != keyed.end(); ++at) {
    if (static_cast<int64_t>(items.size()) == limit) {
      next = hex((at - 1)->first);
      break;
    }
    items.push_back(std::move(at->second));
  }
  return next;
}

inline bool within(Micros t, const std::optional<Micros>& after, const std::optional<Micros>& before) {
  return (!after || t > *after) && (!before || t < *before);
}

}  // namespace hf::api
