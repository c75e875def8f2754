// keys, accounts: who may ask, and for what.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/cli.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

struct KeyArguments {
  std::string name, kind = "api", policy_file, account, id;
  std::vector<std::string> actions, resources;
  bool administrator = false;
  int64_t days = 0;
};

// --allow and --on make the policy that most keys need; --policy takes a whole document.
Result<json::value> policy_of(const Context& context, const KeyArguments& a) {
  if (!a.policy_file.empty()) {
    boost::system::error_code ec;
    json::value v = json::parse(TRY(context.fs.read_file(a.policy_file, 1 << 20)), ec);
    if (ec) return fail(Code::invalid, a.policy_file + ": expected a JSON policy document: " + ec.message());
    return v;
  }
  json::array actions(a.actions.begin(), a.actions.end()), resources(a.resources.begin(), a.resources.end());
  if (resources.empty()) resources.push_back("*");
  return json::value(json::object{
      {"Version", "2012-10-17"},
      {"Statement", json::array{json::object{{"Effect", "Allow"}, {"Action", actions}, {"Resource", resources}}}}});
}

Result<int> create_key(const Context& context, const KeyArguments& a) {
  if (!a.administrator && a.actions.empty() && a.policy_file.empty())
    return fail(Code::invalid, "a key needs --allow ACTION (as bedrock:InvokeModel), --policy FILE or --administrator");
  json::object body{{"name", a.name}, {"kind", a.kind}};
  if (a.administrator)
    body["administrator"] = true;
  else
    body["policy"] = TRY(policy_of(context, a));
  if (!a.account.empty()) body["account"] = a.account;
  if (a.days > 0) body["expires"] = iso8601(context.clock.now() + a.days * 86'400'000'000);
  auto client = TRY(connect(context));
  json::value request = body, answer = TRY(client->holdfast("POST", "/keys", &request));
  if (context.json) {
    print_json(answer);
    return kDone;
  }
  print("id      " + member(answer.at("key"), "id"));
  print("secret  " + member(answer, "secret"));
  say("the secret is shown this once");
  return kDone;
}

Result<int> list_keys(const Context& context, const KeyArguments& a) {
  auto client = TRY(connect(context));
  json::value answer =
      TRY(client->holdfast("GET", "/keys", nullptr, a.account.empty() ? "" : "account=" + percent_encode(a.account)));
  if (context.json) {
    print_json(answer);
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"ID", "KIND", "NAME", "ADMINISTRATOR", "CREATED", "EXPIRES"}};
  for (const json::value& k : answer.at("keys").as_array())
    rows.push_back({member(k, "id"), member(k, "kind"), member(k, "name"), member(k, "administrator"),
                    member(k, "created"), member(k, "expires")});
  print(table(rows));
  return kDone;
}

Result<int> remove_key(const Context& context, const KeyArguments& a) {
  auto client = TRY(connect(context));
  json::value answer = TRY(client->holdfast("DELETE", "/keys/" + percent_encode(a.id), nullptr,
                                            a.account.empty() ? "" : "account=" + percent_encode(a.account)));
  if (context.json) print_json(answer);
  return kDone;
}

void add_keys(CLI::App& app, Context& context, Work& work) {
  auto* keys = app.add_subcommand("keys", "access keys (SigV4) and API keys (Bearer): list, create, remove");
  keys->footer("example: holdfast keys create --name bot --allow bedrock:InvokeModel --on '*'");
  keys->require_subcommand(0, 1);
  auto a = std::make_shared<KeyArguments>();
  auto* ctx = &context;
  keys->callback([=, &work] {
    if (keys->get_subcommands().empty()) work = [=] { return list_keys(*ctx, *a); };
  });
  auto* create = keys->add_subcommand("create", "make one; its secret is shown once");
  create->add_option("--name", a->name, "whose it is")->required();
  create->add_option("--kind", a->kind, "api (Bearer) or access (SigV4)")->check(CLI::IsMember({"api", "access"}));
  create->add_option("--allow", a->actions, "an action, with * and ?: bedrock:InvokeModel, s3:Get*");
  create->add_option("--on", a->resources, "an ARN, with * and ? (default: all)");
  create->add_option("--policy", a->policy_file, "a whole policy document instead");
  create->add_flag("--administrator", a->administrator, "all actions, in all accounts");
  create->add_option("--account", a->account, "of another account (administrators)");
  create->add_option("--days", a->days, "expires after so many days")->check(CLI::Range(1, 3650));
  create->footer("example: holdfast keys create --name bot --allow bedrock:InvokeModel --days 90");
  create->callback([=, &work] { work = [=] { return create_key(*ctx, *a); }; });
  auto* list = keys->add_subcommand("list", "list them, without secrets");
  list->add_option("--account", a->account, "of another account (administrators)");
  list->footer("example: holdfast keys list");
  list->callback([=, &work] { work = [=] { return list_keys(*ctx, *a); }; });
  auto* remove = keys->add_subcommand("remove", "remove one: it is refused from the next request on");
  remove->add_option("id", a->id, "the key's id")->required();
  remove->add_option("--account", a->account, "of another account (administrators)");
  remove->footer("example: holdfast keys remove HFAK1234567890ABCDEF");
  remove->callback([=, &work] { work = [=] { return remove_key(*ctx, *a); }; });
}

void add_accounts(CLI::App& app, Context& context, Work& work) {
  auto* accounts = app.add_subcommand("accounts", "accounts (tenants): list, create");
  accounts->footer("example: holdfast accounts create research");
  accounts->require_subcommand(0, 1);
  auto name = std::make_shared<std::string>();
  auto* ctx = &context;
  auto list = [ctx]() -> Result<int> {
    auto client = TRY(connect(*ctx));
    json::value answer = TRY(client->holdfast("GET", "/accounts"));
    if (ctx->json) {
      print_json(answer);
      return kDone;
    }
    std::vector<std::vector<std::string>> rows = {{"ACCOUNT", "NAME", "CREATED"}};
    for (const json::value& a : answer.at("accounts").as_array())
      rows.push_back({member(a, "id"), member(a, "name"), member(a, "created")});
    print(table(rows));
    return kDone;
  };
  accounts->callback([=, &work] {
    if (accounts->get_subcommands().empty()) work = list;
  });
  auto* list_command = accounts->add_subcommand("list", "list them");
  list_command->footer("example: holdfast accounts list");
  list_command->callback([=, &work] { work = list; });
  auto* create = accounts->add_subcommand("create", "make one; its number is the tenant's id everywhere");
  create->add_option("name", *name, "what to call it")->required();
  create->footer("example: holdfast accounts create research");
  create->callback([=, &work] {
    work = [=]() -> Result<int> {
      auto client = TRY(connect(*ctx));
      json::value body = json::object{{"name", *name}}, answer = TRY(client->holdfast("POST", "/accounts", &body));
      if (ctx->json)
        print_json(answer);
      else
        print(member(answer.at("account"), "id"));
      return kDone;
    };
  });
}

}  // namespace

void add_access_commands(CLI::App& app, Context& context, Work& work) {
  add_keys(app, context, work);
  add_accounts(app, context, work);
}

}  // namespace hf::app
