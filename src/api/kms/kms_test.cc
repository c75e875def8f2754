// Keys through the gate: what each operation does, in which state, for whom; and none of it without its entry.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "api/testing.h"
#include "base/bytes.h"
#include "wire/json.h"

namespace hf::api {
namespace {

namespace json = boost::json;
using testing::MemoryExchange;
using testing::Request;

constexpr Micros kDay = 24LL * 3600 * 1'000'000;
const char* const kAnyKms =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}})";

class Kms : public ::testing::Test {
 protected:
  Kms() { gate_ = std::make_unique<Gate>(memory_.site(), all_services()); }

  // A user with this policy; "" : with none.
  void user(const std::string& name, const std::string& policy, const std::string& account = "111122223333") {
    security::Identity who{account, "arn:aws:iam::" + account + ":user/" + name, "AIDA" + name, "AKIA" + name, false,
                           {}};
    if (!policy.empty()) who.policies.push_back(*security::parse_policy(policy, name));
    memory_.keys.access["AKIA" + name] = {who, crypto::Secret("secret")};
  }
  std::shared_ptr<MemoryExchange> call(const std::string& operation, const std::string& body,
                                       const std::string& who = "ADMIN") {
    Request r;
    r.method = "POST";
    r.body = body;
    r.headers = {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "TrentService." + operation}};
    memory_.sign(r, "kms", "AKIA" + who, who == "ADMIN" ? "secret-admin" : "secret");
    return memory_.send(*gate_, r);
  }
  json::object ok(const std::string& operation, const std::string& body, const std::string& who = "ADMIN") {
    auto e = call(operation, body, who);
    EXPECT_EQ(e->status, 200) << operation << " " << body << ": " << e->body;
    auto v = wire::parse_json(e->body);
    return v.ok() && v->is_object() ? v->get_object() : json::object();
  }
  void refused(const std::string& operation, const std::string& body, const std::string& error,
               const std::string& who = "ADMIN") {
    auto e = call(operation, body, who);
    EXPECT_GE(e->status, 400) << operation << " " << body;
    EXPECT_EQ(std::string(e->headers.get("x-amzn-errortype")), error) << operation << " " << body << e->body;
  }
  static std::string text(const json::object& o, const char* name) {
    const json::value* v = o.if_contains(name);
    return v && v->is_string() ? std::string(v->get_string()) : std::string();
  }
  std::string key(const std::string& more = "", const std::string& who = "ADMIN") {
    const json::object made = ok("CreateKey", "{" + more + "}", who);
    return made.contains("KeyMetadata") ? text(made.at("KeyMetadata").as_object(), "KeyId") : "";
  }
  static std::string pair(const std::string& spec, const std::string& usage) {
    return R"("KeySpec":")" + spec + R"(","KeyUsage":")" + usage + "\"";
  }
  static std::string of(const std::string& id, const std::string& more = "") {
    return R"({"KeyId":")" + id + "\"" + (more.empty() ? "" : "," + more) + "}";
  }
  static std::string arn(const std::string& id) { return "arn:aws:kms:site-1:111122223333:key/" + id; }
  std::string state(const std::string& id) {
    return text(ok("DescribeKey", of(id)).at("KeyMetadata").as_object(), "KeyState");
  }
  static std::string b64(const std::string& bytes) { return base64(bytes); }
  std::string sealed(const std::string& id, const std::string& more = "") {
    return text(ok("Encrypt", of(id, R"("Plaintext":"c2VjcmV0")" + more)), "CiphertextBlob");
  }

  testing::MemorySite memory_;
  std::unique_ptr<Gate> gate_;
};

