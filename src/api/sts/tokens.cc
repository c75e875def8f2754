// GetSessionToken, and what is known of keys, callers and denials.
#include "api/errors.h"
#include "api/sts/sts.h"
#include "security/keys.h"

namespace hf::api::sts_api {
namespace {

struct Nobody {
  static void fields(wire::Fields<Nobody>&) {}
};

struct CallerIdentity {
  std::string user_id, account, arn;
  static void fields(wire::Fields<CallerIdentity>& f) {
    f("UserId", &CallerIdentity::user_id);
    f("Account", &CallerIdentity::account);
    f("Arn", &CallerIdentity::arn);
  }
};

Result<CallerIdentity> get_caller_identity(Call& call, const Nobody&) {
  return CallerIdentity{call.who().user_id, call.account(), call.who().arn};
}

// ---- a key's session

constexpr int64_t kDay = 86'400;

struct GetSessionToken : Factor {
  std::optional<int64_t> seconds;
  static void fields(wire::Fields<GetSessionToken>& f) {
    f("DurationSeconds", &GetSessionToken::seconds).range(900, 129'600);
    Factor::fields(f);
  }
};
struct GetSessionTokenResponse {
  CredentialsView credentials;
  static void fields(wire::Fields<GetSessionTokenResponse>& f) {
    f("Credentials", &GetSessionTokenResponse::credentials);
  }
};

Result<GetSessionTokenResponse> get_session_token(Call& call, const GetSessionToken& in) {
  TRY(in.check());
  if (call.who().temporary)
    return fail(Code::denied, kAccessDenied,
                "GetSessionToken: expected an access key's credentials, found a session's");
  security::Session session;
  session.kind = security::Session::Kind::key;
  session.account = call.account();
  session.principal = call.who().access_key_id;
  session.limited = !in.code;
  int64_t seconds = in.seconds.value_or(kDay / 2);
  if (call.who().administrator) seconds = std::min<int64_t>(seconds, 3600);  // as AWS has it of an account's root
  GetSessionToken told = in;
  told.code.reset();
  return GetSessionTokenResponse{view_of(TRY(give(call, std::move(session), seconds, iam_api::detail(told), in)))};
}

// ---- whose key?

struct GetAccessKeyInfo {
  std::string id;
  static void fields(wire::Fields<GetAccessKeyInfo>& f) {
    f("AccessKeyId", &GetAccessKeyInfo::id).required().length(16, 128).pattern("[\\w]*");
  }
};
struct AccessKeyInfo {
  std::string account;
  static void fields(wire::Fields<AccessKeyInfo>& f) { f("Account", &AccessKeyInfo::account); }
};

Result<AccessKeyInfo> get_access_key_info(Call& call, const GetAccessKeyInfo& in) {
  const std::string of_session = call.site().sessions.account_of(in.id);
  for (const auto& account : TRY(call.site().keys.accounts()))
    if (account.id == of_session) return AccessKeyInfo{account.id};
  AccessKeyInfo out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto info = TRY(call.site().keys.find(txn, in.id));
    if (!info || info->kind != "access")
      return fail(Code::invalid, "ValidationError", "AccessKeyId: expected an access key of this site, found " + in.id);
    out.account = info->account;
    return {};
  }));
  return out;
}

// ---- why was it denied?

struct Decode {
  std::string text;
  static void fields(wire::Fields<Decode>& f) { f("EncodedMessage", &Decode::text).required().length(1, 10240); }
};
struct Decoded {
  std::string text;
  static void fields(wire::Fields<Decoded>& f) { f("DecodedMessage", &Decoded::text); }
};

Result<Decoded> decode(Call& call, const Decode& in) {
  auto text = call.site().denial_texts.open(in.text, call.account());
  if (!text.ok())
    return fail(Code::invalid, "InvalidAuthorizationMessageException",
                "EncodedMessage: expected a message of this site to your account, found another");
  return Decoded{std::string(text->reveal())};
}

template <class In>
std::string anything(const Call&, const In&) {
  return "*";
}

}  // namespace

void add_tokens(Service& s) {
  s.add<Nobody, CallerIdentity>("GetCallerIdentity", {}, Effect::read, get_caller_identity, anything<Nobody>);
  s.add<GetSessionToken, GetSessionTokenResponse>("GetSessionToken", {}, Effect::write, get_session_token,
                                                  anything<GetSessionToken>);
  s.add<GetAccessKeyInfo, AccessKeyInfo>("GetAccessKeyInfo", {}, Effect::read, get_access_key_info,
                                         anything<GetAccessKeyInfo>);
  s.add<Decode, Decoded>("DecodeAuthorizationMessage", {}, Effect::read, decode, anything<Decode>);
}

}  // namespace hf::api::sts_api
