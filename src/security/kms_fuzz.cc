// Ciphertexts of strangers: whatever they are, they are refused or they parse; none opens.
#include "base/check.h"
#include "os/fake.h"
#include "security/kms_ring.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::security::kms;
  static hf::os::FakeRandom random;
  static const KeyRing ring(hf::crypto::Secret("root"), random);
  static const Key key = [] {
    Key k;
    k.account = "111122223333";
    k.id = "12345678-1234-4234-a234-123456789012";
    k.materials.push_back(std::move(ring.generate(k, 1)).value());
    return k;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto blob = parse_blob(text);
  if (blob.ok()) hf::check(!ring.decrypt(key, *blob, {}).ok(), "nobody has made it");
  hf::check(!ring.open_grant_token(std::string(text)).ok(), "nobody has given it");
  hf::check(!ring.unwrap(key, text, text, 1).ok(), "nobody has given it");
  return 0;
}