TEST_F(Kms, EncryptsAndDecrypts) {
  const std::string id = key(), other = key();
  const std::string context = R"("EncryptionContext":{"app":"x"})";
  const std::string blob = sealed(id, "," + context);
  const json::object back = ok("Decrypt", R"({"CiphertextBlob":")" + blob + "\"," + context + "}");
  EXPECT_EQ(text(back, "Plaintext"), "c2VjcmV0");
  EXPECT_EQ(text(back, "KeyId"), arn(id));
  refused("Decrypt", R"({"CiphertextBlob":")" + blob + "\"}", "InvalidCiphertextException");
  refused("Decrypt", R"({"CiphertextBlob":")" + blob + "\"," + context + R"(,"KeyId":")" + other + "\"}",
          "IncorrectKeyException");
  refused("Decrypt", R"({"CiphertextBlob":"bm90aGluZw=="})", "InvalidCiphertextException");
  refused("Decrypt", R"({"CiphertextBlob":")" + blob + "\"," + context + R"(,"DryRun":true})",
          "DryRunOperationException");
  refused("Encrypt", of(id, R"("Plaintext":"")"), "ValidationException");
  refused("Encrypt", of(id, R"("Plaintext":")" + b64(std::string(4097, 'x')) + "\""), "ValidationException");
  EXPECT_EQ(call("Encrypt", of(id, R"("Plaintext":")" + b64(std::string(4096, 'x')) + "\""))->status, 200);
  refused("Encrypt", of(id, R"("Plaintext":"eA==","EncryptionContext":{"A":"1","a":"2"})"), "ValidationException");
  refused("Encrypt", of(id, R"("Plaintext":"eA==","EncryptionAlgorithm":"RSAES_OAEP_SHA_256")"),
          "InvalidKeyUsageException");
  refused("Decrypt",
          R"({"CiphertextBlob":")" + blob + R"(","Recipient":{"KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256"}})",
          "ValidationException");
  const json::object again = ok("ReEncrypt", R"({"CiphertextBlob":")" + blob +
                                                 R"(","SourceEncryptionContext":{"app":"x"},"DestinationKeyId":")" +
                                                 other + R"(","DestinationEncryptionContext":{"app":"y"}})");
  EXPECT_EQ(text(again, "SourceKeyId"), arn(id));
  const json::object moved =
      ok("Decrypt", R"({"CiphertextBlob":")" + text(again, "CiphertextBlob") + R"(","EncryptionContext":{"app":"y"}})");
  EXPECT_EQ(text(moved, "KeyId"), arn(other));
  EXPECT_EQ(text(moved, "Plaintext"), "c2VjcmV0");
}

TEST_F(Kms, MakesDataKeys) {
  const std::string id = key();
  const json::object both = ok("GenerateDataKey", of(id, R"("KeySpec":"AES_256")"));
  EXPECT_EQ(unbase64(text(both, "Plaintext"))->size(), 32u);
  const auto decrypted = [&](const json::object& o, const char* name) {
    return text(ok("Decrypt", R"({"CiphertextBlob":")" + text(o, name) + "\"}"), "Plaintext");
  };
  EXPECT_EQ(decrypted(both, "CiphertextBlob"), text(both, "Plaintext"));
  const json::object one = ok("GenerateDataKeyWithoutPlaintext", of(id, R"("NumberOfBytes":100)"));
  EXPECT_FALSE(one.contains("Plaintext"));
  EXPECT_EQ(unbase64(decrypted(one, "CiphertextBlob"))->size(), 100u);
  refused("GenerateDataKey", of(id), "ValidationException");
  refused("GenerateDataKey", of(id, R"("KeySpec":"AES_256","NumberOfBytes":32)"), "ValidationException");
  for (const char* spec : {"RSA_2048", "ECC_NIST_P256", "ECC_NIST_EDWARDS25519"}) {
    const json::object two = ok("GenerateDataKeyPair", of(id, R"("KeyPairSpec":")" + std::string(spec) + "\""));
    EXPECT_EQ(decrypted(two, "PrivateKeyCiphertextBlob"), text(two, "PrivateKeyPlaintext")) << spec;
    const auto private_key =
        crypto::PrivateKey::from_der(*security::kms::spec_of(spec)->type, *unbase64(text(two, "PrivateKeyPlaintext")));
    ASSERT_TRUE(private_key.ok());
    EXPECT_EQ(base64(private_key->public_der()), text(two, "PublicKey"));
    EXPECT_FALSE(ok("GenerateDataKeyPairWithoutPlaintext", of(id, R"("KeyPairSpec":")" + std::string(spec) + "\""))
                     .contains("PrivateKeyPlaintext"));
  }
  EXPECT_EQ(unbase64(text(ok("GenerateRandom", R"({"NumberOfBytes":7})"), "Plaintext"))->size(), 7u);
}

