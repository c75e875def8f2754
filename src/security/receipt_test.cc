#include "security/receipt.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace hf::security {
namespace {

Receipt sample() {
  Receipt r;
  r.id = "rcpt-00112233445566778899aabbccddeeff";
  r.site = "0123456789abcdef";
  r.account = "000000000001";
  r.principal = "arn:aws:iam::000000000001:user/a";
  r.request_id = "r-1";
  r.time = 1'795'333'765'000'000;
  r.model = "triage";
  r.model_digest = std::string(64, 'a');
  r.engine_build = std::string(64, 'b');
  r.isa = "avx2";
  r.sampler = R"({"max_tokens":16,"temperature":0.7})";
  r.seed = 18'446'744'073'709'551'615u;
  r.salt = std::string(16, '\x7f');
  r.input_digest = std::string(32, '\x01');
  r.output_digest = std::string(32, '\xfe');
  r.text_digest = std::string(32, '\x80');
  r.input_tokens = 12;
  r.output_tokens = 3;
  r.stop_reason = "end_turn";
  r.ledger_index = 41;
  return r;
}

TEST(Receipt, SignedRoundTrip) {
  auto key = *crypto::SigningKey::generate();
  Receipt r = sample();
  sign_receipt(r, key);
  EXPECT_TRUE(verify_receipt(r, key.public_raw()));
  std::string json = to_json(r);
  auto back = receipt_from_json(json);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(to_json(*back), json);
  EXPECT_EQ(back->seed, r.seed);
  EXPECT_TRUE(verify_receipt(*back, key.public_raw()));
  EXPECT_FALSE(verify_receipt(*back, crypto::SigningKey::generate()->public_raw()));
}

TEST(Receipt, NoChangedByteVerifies) {
  auto key = *crypto::SigningKey::generate();
  Receipt r = sample();
  sign_receipt(r, key);
  const std::string json = to_json(r);
  int parsed = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    std::string changed = json;
    changed[i] = changed[i] == '0' ? '1' : '0';
    auto back = receipt_from_json(changed);
    if (!back.ok()) continue;
    ++parsed;
    EXPECT_FALSE(verify_receipt(*back, key.public_raw())) << "at " << i;
  }
  EXPECT_GT(parsed, 300);
}

TEST(Receipt, WhatIsNoReceiptIsRefused) {
  std::string json = to_json(sample());
  auto with = [&](const std::string& from, const std::string& to) {
    std::string s = json;
    size_t at = s.find(from);
    check(at != s.npos, "the receipt has this text");
    return receipt_from_json(s.replace(at, from.size(), to)).ok();
  };
  EXPECT_TRUE(with("\"isa\":\"avx2\"", "\"isa\":\"scalar\""));
  EXPECT_FALSE(with("\"isa\":\"avx2\",", ""));
  EXPECT_FALSE(with("\"isa\":\"avx2\"", "\"isa\":2"));
  EXPECT_FALSE(with("\"isa\":\"avx2\"", "\"isa\":\"avx2\",\"isa\":\"avx2\""));
  EXPECT_FALSE(with("\"isa\":", "\"more\":1,\"isa\":"));
  EXPECT_FALSE(with("\"input_tokens\":12", "\"input_tokens\":12.5"));
  EXPECT_FALSE(with("\"input_tokens\":12", "\"input_tokens\":9223372036854775808"));
  EXPECT_FALSE(with("7f7f", "7F7f"));
  EXPECT_FALSE(with("receipt-v1", "receipt-v2"));
  for (const char* bad : {"", "{}", "[]", "{\"type\":\"holdfast-receipt-v1\"}"})
    EXPECT_FALSE(receipt_from_json(bad).ok());
}

}  // namespace
}  // namespace hf::security
