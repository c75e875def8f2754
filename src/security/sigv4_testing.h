// What the tests of SigV4 share: a request as data, and every way to change one signed byte of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/bytes.h"
#include "security/sigv4.h"

namespace hf::security::testing {

struct Request {
  std::string method, path, query, authority;
  HeaderList headers;
  std::string body;
  std::string known_key;   // "": any; else another access key id has no secret, as at the gate
  bool whole_body = true;  // false: the capture kept its start only, so its hash cannot be compared
  SignedParts parts() const { return {method, path, query, authority, &headers}; }
};

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Vectors that others published lie outside of the project.
inline std::string shared_folder() {
  const char* set = std::getenv("HOLDFAST_SHARED");
  return set ? set : std::string(HF_SOURCE_DIR) + "/../shared";
}

inline std::string text(const boost::json::value& v) {
  return std::string(v.as_string().c_str(), v.as_string().size());
}

inline boost::json::value own_vectors() {
  return boost::json::parse(read_file(std::string(HF_SOURCE_DIR) + "/tests/sigv4_vectors.json"));
}

inline Request own_request(const boost::json::value& v) {
  Request r{text(v.at("method")), text(v.at("path")), text(v.at("query")), text(v.at("authority")), {}, {}, {}, true};
  for (const auto& h : v.at("headers").as_array()) r.headers.emplace_back(text(h.at(0)), text(h.at(1)));
  r.body = *unhex(text(v.at("body")));
  return r;
}

// Parses and verifies as the gate does: `now` 0 stands for the request's own date; the body's hash is always compared.
inline Status check_request(const Request& r, const std::string& secret, Micros now = 0, bool normalize = false) {
  auto claim = parse_claim(r.parts());
  if (!claim.ok()) return claim.error();
  if (!r.known_key.empty() && claim->access_key_id != r.known_key)
    return fail(Code::denied, "InvalidAccessKeyId", "unknown key");
  VerifyOptions options;
  options.now = now ? now : *parse_amz_date(claim->amz_date);
  options.normalize_path = normalize;
  bool whole = (claim->mode == PayloadMode::body_hash || claim->mode == PayloadMode::body_hash_absent) && r.whole_body;
  return verify(r.parts(), *claim, crypto::Secret(secret), whole ? crypto::sha256_hex(r.body) : "", options);
}

// Calls `refused` with each request that differs in one signed byte; returns how many there were.
inline int for_each_change(const Request& original,
                           const std::function<void(const Request&, const std::string&)>& refused) {
  int count = 0;
  auto claim = parse_claim(original.parts());
  if (!claim.ok()) return 0;
  auto change = [&](const std::string& what, const std::function<std::string&(Request&)>& field) {
    Request copy = original;
    for (size_t i = 0, n = field(copy).size(); i < n; ++i) {
      Request changed = original;
      changed.known_key = claim->access_key_id;
      char& c = field(changed)[i];
      c = c == 'x' ? 'y' : 'x';
      refused(changed, what + " at " + std::to_string(i));
      ++count;
    }
  };
  change("method", [](Request& r) -> std::string& { return r.method; });
  change("path", [](Request& r) -> std::string& { return r.path; });
  change("query", [](Request& r) -> std::string& { return r.query; });
  change("authority", [](Request& r) -> std::string& { return r.authority; });
  if (original.whole_body && (claim->mode == PayloadMode::body_hash || claim->mode == PayloadMode::body_hash_absent))
    change("body", [](Request& r) -> std::string& { return r.body; });
  for (size_t h = 0; h < original.headers.size(); ++h) {
    const auto& name = original.headers[h].first;
    const auto& set = claim->signed_headers;
    if (std::find(set.begin(), set.end(), name) == set.end() && name != "authorization") continue;
    if (name == "host") continue;  // `authority` stands for it
    change(name, [h](Request& r) -> std::string& { return r.headers[h].second; });
    Request dropped = original;
    dropped.headers.erase(dropped.headers.begin() + static_cast<std::ptrdiff_t>(h));
    refused(dropped, name + " dropped");
    ++count;
  }
  return count;
}

}  // namespace hf::security::testing