// "Key states of AWS KMS keys": what each state refuses, and how.
TEST_F(Kms, EachStateRefusesWhatItMust) {
  const std::string id = key(), blob = sealed(id);
  const std::string encrypt = of(id, R"("Plaintext":"eA==")"), decrypt = R"({"CiphertextBlob":")" + blob + "\"}";
  ok("DisableKey", of(id));
  EXPECT_EQ(state(id), "Disabled");
  refused("Encrypt", encrypt, "DisabledException");
  refused("Decrypt", decrypt, "DisabledException");
  refused("EnableKeyRotation", of(id), "DisabledException");
  ok("CreateAlias", R"({"AliasName":"alias/d","TargetKeyId":")" + id + "\"}");
  ok("EnableKey", of(id));
  ok("Decrypt", decrypt);
  refused("CancelKeyDeletion", of(id), "KMSInvalidStateException");
  refused("ScheduleKeyDeletion", of(id, R"("PendingWindowInDays":6)"), "ValidationException");
  ok("ScheduleKeyDeletion", of(id, R"("PendingWindowInDays":7)"));
  EXPECT_EQ(state(id), "PendingDeletion");
  for (const char* operation : {"EnableKey", "DisableKey", "ScheduleKeyDeletion", "EnableKeyRotation",
                                "DisableKeyRotation", "GetKeyRotationStatus", "RotateKeyOnDemand"})
    refused(operation, of(id), "KMSInvalidStateException");
  refused("Encrypt", encrypt, "KMSInvalidStateException");
  refused("Decrypt", decrypt, "KMSInvalidStateException");
  refused("CreateAlias", R"({"AliasName":"alias/e","TargetKeyId":")" + id + "\"}", "KMSInvalidStateException");
  refused("TagResource", of(id, R"("Tags":[{"TagKey":"a","TagValue":"b"}])"), "KMSInvalidStateException");
  ok("GetKeyPolicy", of(id));
  ok("CancelKeyDeletion", of(id));
  EXPECT_EQ(state(id), "Disabled");
  ok("EnableKey", of(id));
  ok("ScheduleKeyDeletion", of(id, R"("PendingWindowInDays":7)"));
  memory_.clock.advance(7 * kDay);
  refused("DescribeKey", of(id), "NotFoundException");
  EXPECT_TRUE(ok("ListKeys", "{}").at("Keys").as_array().empty());
}

TEST_F(Kms, KeysAreNamedInFourWays) {
  const std::string id = key(), other = key();
  ok("CreateAlias", R"({"AliasName":"alias/a/b","TargetKeyId":")" + id + "\"}");
  for (const std::string& name :
       {id, arn(id), std::string("alias/a/b"), std::string("arn:aws:kms:site-1:111122223333:alias/a/b")})
    EXPECT_EQ(text(ok("DescribeKey", of(name)).at("KeyMetadata").as_object(), "Arn"), arn(id)) << name;
  for (const char* name : {"alias/no", "nothing", "12345678-1234-4234-a234-123456789012"})
    refused("DescribeKey", of(name), "NotFoundException");
  refused("DescribeKey", of("arn:aws:kms:elsewhere:111122223333:key/" + id), "InvalidArnException");
  refused("DescribeKey", of("arn:aws:s3:::b"), "InvalidArnException");
  refused("DisableKey", of("alias/a/b"), "NotFoundException");
  refused("CreateAlias", R"({"AliasName":"alias/a/b","TargetKeyId":")" + other + "\"}", "AlreadyExistsException");
  for (const char* name : {"a", "alias/", "alias/aws/x", "alias/a b"})
    refused("CreateAlias", R"({"AliasName":")" + std::string(name) + R"(","TargetKeyId":")" + id + "\"}",
            "InvalidAliasNameException");
  ok("UpdateAlias", R"({"AliasName":"alias/a/b","TargetKeyId":")" + other + "\"}");
  EXPECT_EQ(text(ok("DescribeKey", of("alias/a/b")).at("KeyMetadata").as_object(), "Arn"), arn(other));
  const std::string mac = key(pair("HMAC_256", "GENERATE_VERIFY_MAC"));
  refused("UpdateAlias", R"({"AliasName":"alias/a/b","TargetKeyId":")" + mac + "\"}", "ValidationException");
  EXPECT_EQ(ok("ListAliases", of(other)).at("Aliases").as_array().size(), 1u);
  EXPECT_EQ(ok("ListAliases", of(id)).at("Aliases").as_array().size(), 0u);
  ok("DeleteAlias", R"({"AliasName":"alias/a/b"})");
  refused("DeleteAlias", R"({"AliasName":"alias/a/b"})", "NotFoundException");
}

TEST_F(Kms, ListsComeInPages) {
  std::set<std::string> made, seen;
  for (int i = 0; i < 7; ++i) made.insert(key());
  std::string marker;
  for (int page = 0; page < 10; ++page) {
    const json::object o = ok("ListKeys", R"({"Limit":3)" + marker + "}");
    for (const json::value& k : o.at("Keys").as_array()) seen.insert(text(k.as_object(), "KeyId"));
    if (!o.at("Truncated").as_bool()) break;
    marker = R"(,"Marker":")" + text(o, "NextMarker") + "\"";
  }
  EXPECT_EQ(seen, made);
  refused("ListKeys", R"({"Marker":"?"})", "InvalidMarkerException");
}

