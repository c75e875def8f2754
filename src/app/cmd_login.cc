// login: a person's password (and code) for temporary credentials, as variables for the shell or as the AWS tools'
// credential_process wants them. Nothing is written to disk.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/cli.h"
#include "app/term.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

struct Arguments {
  std::string user, account, endpoint, ca, region = "site-1", role, token_file, session = "login";
  int64_t seconds = 0;
  bool change = false;
};

// Where to: what was given, or the site of the state folder, whose administrator's keys are not read.
Result<Connection> connection_of(const Context& context, const Arguments& a) {
  Connection c;
  c.endpoint = a.endpoint;
  c.ca_path = a.ca;
  c.region = a.region;
  if (a.endpoint.empty()) c = TRY(read_site(context.fs, context.state));
  if (!a.ca.empty()) c.ca_path = a.ca;
  if (!c.ca_path.empty()) c.ca_pem = TRY(context.fs.read_file(c.ca_path, 1 << 20));
  return c;
}

Result<json::value> ask(ApiClient& client, const json::object& body) {
  ApiClient::Request request;
  request.method = "POST";
  request.path = "/holdfast/v1/log-in";
  request.anonymous = true;
  request.headers.set("content-type", "application/json");
  request.body = json::serialize(body);
  return client.expect_json(request);
}

Result<json::value> log_in(ApiClient& client, const Arguments& a) {
  json::object body{{"user", a.user}};
  if (a.seconds) body["seconds"] = a.seconds;
  if (!a.account.empty()) body["account"] = a.account;
  body["password"] = TRY(read_secret("password of " + a.user));
  auto with_new = [&]() -> Status {
    const std::string fresh = TRY(read_secret("new password"));
    if (TRY(read_secret("new password, once more")) != fresh)
      return fail(Code::invalid, "the new password: expected the same twice");
    body["new_password"] = fresh;
    return {};
  };
  if (a.change) TRY(with_new());
  auto answer = ask(client, body);
  // What else it takes is asked for when the site says so: one after the other.
  for (int i = 0; i < 2 && !answer.ok(); ++i) {
    if (answer.error().name == "SecondFactorRequired")
      body["code"] = TRY(read_secret("code of your device"));
    else if (answer.error().name == "PasswordChangeRequired")
      TRY(with_new());
    else
      break;
    answer = ask(client, body);
  }
  return answer;
}

// With a token of an OpenID Connect provider: AssumeRoleWithWebIdentity, as the AWS tools do it themselves.
Result<json::value> with_token(const Context& context, ApiClient& client, const Arguments& a) {
  const std::string token(trim(TRY(context.fs.read_file(a.token_file, 64 << 10))));
  ApiClient::Request request;
  request.method = "POST";
  request.anonymous = true;
  request.headers.set("content-type", "application/x-www-form-urlencoded");
  request.body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + percent_encode(a.role) +
                 "&RoleSessionName=" + percent_encode(a.session) + "&WebIdentityToken=" + percent_encode(token) +
                 (a.seconds ? "&DurationSeconds=" + std::to_string(a.seconds) : "");
  const std::string xml = TRY(client.expect(request)).body;
  return json::value(json::object{{"access_key_id", element(xml, "AccessKeyId")},
                                  {"secret_access_key", element(xml, "SecretAccessKey")},
                                  {"session_token", element(xml, "SessionToken")},
                                  {"expiration", element(xml, "Expiration")},
                                  {"arn", element(xml, "Arn")}});
}

Result<int> login(const Context& context, const Arguments& a) {
  if (a.token_file.empty() == a.user.empty() || a.token_file.empty() != a.role.empty())
    return fail(Code::invalid, "expected a user, or --token-file with --role");
  Connection connection = TRY(connection_of(context, a));
  auto client = TRY(ApiClient::make(connection, context.clock, 30'000));
  const json::value answer = TRY(a.token_file.empty() ? log_in(*client, a) : with_token(context, *client, a));
  if (context.json) {  // as credential_process has it
    print_json(json::object{{"Version", 1},
                            {"AccessKeyId", member(answer, "access_key_id")},
                            {"SecretAccessKey", member(answer, "secret_access_key")},
                            {"SessionToken", member(answer, "session_token")},
                            {"Expiration", member(answer, "expiration")}});
    return kDone;
  }
  const std::pair<const char*, std::string> rows[] = {{"AWS_ENDPOINT_URL", connection.endpoint},
                                                      {"AWS_REGION", connection.region},
                                                      {"AWS_DEFAULT_REGION", connection.region},
                                                      {"AWS_ACCESS_KEY_ID", member(answer, "access_key_id")},
                                                      {"AWS_SECRET_ACCESS_KEY", member(answer, "secret_access_key")},
                                                      {"AWS_SESSION_TOKEN", member(answer, "session_token")},
                                                      {"AWS_CA_BUNDLE", connection.ca_path},
                                                      {"NODE_EXTRA_CA_CERTS", connection.ca_path}};
  for (const auto& [name, value] : rows)
    if (!value.empty()) print(std::string("export ") + name + "=" + shell_quoted(value));
  say("you are " + member(answer, "arn") + " until " + member(answer, "expiration"));
  return kDone;
}

}  // namespace

void add_login_command(CLI::App& app, Context& context, Work& work) {
  auto a = std::make_shared<Arguments>();
  auto* ctx = &context;
  auto* command = app.add_subcommand("login", "a person's password for credentials that end; prints them for eval");
  command->add_option("user", a->user, "the IAM user");
  command->add_option("--token-file", a->token_file, "in place of a user: a token of an OpenID Connect provider");
  command->add_option("--role", a->role, "with a token: the role to assume (its ARN)");
  command->add_option("--session-name", a->session, "with a token: the session's name")->capture_default_str();
  command->add_option("--account", a->account, "its account or the alias of it, where the site has several");
  command->add_option("--endpoint", a->endpoint, "https://HOST:PORT of a site elsewhere");
  command->add_option("--ca", a->ca, "the certificate authority of that site (a PEM file)");
  command->add_option("--region", a->region, "its region")->capture_default_str();
  command->add_option("--seconds", a->seconds, "how long they last")
      ->check(CLI::Range(900, 43200))
      ->capture_default_str();
  command->add_flag("--change-password", a->change, "and a new password from now on");
  command->footer("example: eval \"$(holdfast login ada)\"");
  command->callback([=, &work] { work = [=] { return login(*ctx, *a); }; });
}

}  // namespace hf::app
