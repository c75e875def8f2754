// Log-in of people: a password, and a code where the user has an MFA device, for temporary credentials. The one
// operation of ours without a signature: its input proves who asks.
#include <boost/json.hpp>

#include "api/errors.h"
#include "api/holdfast/operations.h"
#include "security/denials.h"
#include "security/json.h"
#include "security/keys.h"
#include "security/people.h"
#include "security/sessions.h"

namespace hf::api::holdfast_api {
namespace json = boost::json;
namespace {

struct LogIn {
  std::optional<std::string> account, code, new_password;
  std::string user, password;
  std::optional<int64_t> seconds;
  static void fields(wire::Fields<LogIn>& f) {
    f("account", &LogIn::account).pattern("[0-9]{12}|[a-z0-9][a-z0-9-]{1,61}[a-z0-9]");  // or its alias
    f("user", &LogIn::user).required().length(1, 64);
    f("password", &LogIn::password).required().length(1, 128).secret();
    f("code", &LogIn::code).pattern("[0-9]{6}").secret();
    f("new_password", &LogIn::new_password).length(1, 128).secret();
    f("seconds", &LogIn::seconds).range(900, 43200);
  }
};
// As a credential_process of the AWS tools prints it, but for the names' case.
struct LogInResponse {
  std::string access_key_id, secret_access_key, session_token, arn;
  wire::Timestamp expiration;
  static void fields(wire::Fields<LogInResponse>& f) {
    f("access_key_id", &LogInResponse::access_key_id);
    f("secret_access_key", &LogInResponse::secret_access_key).secret();
    f("session_token", &LogInResponse::session_token).secret();
    f("expiration", &LogInResponse::expiration);
    f("arn", &LogInResponse::arn);
  }
};

Result<std::string> account_of(Site& site, const LogIn& in) {
  if (in.account) {
    std::optional<std::string> named;
    TRY(site.db.read([&](store::Txn& txn) -> Status {
      named = TRY(security::iam::account_of_alias(txn, *in.account));
      return {};
    }));
    return named.value_or(*in.account);
  }
  const auto accounts = TRY(site.keys.accounts());
  if (accounts.size() != 1) return invalid("account: expected one, as this site has several");
  return accounts[0].id;
}

Result<security::Identity> prove(Site& site, const http::RequestHead& head, const void* input) {
  const LogIn& in = *static_cast<const LogIn*>(input);
  const auto proven = TRY(
      site.people.prove(TRY(account_of(site, in)), in.user, crypto::Secret(in.password), security::host_of(head.peer)));
  if (proven.has_device && !in.code)
    return fail(Code::denied, "SecondFactorRequired", "code: expected the code that your device shows");
  if (proven.must_change && !in.new_password)
    return fail(Code::denied, "PasswordChangeRequired", "new_password: expected one, as this password must be changed");
  security::Identity who;
  TRY(site.db.read([&](store::Txn& txn) -> Status {
    who = TRY(security::iam::identity_of(txn, proven.user));
    return {};
  }));
  who.facts["aws:multifactorauthpresent"] = {in.code ? "true" : "false"};  // it is checked before anything is given
  return who;
}

Result<LogInResponse> log_in(Call& call, const LogIn& in) {
  TRY(call.may("sts:GetSessionToken", call.resource()));  // what it is, in AWS's words
  auto& people = call.site().people;
  std::string hash;
  if (in.new_password) {
    if (*in.new_password == in.password) return invalid("new_password: expected another one than the password");
    hash = TRY(people.hash(crypto::Secret(*in.new_password)));
  }
  security::Session session;
  session.kind = security::Session::Kind::user;
  session.account = call.account();
  session.principal = call.who().user_id;
  if (in.code) session.second_factor = call.now();
  const auto issued = TRY(call.site().sessions.issue(session, in.seconds.value_or(43200)));
  TRY(call.commit(
      [&](store::Txn& txn) -> Status {
        auto user = TRY(security::iam::by_id(txn, session.principal));
        if (!user) return fail(Code::denied, kAccessDenied, "the user is gone");
        if (in.code)
          TRY(people.use_code(txn, user->id, "", *in.code, security::host_of(call.head().peer)));
        else if (!TRY(people.devices_of(txn, user->id)).empty())  // one that came since
          return fail(Code::denied, "SecondFactorRequired", "code: expected the code that your device shows");
        return in.new_password ? people.set_password(txn, *user, hash, false) : Status();
      },
      security::canonical_json(json::object{{"access_key_id", issued.access_key_id},
                                            {"expiration", iso8601(issued.expires)},
                                            {"new_password", in.new_password.has_value()},
                                            {"second_factor", in.code.has_value()}})));
  return LogInResponse{
      issued.access_key_id, std::string(issued.secret.reveal()), issued.token, call.who().arn, {issued.expires}};
}

std::string user_arn(const Call& call, const LogIn&) { return call.who().arn; }

}  // namespace

void add_log_in(Service& s) {
  Operation& o = s.add<LogIn, LogInResponse>("LogIn", {"POST", "/holdfast/v1/log-in"}, Effect::write, log_in, user_arn);
  o.asks_for_each = true;
  o.proof = prove;
  o.body_limit = 4096;
}

}  // namespace hf::api::holdfast_api
