// Lines: method, path, query, authority, then "name:value" headers. Nothing may crash, and nothing that was not signed
// with the secret may verify.
#include <algorithm>
#include <cstdlib>

#include "security/sigv4.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf;
  auto lines = split({reinterpret_cast<const char*>(data), size}, '\n');
  lines.resize(std::max<size_t>(lines.size(), 4));
  security::HeaderList headers;
  for (size_t i = 4; i < lines.size(); ++i) {
    size_t colon = std::min(lines[i].find(':'), lines[i].size());
    headers.emplace_back(lower(lines[i].substr(0, colon)), colon < lines[i].size() ? lines[i].substr(colon + 1) : "");
  }
  security::SignedParts parts{std::string(lines[0]), std::string(lines[1]), std::string(lines[2]),
                              std::string(lines[3]), &headers};
  auto claim = security::parse_claim(parts);
  if (!claim.ok()) return 0;
  security::VerifyOptions options;
  options.now = parse_amz_date(claim->amz_date).value();
  for (bool normalize : {false, true}) {
    options.normalize_path = normalize;
    auto s = security::verify(parts, *claim, crypto::Secret("not in the corpus"), std::string(64, '0'), options);
    if (s.ok()) std::abort();
  }
  return 0;
}