// The key's policy rules: without a word of it nobody may, whatever their own policies say.
TEST_F(Kms, TheKeysPolicyRules) {
  user("ann", kAnyKms);
  user("bob", "");
  user("eve", kAnyKms, "444455556666");
  const std::string id = key(), encrypt = of(arn(id), R"("Plaintext":"eA==")");
  ok("Encrypt", encrypt, "ann");  // the default: her account decides
  refused("Encrypt", encrypt, "AccessDeniedException", "bob");
  refused("Encrypt", encrypt, "AccessDeniedException", "eve");
  refused("Encrypt",
          of("arn:aws:kms:site-1:111122223333:key/12345678-1234-4234-a234-123456789012", R"("Plaintext":"eA==")"),
          "AccessDeniedException", "eve");
  const auto policy = [](const std::string& statements) {
    return json::serialize(json::value(R"({"Version":"2012-10-17","Statement":[)" + statements + "]}"));
  };
  const std::string admin =
      R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/admin"},"Action":"kms:*","Resource":"*"})";
  const std::string bob =
      R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"kms:Encrypt","Resource":"*",)"
      R"("Condition":{"StringEquals":{"kms:EncryptionContext:app":"x"}}})";
  const std::string eve =
      R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"kms:Encrypt","Resource":"*"})";
  ok("PutKeyPolicy", of(id, R"("Policy":)" + policy(admin + "," + bob + "," + eve)));
  refused("Encrypt", encrypt, "AccessDeniedException", "ann");  // she is named no more
  refused("Encrypt", encrypt, "AccessDeniedException", "bob");
  ok("Encrypt", of(id, R"("Plaintext":"eA==","EncryptionContext":{"app":"x"})"), "bob");
  ok("Encrypt", encrypt, "eve");
  refused("DescribeKey", of(arn(id)), "AccessDeniedException", "eve");
  const std::string deny = R"({"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*"})";
  ok("PutKeyPolicy", of(id, R"("Policy":)" + policy(admin + "," + bob + "," + deny)));
  refused("Encrypt", of(id, R"("Plaintext":"eA==","EncryptionContext":{"app":"x"})"), "AccessDeniedException", "bob");

  // What would lock the caller out, or does not parse, is not taken.
  refused("PutKeyPolicy", of(id, R"("Policy":)" + policy(bob)), "MalformedPolicyDocumentException");
  ok("PutKeyPolicy", of(id, R"("BypassPolicyLockoutSafetyCheck":true,"Policy":)" + policy(bob)));
  for (
      const std::string& bad :
      {std::string("\"{\""), policy(admin + R"(,{"Effect":"Allow","Action":"kms:*","Resource":"*"})"),
       policy(admin + R"(,{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"})"),
       policy(admin +
              R"(,{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:kms:site-1:1:key/x"})"),
       policy(
           admin +
           R"(,{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"Bool":{"kms:No":"true"}}})")})
    refused("PutKeyPolicy", of(id, R"("Policy":)" + bad), "MalformedPolicyDocumentException");
  EXPECT_EQ(ok("ListKeyPolicies", of(id)).at("PolicyNames").as_array().size(), 1u);
}

TEST_F(Kms, TagsAndSpecsAreToldToPolicies) {
  user("ann", R"({"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}},
    {"Effect":"Allow","Action":"kms:CreateKey","Resource":"*","Condition":{"StringEquals":{"kms:KeySpec":"HMAC_256"}}},
    {"Effect":"Allow","Action":"kms:ScheduleKeyDeletion","Resource":"*",
     "Condition":{"NumericGreaterThanEquals":{"kms:ScheduleKeyDeletionPendingWindowInDays":"20"}}},
    {"Effect":"Allow","Action":"kms:DescribeKey","Resource":"*","Condition":{"StringEquals":{"kms:RequestAlias":"alias/red"}}}
    ]})");
  const std::string red = key(R"("Tags":[{"TagKey":"team","TagValue":"red"}])"), blue = key();
  ok("CreateAlias", R"({"AliasName":"alias/red","TargetKeyId":")" + red + "\"}");
  const auto encrypt = [&](const std::string& id) { return of(id, R"("Plaintext":"eA==")"); };
  ok("Encrypt", encrypt(red), "ann");
  refused("Encrypt", encrypt(blue), "AccessDeniedException", "ann");
  ok("TagResource", of(blue, R"("Tags":[{"TagKey":"team","TagValue":"red"}])"));
  ok("Encrypt", encrypt(blue), "ann");
  ok("UntagResource", of(blue, R"("TagKeys":["team"])"));
  refused("Encrypt", encrypt(blue), "AccessDeniedException", "ann");
  ok("CreateKey", "{" + pair("HMAC_256", "GENERATE_VERIFY_MAC") + "}", "ann");
  refused("CreateKey", "{}", "AccessDeniedException", "ann");
  refused("CreateKey", "{" + pair("HMAC_256", "GENERATE_VERIFY_MAC") + R"(,"Tags":[{"TagKey":"a","TagValue":"b"}]})",
          "AccessDeniedException", "ann");  // tags are a right of their own
  refused("ScheduleKeyDeletion", of(blue, R"("PendingWindowInDays":7)"), "AccessDeniedException", "ann");
  ok("ScheduleKeyDeletion", of(blue), "ann");
  ok("DescribeKey", of("alias/red"), "ann");
  refused("DescribeKey", of(red), "AccessDeniedException", "ann");
  refused("TagResource", of(red, R"("Tags":[{"TagKey":"aws:x","TagValue":"b"}])"), "TagException");
  EXPECT_EQ(ok("ListResourceTags", of(red)).at("Tags").as_array().size(), 1u);
}

