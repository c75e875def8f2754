// usage, quotas: who has used what, and who may use how much.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/cli.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

struct Arguments {
  std::string account, from, to, principal;
  bool csv = false;
  int64_t tokens = 0, requests = 0;
};

constexpr const char* kColumns[] = {"day",    "account",      "principal",     "model", "requests",
                                    "errors", "input_tokens", "output_tokens", "jobs",  "job_seconds"};

// All rows of the days asked for, page by page, and what the account has stored now.
Result<json::object> all_usage(ApiClient& client, const Arguments& a) {
  json::object out{{"usage", json::array()}};
  std::string after;
  for (bool more = true; more;) {
    std::string query;
    auto add = [&](const char* name, const std::string& value) {
      if (!value.empty()) query += (query.empty() ? "" : "&") + std::string(name) + "=" + percent_encode(value);
    };
    add("account", a.account);
    add("from", a.from);
    add("to", a.to);
    add("after", after);
    json::value page = TRY(client.holdfast("GET", "/usage", nullptr, query));
    for (json::value& row : page.at("usage").as_array()) out["usage"].as_array().push_back(std::move(row));
    out["storage"] = page.at("storage");
    after = member(page, "next");
    more = !after.empty();
  }
  return out;
}

std::string cell(const json::value& row, std::string_view column) {
  if (column != "job_seconds") return member(row, column);
  const json::value* us = row.as_object().if_contains("job_microseconds");
  const int64_t ms = us && us->is_int64() ? us->as_int64() / 1000 : 0;
  const std::string rest = std::to_string(ms % 1000);
  return std::to_string(ms / 1000) + "." + std::string(3 - rest.size(), '0') + rest;
}

// RFC 4180; a cell that a spreadsheet would take for a formula is not one.
std::string csv_cell(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos) text = "'" + text;
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

Result<int> usage(const Context& context, const Arguments& a) {
  auto client = TRY(connect(context));
  const json::object all = TRY(all_usage(*client, a));
  if (context.json) return print_json(all), kDone;
  std::vector<std::vector<std::string>> rows(1);
  for (const char* column : kColumns) rows[0].emplace_back(column);
  for (const json::value& row : all.at("usage").as_array()) {
    rows.emplace_back();
    for (const char* column : kColumns) rows.back().push_back(cell(row, column));
  }
  if (!a.csv) {
    print(table(rows));
    print("stored now: " + member(all.at("storage"), "objects") + " objects, " + member(all.at("storage"), "bytes") +
          " bytes");
    return kDone;
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (const auto& text : row) line += (line.empty() && &text == &row[0] ? "" : ",") + csv_cell(text);
    out += line + "\r\n";
  }
  print(out);
  return kDone;
}

Result<int> set_quota(const Context& context, const Arguments& a, bool remove) {
  if (!remove && a.tokens == 0 && a.requests == 0)
    return fail(Code::invalid, "expected --tokens-per-minute or --requests-at-once, or both");
  json::object body{{"principal", a.principal}};
  if (!a.account.empty()) body["account"] = a.account;
  if (!remove && a.tokens) body["tokens_per_minute"] = a.tokens;
  if (!remove && a.requests) body["requests_at_once"] = a.requests;
  auto client = TRY(connect(context));
  const json::value request = body, answer = TRY(client->holdfast("PUT", "/quotas", &request));
  if (context.json) return print_json(answer), kDone;
  print(remove ? "no quota for " + member(answer, "principal")
               : member(answer, "principal") + ": " + (a.tokens ? std::to_string(a.tokens) + " tokens a minute" : "") +
                     (a.tokens && a.requests ? ", " : "") +
                     (a.requests ? std::to_string(a.requests) + " requests at once" : ""));
  return kDone;
}

Result<int> list_quotas(const Context& context, const Arguments& a) {
  auto client = TRY(connect(context));
  const json::value answer =
      TRY(client->holdfast("GET", "/quotas", nullptr, a.account.empty() ? "" : "account=" + percent_encode(a.account)));
  if (context.json) return print_json(answer.at("quotas")), kDone;
  std::vector<std::vector<std::string>> rows = {{"PRINCIPAL", "TOKENS A MINUTE", "REQUESTS AT ONCE"}};
  for (const json::value& q : answer.at("quotas").as_array())
    rows.push_back({member(q, "principal"), member(q, "tokens_per_minute"), member(q, "requests_at_once")});
  print(table(rows));
  return kDone;
}

}  // namespace

void add_usage_commands(CLI::App& app, Context& context, Work& work) {
  auto a = std::make_shared<Arguments>();
  auto* ctx = &context;
  auto* usage_command = app.add_subcommand("usage", "who has used what: requests, tokens, jobs, by day and model");
  usage_command->add_option("--from", a->from, "the first day (YYYY-MM-DD)");
  usage_command->add_option("--to", a->to, "the last day");
  usage_command->add_option("--account", a->account, "of another account (administrators)");
  usage_command->add_flag("--csv", a->csv, "as CSV");
  usage_command->footer("example: holdfast usage --from 2026-11-01 --to 2026-11-30 --csv > november.csv");
  usage_command->callback([=, &work] { work = [=] { return usage(*ctx, *a); }; });

  auto* quotas = app.add_subcommand("quotas", "how much an identity may have computed: set, list, remove");
  quotas->footer("example: holdfast quotas list");
  quotas->require_subcommand(1, 1);
  auto* set = quotas->add_subcommand("set", "give a user, a role or the account a quota, in place of its old one");
  set->add_option("principal", a->principal, "its ARN, or 'account'")->required();
  set->add_option("--tokens-per-minute", a->tokens, "prompt and generated ones")->check(CLI::Range(1, 1'000'000'000));
  set->add_option("--requests-at-once", a->requests, "inferences that run or wait")->check(CLI::Range(1, 1'000'000));
  set->add_option("--account", a->account, "of another account (administrators)");
  set->footer("example: holdfast quotas set account --tokens-per-minute 100000");
  set->callback([=, &work] { work = [=] { return set_quota(*ctx, *a, false); }; });
  auto* list = quotas->add_subcommand("list", "the quotas that there are");
  list->add_option("--account", a->account, "of another account (administrators)");
  list->footer("example: holdfast quotas list");
  list->callback([=, &work] { work = [=] { return list_quotas(*ctx, *a); }; });
  auto* remove = quotas->add_subcommand("remove", "no quota any more");
  remove->add_option("principal", a->principal, "its ARN, or 'account'")->required();
  remove->add_option("--account", a->account, "of another account (administrators)");
  remove->footer("example: holdfast quotas remove account");
  remove->callback([=, &work] { work = [=] { return set_quota(*ctx, *a, true); }; });
}

}  // namespace hf::app
