// Tokens and key sets of strangers: whatever they are, they are refused or they parse; none verifies.
#include "base/check.h"
#include "security/web_identity.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto keys = hf::security::KeySet::parse(text);
  auto token = hf::security::WebToken::parse(text);
  if (!token.ok()) return 0;
  static const std::string ours = R"({"keys":[{"kty":"OKP","crv":"Ed25519",)"
                                  R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";
  hf::check(!token->verify(*hf::security::KeySet::parse(ours), 1'790'000'000'000'000).ok(), "nobody has signed it");
  return 0;
}