TEST_F(Kms, GrantsGiveWhatTheyNameAndNoMore) {
  for (const char* name : {"ann", "bob", "cat"}) user(name, "");
  const std::string id = key(), context = R"("EncryptionContext":{"app":"x"})";
  const auto encrypt = [&](const std::string& more) { return of(id, R"("Plaintext":"eA==")" + more); };
  refused("Encrypt", encrypt("," + context), "AccessDeniedException", "ann");
  const std::string to_ann = R"("GranteePrincipal":"arn:aws:iam::111122223333:user/ann")";
  const json::object grant =
      ok("CreateGrant", of(id, to_ann + R"(,"RetiringPrincipal":"arn:aws:iam::111122223333:user/cat",)"
                                        R"("Operations":["Encrypt","DescribeKey","CreateGrant"],"Name":"n",)"
                                        R"("Constraints":{"EncryptionContextSubset":{"app":"x"}})"));
  ok("Encrypt", encrypt("," + context), "ann");
  ok("Encrypt", encrypt(R"(,"EncryptionContext":{"app":"x","more":"y"})"), "ann");
  refused("Encrypt", encrypt(""), "AccessDeniedException", "ann");
  refused("Encrypt", encrypt(R"(,"EncryptionContext":{"APP":"x"})"), "AccessDeniedException", "ann");
  refused("Encrypt", encrypt(R"(,"EncryptionContext":{"app":"y"})"), "AccessDeniedException", "ann");
  refused("Decrypt", R"({"CiphertextBlob":")" + sealed(id, "," + context) + "\"," + context + "}",
          "AccessDeniedException", "ann");
  ok("DescribeKey", of(id), "ann");
  refused("Encrypt", encrypt("," + context), "AccessDeniedException", "bob");

  // What she hands on is at most what she has.
  const std::string to_bob = R"("GranteePrincipal":"arn:aws:iam::111122223333:user/bob")";
  refused("CreateGrant", of(id, to_bob + R"(,"Operations":["Encrypt"])"), "AccessDeniedException", "ann");
  refused("CreateGrant",
          of(id, to_bob + R"(,"Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"app":"x"}})"),
          "AccessDeniedException", "ann");
  const json::object second =
      ok("CreateGrant",
         of(id, to_bob + R"(,"Operations":["Encrypt"],"Constraints":{"EncryptionContextEquals":{"app":"x","b":"1"}})"),
         "ann");
  ok("Encrypt", encrypt(R"(,"EncryptionContext":{"app":"x","b":"1"})"), "bob");
  refused("Encrypt", encrypt(R"(,"EncryptionContext":{"app":"x","b":"1","c":"2"})"), "AccessDeniedException", "bob");
  refused("Encrypt", encrypt("," + context), "AccessDeniedException", "bob");

  // The same name and the same words: the same grant.
  const json::object again =
      ok("CreateGrant", of(id, to_ann + R"(,"RetiringPrincipal":"arn:aws:iam::111122223333:user/cat",)"
                                        R"("Operations":["DescribeKey","Encrypt","CreateGrant"],"Name":"n",)"
                                        R"("Constraints":{"EncryptionContextSubset":{"app":"x"}})"));
  EXPECT_EQ(text(again, "GrantId"), text(grant, "GrantId"));
  EXPECT_EQ(ok("ListGrants", of(id)).at("Grants").as_array().size(), 2u);
  EXPECT_EQ(ok("ListRetirableGrants", R"({"RetiringPrincipal":"arn:aws:iam::111122223333:user/cat"})")
                .at("Grants")
                .as_array()
                .size(),
            1u);

  // Only who is named may retire it, and only that one.
  refused("RetireGrant", R"({"GrantToken":")" + text(grant, "GrantToken") + "\"}", "AccessDeniedException", "bob");
  refused("RetireGrant", R"({"GrantToken":")" + text(second, "GrantToken") + "\"}", "AccessDeniedException", "cat");
  refused("RetireGrant", R"({"GrantToken":"x"})", "InvalidGrantTokenException");
  ok("RetireGrant", R"({"GrantToken":")" + text(grant, "GrantToken") + "\"}", "cat");
  refused("Encrypt", encrypt("," + context), "AccessDeniedException", "ann");
  ok("RevokeGrant", of(id, R"("GrantId":")" + text(second, "GrantId") + "\""));
  refused("RevokeGrant", of(id, R"("GrantId":")" + text(second, "GrantId") + "\""), "InvalidGrantIdException");
  refused("Encrypt", encrypt(R"(,"EncryptionContext":{"app":"x","b":"1"})"), "AccessDeniedException", "bob");
  refused("CreateGrant", of(id, R"("GranteePrincipal":"arn:aws:s3:::b","Operations":["Encrypt"])"),
          "InvalidArnException");
  refused("CreateGrant", of(id, to_bob + R"(,"Operations":["Sign"])"), "ValidationException");
  refused("Encrypt", encrypt(R"(,"GrantTokens":["x"])"), "InvalidGrantTokenException");
}

