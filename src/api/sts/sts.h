// What the files of STS share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/iam/iam.h"
#include "api/service.h"
#include "security/sessions.h"

namespace hf::api::sts_api {

using iam_api::Entity;
using iam_api::TagView;

inline constexpr const char* kWords = "[\\w+=,.@-]*";  // of names of sessions, source identities
inline constexpr const char* kDocument = "[\\x{9}\\x{A}\\x{D}\\x{20}-\\x{FF}]+";

struct CredentialsView {
  std::string id, secret, token;
  wire::Timestamp expires;
  static void fields(wire::Fields<CredentialsView>& f) {
    f("AccessKeyId", &CredentialsView::id);
    f("SecretAccessKey", &CredentialsView::secret).secret();
    f("SessionToken", &CredentialsView::token).secret();
    f("Expiration", &CredentialsView::expires);
  }
};
CredentialsView view_of(const security::Sessions::Issued& issued);

struct AssumedView {
  std::string id, arn;  // AROA...:SESSION; the session's ARN
  static void fields(wire::Fields<AssumedView>& f) {
    f("AssumedRoleId", &AssumedView::id);
    f("Arn", &AssumedView::arn);
  }
};
AssumedView assumed_view(const Entity& role, const std::string& session);

struct PolicyArn {
  std::string arn;
  static void fields(wire::Fields<PolicyArn>& f) { f("arn", &PolicyArn::arn).required().length(20, 2048); }
};

// A role, its trust, and what was asked of it.
struct Wanted {
  std::string arn;
  std::optional<Entity> role;  // nothing: there is none
  security::Policy trust;      // of none: one that allows nothing
};
Result<Wanted> wanted_role(Call& call, const std::string& arn);

// Session policies: a document of at most 2,048 characters, ARNs of managed policies of the role's account.
Status check_session_policies(Call& call, const std::string& account, const std::optional<std::string>& document,
                              const std::vector<PolicyArn>& arns);
// ValidationError: over the role's longest session, or over one hour where a role's session asks.
Result<int64_t> session_seconds(const Call& call, const Entity& role, const std::optional<int64_t>& asked);

// The caller's own MFA device, and what it shows.
struct Factor {
  std::optional<std::string> serial, code;
  template <class T>
  static void fields(wire::Fields<T>& f) {
    f("SerialNumber", static_cast<std::optional<std::string> T::*>(&T::serial))
        .length(9, 256)
        .pattern("[\\w+=/:,.@-]+");
    f("TokenCode", static_cast<std::optional<std::string> T::*>(&T::code)).pattern("[0-9]{6}").secret();
  }
  Status check() const;  // ValidationError: one without the other
};

// Gives the session, with its entry. `detail`: the request's, without policies and codes. A factor's code is used in
// the same transaction: AccessDenied if it is none of the caller's.
Result<security::Sessions::Issued> give(Call& call, security::Session session, int64_t seconds,
                                        const std::string& detail, const Factor& factor);

// The account of arn:aws:iam::ACCOUNT:role/NAME. ValidationError: it is none.
Result<std::string> account_of_role(const std::string& arn);

void add_roles(Service& s);         // AssumeRole
void add_web_identity(Service& s);  // AssumeRoleWithWebIdentity
void add_tokens(Service& s);        // GetSessionToken, GetAccessKeyInfo, DecodeAuthorizationMessage, GetCallerIdentity

}  // namespace hf::api::sts_api
