#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>

#include "engine/worker.h"

namespace hf::app {
namespace json = boost::json;

Result<std::unique_ptr<ApiClient>> connect(const Context& context) {
  Connection connection = TRY(read_connection(context.fs, context.state));
  auto client = TRY(ApiClient::make(std::move(connection), context.clock));
  ApiClient::Request health;
  health.path = "/health";
  auto answer = client->send(health);
  if (!answer.ok())
    return fail(Code::unavailable, kNoSiteName,
                "no site answers at " + client->connection().endpoint + " (state folder '" + context.state +
                    "'): start it with 'holdfast up --state " + context.state + "'");
  return client;
}

Result<uint64_t> fetch(const Context& context, ApiClient& client, const ApiClient::Request& request,
                       const std::string& path) {
  auto out = TRY(context.fs.open(path, os::Open::create, 0644));
  TRY(out->truncate(0));
  uint64_t at = 0;
  Status wrote;
  std::string start;  // of the body: an error's text, if it is one
  http::Response response = TRY(client.stream(request, [&](std::string_view piece) {
    if (start.size() < (1 << 16)) start += piece;
    wrote = out->write_at(at, piece);
    at += piece.size();
    return wrote.ok();
  }));
  TRY(std::move(wrote));
  if (response.status >= 300) {
    response.body = start;
    return error_of(response);
  }
  TRY(out->sync());
  return at;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
}

void print_json(const json::value& value) { print(json::serialize(value)); }

void say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out += line + "\n";
  }
  return out;
}

std::string member(const json::value& object, std::string_view name) {
  const json::object* o = object.if_object();
  const json::value* v = o ? o->if_contains({name.data(), name.size()}) : nullptr;
  if (!v || v->is_null()) return {};
  return v->is_string() ? std::string(v->as_string()) : json::serialize(*v);
}

namespace {

void build(CLI::App& app, Context& context, Work& work) {
  app.require_subcommand(0, 1);
  app.fallthrough();  // --state and --json may stand before or after the command
  app.set_version_flag("--version", "holdfast 0.1.0");
  app.add_option("--state", context.state, "the site's state folder")->envname("HOLDFAST_STATE")->capture_default_str();
  app.add_flag("--json", context.json, "print one JSON value on standard output");
  app.footer("example: holdfast up && eval \"$(holdfast env)\" && holdfast status");
  add_site_commands(app, context, work);
  add_quickstart_command(app, context, work);
  add_model_commands(app, context, work);
  add_access_commands(app, context, work);
  add_s3_commands(app, context, work);
  add_evidence_commands(app, context, work);
  add_help_commands(app, context, work);
}

int report(const Context& context, const Error& error) {
  if (context.json) {
    json::object e{{"message", error.message}};
    if (!error.name.empty() && error.name != kNoSiteName) e["name"] = error.name;
    print_json(json::object{{"error", e}});
  }
  say("holdfast: " + (error.name.empty() || error.name == kNoSiteName ? "" : error.name + ": ") + error.message);
  return error.name == kNoSiteName ? kNoSite : kFailed;
}

}  // namespace

int run(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "worker") return engine::worker_entry(argc, argv);
  Context context{os::real_fs(), os::real_clock(), os::real_random()};
  CLI::App app{"Holdfast: an AI factory that you own and run"};
  app.name("holdfast");
  Work work;
  build(app, context, work);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e, std::cout, std::cerr) == 0 ? kDone : kUsage;
  }
  if (!work) {
    say(app.help());
    return kUsage;
  }
  auto result = work();
  return result.ok() ? *result : report(context, result.error());
}

}  // namespace hf::app