TEST_F(Kms, AnExplicitDenyIsStrongerThanAGrant) {
  user("ann", R"({"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*"}})");
  const std::string id = key();
  ok("CreateGrant",
     of(id, R"("GranteePrincipal":"arn:aws:iam::111122223333:user/ann","Operations":["Encrypt","DescribeKey"])"));
  refused("Encrypt", of(id, R"("Plaintext":"eA==")"), "AccessDeniedException", "ann");
  ok("DescribeKey", of(id), "ann");
}

TEST_F(Kms, Rotates) {
  const std::string id = key(), before = sealed(id);
  ok("EnableKeyRotation", of(id, R"("RotationPeriodInDays":90)"));
  const json::object status = ok("GetKeyRotationStatus", of(id));
  EXPECT_TRUE(status.at("KeyRotationEnabled").as_bool());
  EXPECT_EQ(status.at("RotationPeriodInDays").as_int64(), 90);
  refused("EnableKeyRotation", of(id, R"("RotationPeriodInDays":89)"), "ValidationException");
  ok("DisableKeyRotation", of(id));
  EXPECT_FALSE(ok("GetKeyRotationStatus", of(id)).at("KeyRotationEnabled").as_bool());
  ok("RotateKeyOnDemand", of(id));
  EXPECT_NE(before, sealed(id));
  EXPECT_EQ(text(ok("Decrypt", R"({"CiphertextBlob":")" + before + "\"}"), "Plaintext"), "c2VjcmV0");
  EXPECT_EQ(ok("ListKeyRotations", of(id)).at("Rotations").as_array().size(), 1u);
  EXPECT_EQ(
      ok("ListKeyRotations", of(id, R"("IncludeKeyMaterial":"ALL_KEY_MATERIAL")")).at("Rotations").as_array().size(),
      2u);
  const std::string mac = key(pair("HMAC_256", "GENERATE_VERIFY_MAC"));
  refused("EnableKeyRotation", of(mac), "UnsupportedOperationException");
  for (int i = 1; i < 25; ++i) ok("RotateKeyOnDemand", of(id));
  refused("RotateKeyOnDemand", of(id), "LimitExceededException");
}

TEST_F(Kms, SignsWithEachAlgorithm) {
  for (const char* spec :
       {"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"}) {
    const std::string id = key(pair(spec, "SIGN_VERIFY"));
    const json::object told = ok("DescribeKey", of(id)).at("KeyMetadata").as_object();
    for (const json::value& v : told.at("SigningAlgorithms").as_array()) {
      const std::string how = R"(,"SigningAlgorithm":")" + std::string(v.as_string()) + "\"";
      const json::object made = ok("Sign", of(id, R"("Message":"bWVzc2FnZQ==")" + how));
      const std::string signature = R"(,"Signature":")" + text(made, "Signature") + "\"";
      ok("Verify", of(id, R"("Message":"bWVzc2FnZQ==")" + how + signature));
      refused("Verify", of(id, R"("Message":"b3RoZXI=")" + how + signature), "KMSInvalidSignatureException");
      if (std::string_view(spec).ends_with("25519")) continue;
      refused("Sign", of(id, R"("MessageType":"DIGEST","Message":"bWVzc2FnZQ==")" + how), "ValidationException");
    }
    refused("Encrypt", of(id, R"("Plaintext":"eA==")"), "InvalidKeyUsageException");
    refused("Sign", of(id, R"("Message":"eA==","SigningAlgorithm":"SM2DSA")"), "InvalidKeyUsageException");
    EXPECT_FALSE(text(ok("GetPublicKey", of(id)), "PublicKey").empty());
  }
  const std::string rsa = key(pair("RSA_2048", "ENCRYPT_DECRYPT"));
  const std::string oaep = R"(,"EncryptionAlgorithm":"RSAES_OAEP_SHA_256")";
  const std::string blob = text(ok("Encrypt", of(rsa, R"("Plaintext":"eA==")" + oaep)), "CiphertextBlob");
  EXPECT_EQ(text(ok("Decrypt", of(rsa, R"("CiphertextBlob":")" + blob + "\"" + oaep)), "Plaintext"), "eA==");
  refused("Encrypt", of(rsa, R"("Plaintext":"eA==","EncryptionContext":{"a":"b"})" + oaep), "ValidationException");
  refused("CreateKey", "{" + pair("ML_DSA_65", "SIGN_VERIFY") + "}", "UnsupportedOperationException");
  refused("CreateKey", "{" + pair("ECC_SECG_P256K1", "KEY_AGREEMENT") + "}", "ValidationException");
  refused("CreateKey", R"({"KeySpec":"RSA_2048"})", "ValidationException");
}

