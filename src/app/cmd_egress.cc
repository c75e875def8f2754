// egress: the named ways out of the site.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/cli.h"
#include "app/settings.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

struct EgressArguments {
  std::string name, to, account, purpose;
};

std::string query_of(const EgressArguments& a) { return a.account.empty() ? "" : "account=" + a.account; }

Result<int> allow(const Context& context, const EgressArguments& a) {
  const Address to = TRY(parse_address(a.to));
  json::object body{{"address", to.host}, {"port", to.port}};
  if (!a.account.empty()) body["account"] = a.account;
  if (!a.purpose.empty()) body["purpose"] = a.purpose;
  auto client = TRY(connect(context));
  const json::value request = body, answer = TRY(client->holdfast("PUT", "/egress/doors/" + a.name, &request));
  if (context.json) return print_json(answer), kDone;
  print("door " + a.name + " leads to " + a.to + ", for account " + member(answer.at("door"), "account") +
        "; who may use it: a policy that allows holdfast:UseEgressDoor on " + member(answer.at("door"), "arn"));
  return kDone;
}

Result<int> list(const Context& context, const EgressArguments& a) {
  auto client = TRY(connect(context));
  const json::value answer = TRY(client->holdfast("GET", "/egress/doors", nullptr, query_of(a)));
  if (context.json) return print_json(answer.at("doors")), kDone;
  std::vector<std::vector<std::string>> rows = {{"NAME", "TO", "CONNECTIONS", "OPEN", "OUT", "IN", "PURPOSE"}};
  for (const json::value& door : answer.at("doors").as_array()) {
    const std::string address = member(door, "address");
    const std::string host = address.find(':') == address.npos ? address : "[" + address + "]";
    rows.push_back({member(door, "name"), host + ":" + member(door, "port"), member(door, "connections"),
                    member(door, "open_connections"), member(door, "bytes_out"), member(door, "bytes_in"),
                    member(door, "purpose")});
  }
  print(table(rows));
  return kDone;
}

Result<int> remove(const Context& context, const EgressArguments& a) {
  auto client = TRY(connect(context));
  TRY(client->holdfast("DELETE", "/egress/doors/" + a.name, nullptr, query_of(a)));
  if (context.json) return print_json(json::object{{"removed", a.name}}), kDone;
  print("removed door " + a.name + "; its connections are ended");
  return kDone;
}

Result<int> status(const Context& context) {
  auto client = TRY(connect(context));
  const json::value answer = TRY(client->holdfast("GET", "/egress"));
  if (context.json) return print_json(answer), kDone;
  print(std::string(member(answer, "sealed") == "true" ? "sealed    " : "NOT SEALED ") + member(answer, "words"));
  print("doors     " + member(answer, "doors") + "; " + member(answer, "connections") + " connections have ended, " +
        member(answer, "open_connections") + " are open");
  print("bytes     " + member(answer, "bytes_out") + " out, " + member(answer, "bytes_in") + " in");
  return kDone;
}

}  // namespace

void add_egress_commands(CLI::App& app, Context& context, Work& work) {
  auto* egress = app.add_subcommand("egress", "the ways out: none but named doors, each counted and in the ledger");
  egress->require_subcommand(1);
  egress->footer("example: holdfast egress allow mirror --to 192.0.2.10:443");
  auto a = std::make_shared<EgressArguments>();
  auto add = [&](const char* name, const char* help, const char* example, Work act) {
    auto* sub = egress->add_subcommand(name, help);
    sub->footer(std::string("example: holdfast egress ") + example);
    sub->callback([&work, act = std::move(act)] { work = act; });
    return sub;
  };
  auto* allowing =
      add("allow", "open a door: an address that programs of an account may connect to",
          "allow mirror --to 192.0.2.10:443 --purpose 'packages'", [&context, a] { return allow(context, *a); });
  allowing->add_option("name", a->name, "the door's name")->required();
  allowing->add_option("--to", a->to, "ADDRESS:PORT, numeric: names are not looked up")->required();
  allowing->add_option("--account", a->account, "whose it is; your own otherwise");
  allowing->add_option("--purpose", a->purpose, "what it is for, in your words");
  auto* listing =
      add("list", "the doors, and what went through them", "list --json", [&context, a] { return list(context, *a); });
  listing->add_option("--account", a->account, "whose; your own otherwise");
  auto* removing = add("remove", "close a door; its connections end", "remove mirror",
                       [&context, a] { return remove(context, *a); });
  removing->add_option("name", a->name, "the door's name")->required();
  removing->add_option("--account", a->account, "whose it is; your own otherwise");
  add("status", "whether the site is sealed, and what went out", "status", [&context] { return status(context); });
}

}  // namespace hf::app
