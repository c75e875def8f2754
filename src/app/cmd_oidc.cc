// oidc: key sets of OpenID Connect providers (IAM's CreateOpenIDConnectProvider makes the providers).
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/cli.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

struct Arguments {
  std::string url, file, door, keys_url, ca;
};

Result<int> set_keys(const Context& context, const Arguments& a) {
  if (a.file.empty() == a.door.empty()) return fail(Code::invalid, "expected one of --file and --door");
  json::object body{{"url", a.url}};
  if (!a.file.empty()) {
    boost::system::error_code ec;
    body["keys"] = json::parse(TRY(context.fs.read_file(a.file, 256 << 10)), ec);
    if (ec) return fail(Code::invalid, a.file + ": expected a JSON key set: " + ec.message());
  } else {
    body["door"] = a.door;
    if (!a.keys_url.empty()) body["keys_url"] = a.keys_url;
    if (!a.ca.empty()) body["ca"] = TRY(context.fs.read_file(a.ca, 64 << 10));
  }
  auto client = TRY(connect(context));
  const json::value request = body, answer = TRY(client->holdfast("PUT", "/oidc/keys", &request));
  if (context.json) return print_json(answer), kDone;
  print(member(answer, "arn") + ": " + member(answer, "keys") + " keys, SHA-256 " + member(answer, "keys_sha256"));
  return kDone;
}

Result<int> list(const Context& context) {
  auto client = TRY(connect(context));
  const json::value answer = TRY(client->holdfast("GET", "/oidc/keys"));
  if (context.json) return print_json(answer.at("providers")), kDone;
  std::vector<std::vector<std::string>> rows = {{"PROVIDER", "KEYS", "DOOR", "FETCHED"}};
  for (const json::value& p : answer.at("providers").as_array())
    rows.push_back({member(p, "arn"), member(p, "keys"), member(p, "door"), member(p, "fetched")});
  print(table(rows));
  return kDone;
}

}  // namespace

void add_oidc_commands(CLI::App& app, Context& context, Work& work) {
  auto a = std::make_shared<Arguments>();
  auto* ctx = &context;
  auto* oidc = app.add_subcommand("oidc", "key sets of OpenID Connect providers: whose tokens this site takes");
  oidc->footer("example: holdfast oidc list");
  oidc->require_subcommand(1, 1);
  auto* keys = oidc->add_subcommand("keys", "give a provider's key set, or a door to fetch it through, now and later");
  keys->add_option("url", a->url, "the provider: https://HOST[/PATH]")->required();
  keys->add_option("--file", a->file, "its key set (RFC 7517)");
  keys->add_option("--door", a->door, "an egress door that leads to it");
  keys->add_option("--keys-url", a->keys_url, "where the key set is, if its discovery document is not to be asked");
  keys->add_option("--ca", a->ca, "whom to trust for its certificate (PEM; default: this machine's authorities)");
  keys->footer("example: holdfast oidc keys https://id.example.net/realm --file keys.json");
  keys->callback([=, &work] { work = [=] { return set_keys(*ctx, *a); }; });
  auto* show = oidc->add_subcommand("list", "the providers and what keys they have");
  show->footer("example: holdfast oidc list");
  show->callback([=, &work] { work = [=] { return list(*ctx); }; });
}

}  // namespace hf::app