TEST_F(Kms, ComputesMacsAndSharedSecrets) {
  for (const char* bits : {"224", "256", "384", "512"}) {
    const std::string id = key(pair(std::string("HMAC_") + bits, "GENERATE_VERIFY_MAC"));
    const std::string how = std::string(R"("Message":"eA==","MacAlgorithm":"HMAC_SHA_)") + bits + "\"";
    const std::string mac = text(ok("GenerateMac", of(id, how)), "Mac");
    EXPECT_EQ(unbase64(mac)->size(), std::stoul(bits) / 8);
    ok("VerifyMac", of(id, how + R"(,"Mac":")" + mac + "\""));
    refused("VerifyMac", of(id, how + R"(,"Mac":"eA==")"), "KMSInvalidMacException");
  }
  const std::string a = key(pair("ECC_NIST_P256", "KEY_AGREEMENT")), b = key(pair("ECC_NIST_P256", "KEY_AGREEMENT"));
  const auto derive = [&](const std::string& mine, const std::string& theirs) {
    return of(mine, R"("KeyAgreementAlgorithm":"ECDH","PublicKey":")" +
                        text(ok("GetPublicKey", of(theirs)), "PublicKey") + "\"");
  };
  EXPECT_EQ(text(ok("DeriveSharedSecret", derive(a, b)), "SharedSecret"),
            text(ok("DeriveSharedSecret", derive(b, a)), "SharedSecret"));
  refused("DeriveSharedSecret", of(a, R"("KeyAgreementAlgorithm":"ECDH","PublicKey":"eA==")"), "ValidationException");
}

