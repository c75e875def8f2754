#include "crypto/password.h"

#include <gtest/gtest.h>

namespace hf::crypto {
namespace {

TEST(Password, OnlyItselfIsVerified) {
  const Secret password("correct horse"), other("correct horsf");
  const std::string a = *hash_password(password, std::string(16, 's')),
                    b = *hash_password(password, std::string(16, 't'));
  EXPECT_TRUE(a.starts_with("$argon2id$v=19$m=65536,t=3,p=1$")) << a;
  EXPECT_NE(a, b);
  EXPECT_TRUE(*verify_password(a, password));
  EXPECT_TRUE(*verify_password(b, password));
  EXPECT_FALSE(*verify_password(a, other));
  EXPECT_FALSE(*verify_password(a, Secret("")));
  for (const std::string& bad : {std::string(), std::string("$argon2id$v=19$m=65536,t=3,p=1$x")})
    EXPECT_EQ(verify_password(bad, password).error().code, Code::corrupt) << bad;
  auto shorter = verify_password(a.substr(0, a.size() - 1), password);
  EXPECT_FALSE(shorter.ok() && *shorter);
}

// RFC 6238, appendix B (SHA-1, eight digits there; the last six are these).
TEST(Password, OneTimeCodesOfTheRfc) {
  const std::string key = "12345678901234567890";
  const std::pair<int64_t, const char*> cases[] = {{59, "287082"},         {1111111109, "081804"},
                                                   {1111111111, "050471"}, {1234567890, "005924"},
                                                   {2000000000, "279037"}, {20000000000, "353130"}};
  for (const auto& [time, code] : cases) EXPECT_EQ(one_time_code(key, time / 30), code) << time;
}

}  // namespace
}  // namespace hf::crypto
