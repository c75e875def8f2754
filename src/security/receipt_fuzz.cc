// What parses as a receipt, or as a head, is written again as the same canonical bytes, and no key signed it.
#include <cstdlib>

#include "security/evidence.h"
#include "security/receipt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hf::security;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto receipt = receipt_from_json(text); receipt.ok()) {
    std::string once = to_json(*receipt);
    auto again = receipt_from_json(once);
    if (!again.ok() || to_json(*again) != once) std::abort();
    if (verify_receipt(*receipt, std::string(32, 'k'))) std::abort();
  }
  if (auto head = head_from_json(text); head.ok()) {
    auto again = head_from_json(head_json("site", *head));
    if (!again.ok() || again->root != head->root || again->size != head->size) std::abort();
  }
  return 0;
}