// If the ledger cannot be written, nothing happens and nothing comes out: each operation that changes or gives.
TEST_F(Kms, NothingHappensWithoutItsEntry) {
  const std::string id = key(), mac = key(pair("HMAC_256", "GENERATE_VERIFY_MAC"));
  const std::string signer = key(pair("ECC_NIST_P256", "SIGN_VERIFY"));
  const std::string agree = key(pair("ECC_NIST_P256", "KEY_AGREEMENT")), outside = key(R"("Origin":"EXTERNAL")");
  const std::string doomed = key(), off = key(), blob = sealed(id);
  ok("ScheduleKeyDeletion", of(doomed));
  ok("DisableKey", of(off));
  ok("CreateAlias", R"({"AliasName":"alias/a","TargetKeyId":")" + id + "\"}");
  const std::string to = R"("GranteePrincipal":"111122223333","Operations":["Encrypt"])";
  const std::string one = text(ok("CreateGrant", of(id, to)), "GrantId"),
                    two = text(ok("CreateGrant", of(id, to)), "GrantId");
  const std::string how = R"("Message":"eA==","SigningAlgorithm":"ECDSA_SHA_256")";
  const std::string signature = text(ok("Sign", of(signer, how)), "Signature");
  const std::string hmac = R"("Message":"eA==","MacAlgorithm":"HMAC_SHA_256")";
  const std::string tag = text(ok("GenerateMac", of(mac, hmac)), "Mac");
  const json::object parameters =
      ok("GetParametersForImport",
         of(outside, R"("WrappingAlgorithm":"RSAES_OAEP_SHA_256","WrappingKeySpec":"RSA_2048")"));
  EXPECT_FALSE(text(parameters, "PublicKey").empty());
  const std::string policy = json::serialize(json::value(text(ok("GetKeyPolicy", of(id)), "Policy")));
  const std::vector<std::pair<std::string, std::string>> acts = {
      {"CreateKey", "{}"},
      {"EnableKey", of(off)},
      {"DisableKey", of(id)},
      {"EnableKey", of(id)},
      {"CancelKeyDeletion", of(doomed)},
      {"ScheduleKeyDeletion", of(doomed)},
      {"UpdateKeyDescription", of(id, R"("Description":"x")")},
      {"CreateAlias", R"({"AliasName":"alias/b","TargetKeyId":")" + id + "\"}"},
      {"UpdateAlias", R"({"AliasName":"alias/a","TargetKeyId":")" + off + "\"}"},
      {"DeleteAlias", R"({"AliasName":"alias/a"})"},
      {"PutKeyPolicy", of(id, R"("Policy":)" + policy)},
      {"CreateGrant", of(id, to)},
      {"RevokeGrant", of(id, R"("GrantId":")" + one + "\"")},
      {"RetireGrant", of(id, R"("GrantId":")" + two + "\"")},
      {"EnableKeyRotation", of(id)},
      {"DisableKeyRotation", of(id)},
      {"RotateKeyOnDemand", of(id)},
      {"GetParametersForImport",
       of(outside, R"("WrappingAlgorithm":"RSAES_OAEP_SHA_256","WrappingKeySpec":"RSA_2048")")},
      {"DeleteImportedKeyMaterial", of(outside)},
      {"TagResource", of(id, R"("Tags":[{"TagKey":"a","TagValue":"b"}])")},
      {"UntagResource", of(id, R"("TagKeys":["a"])")},
      {"Encrypt", of(id, R"("Plaintext":"eA==")")},
      {"Decrypt", R"({"CiphertextBlob":")" + blob + "\"}"},
      {"ReEncrypt", R"({"CiphertextBlob":")" + blob + R"(","DestinationKeyId":")" + id + "\"}"},
      {"GenerateDataKey", of(id, R"("KeySpec":"AES_256")")},
      {"GenerateDataKeyWithoutPlaintext", of(id, R"("KeySpec":"AES_256")")},
      {"GenerateDataKeyPair", of(id, R"("KeyPairSpec":"ECC_NIST_P256")")},
      {"GenerateDataKeyPairWithoutPlaintext", of(id, R"("KeyPairSpec":"ECC_NIST_P256")")},
      {"GenerateRandom", R"({"NumberOfBytes":16})"},
      {"Sign", of(signer, how)},
      {"Verify", of(signer, how + R"(,"Signature":")" + signature + "\"")},
      {"GenerateMac", of(mac, hmac)},
      {"VerifyMac", of(mac, hmac + R"(,"Mac":")" + tag + "\"")},
      {"DeriveSharedSecret", of(agree, R"("KeyAgreementAlgorithm":"ECDH","PublicKey":")" +
                                           text(ok("GetPublicKey", of(agree)), "PublicKey") + "\"")},
  };
  std::set<std::string> tried = {"ImportKeyMaterial"};  // tried below, in Imports
  const std::string before = testing::everything(*memory_.db);
  memory_.ledger.broken = true;
  for (const auto& [operation, body] : acts) {
    tried.insert(operation);
    if (operation == "ScheduleKeyDeletion") continue;  // of a key that is pending deletion: tried with another below
    const auto e = call(operation, body);
    EXPECT_GE(e->status, 500) << operation << ": " << e->status << " " << e->body;
    EXPECT_NE(e->body.find("ledger"), std::string::npos) << operation << ": " << e->body;
    for (const char* secret : {"Plaintext", "CiphertextBlob", "SharedSecret", "\"Mac\"", "Signature"})
      EXPECT_EQ(e->body.find(secret), std::string::npos) << operation;
    EXPECT_EQ(testing::everything(*memory_.db), before) << operation;
  }
  EXPECT_GE(call("ScheduleKeyDeletion", of(id))->status, 500);
  EXPECT_EQ(testing::everything(*memory_.db), before);
  memory_.ledger.broken = false;
  for (const auto& [operation, body] : acts) {
    const size_t entries = memory_.ledger.all.size();
    const auto e = call(operation, body);
    EXPECT_EQ(e->status, 200) << operation << ": " << e->body;
    EXPECT_EQ(memory_.ledger.all.size(), entries + 1) << operation << ": one entry each";
  }
  const Service service = kms();
  for (const Operation& o : service.operations)
    if (o.input && o.effect != Effect::read) {
      EXPECT_TRUE(tried.contains(o.name)) << o.name;
    }
}

TEST_F(Kms, EntriesHoldNoSecret) {
  const std::string id = key();
  ok("Encrypt", of(id, R"("Plaintext":"VE9QLVNFQ1JFVA==","EncryptionContext":{"app":"x"})"));
  const security::Entry& entry = memory_.ledger.all.back();
  EXPECT_EQ(entry.action, "kms:Encrypt");
  EXPECT_EQ(entry.resource, arn(id));
  EXPECT_EQ(entry.detail, R"({"encryptionContext":{"app":"x"}})");
}

}  // namespace
}  // namespace hf::api
