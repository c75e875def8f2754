#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "app/term.h"
#include "base/text.h"
#include "engine/worker.h"
#include "fleet/sandbox_job.h"
#include "os/process.h"

namespace hf::app {
namespace json = boost::json;
namespace {
constexpr int kHealthTimeoutMs = 10'000;  // the health route waits for nothing
}

namespace {

// The session of a person who has logged in, if the environment holds one.
Result<std::optional<Connection>> session_of_environment(os::Fs& fs) {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  Connection c;
  c.endpoint = variable("AWS_ENDPOINT_URL");
  c.region = variable("AWS_REGION");
  c.credentials = {variable("AWS_ACCESS_KEY_ID"), crypto::Secret(variable("AWS_SECRET_ACCESS_KEY")),
                   variable("AWS_SESSION_TOKEN")};
  if (c.credentials.session_token.empty() || c.endpoint.empty()) return std::optional<Connection>();
  c.ca_path = variable("AWS_CA_BUNDLE");
  if (!c.ca_path.empty()) c.ca_pem = TRY(fs.read_file(c.ca_path, 1 << 20));
  return std::optional(std::move(c));
}

}  // namespace

Result<std::unique_ptr<ApiClient>> connect(const Context& context) {
  auto session = TRY(session_of_environment(context.fs));
  Connection connection = session ? std::move(*session) : TRY(read_connection(context.fs, context.state));
  auto prober = TRY(ApiClient::make(connection, context.clock, kHealthTimeoutMs));
  ApiClient::Request health;
  health.path = "/health";
  health.anonymous = true;  // with credentials it would be a request like any other, and a denial in the ledger
  auto answer = prober->send(health);
  if (!answer.ok())
    return fail(Code::unavailable, kNoSiteName,
                "no site answers at " + connection.endpoint + " (state folder '" + context.state + "'; " +
                    answer.error().message + "): start it with 'holdfast up --state " + context.state + "'");
  return ApiClient::make(std::move(connection), context.clock);
}

Result<uint64_t> fetch(const Context& context, ApiClient& client, const ApiClient::Request& request,
                       const std::string& path) {
  Waiting waiting(stderr_terminal(), context.clock, "fetching " + path);
  // Beside its place until it is whole: a failed answer leaves what was there.
  const std::string part = path + ".part";
  auto out = TRY(context.fs.open(part, os::Open::create, 0644));
  TRY(out->truncate(0));
  auto discard = [&](Error error) -> Error {
    (void)context.fs.remove(part);
    return error;
  };
  uint64_t at = 0;
  Status wrote;
  std::string start;  // of the body: an error's text, if it is one
  auto answer = client.stream(request, [&](std::string_view piece) {
    if (start.size() < (1 << 16)) start += piece;
    wrote = out->write_at(at, piece);
    at += piece.size();
    waiting.moved(piece.size());
    return wrote.ok();
  });
  if (!wrote.ok()) return discard(std::move(wrote).error());
  if (!answer.ok()) return discard(std::move(answer).error());
  if (answer->status >= 300) {
    answer->body = start;
    return discard(error_of(*answer));
  }
  if (auto synced = out->sync(); !synced.ok()) return discard(std::move(synced).error());
  if (auto placed = context.fs.rename(part, path); !placed.ok()) return discard(std::move(placed).error());
  return at;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
}

void print_json(const json::value& value) { print(json::serialize(value)); }

void print_text(const Context& context, const char* name, const std::string& text) {
  context.json ? print_json(json::object{{name, text}}) : print(text);
}

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

Walls walls_of(std::string_view isolation) {
  constexpr std::string_view kHold = "Holds: ", kMissing = " Does not hold here: ";
  auto items = [](std::string_view text) {
    std::vector<std::string> out;
    text = trim(text);
    if (text.ends_with('.')) text.remove_suffix(1);
    for (std::string_view item : split(text, ';'))
      if (!trim(item).empty()) out.emplace_back(trim(item));
    return out;
  };
  const size_t cut = std::min(isolation.find(kMissing), isolation.size());
  std::string_view hold = isolation.substr(0, cut);
  if (hold.starts_with(kHold)) hold.remove_prefix(kHold.size());
  Walls out;
  if (!hold.starts_with("nothing")) out.hold = items(hold);
  if (cut < isolation.size()) out.missing = items(isolation.substr(cut + kMissing.size()));
  return out;
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
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
  add_login_command(app, context, work);
  add_oidc_commands(app, context, work);
  add_usage_commands(app, context, work);
  add_egress_commands(app, context, work);
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

// The parser failed, so its own flag is not set yet.
int wrong_usage(int argc, char** argv, const std::string& message) {
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--json") {
      print_json(json::object{{"error", {{"message", message}, {"name", "Usage"}}}});
      break;
    }
  say("holdfast: " + message);
  return kUsage;
}

}  // namespace

int run(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "worker") return engine::worker_entry(argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "job-init") return fleet::job_init_entry(argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "ways-out") return engine::ways_out_entry(argc, argv);
  // Those above have it from whoever started them, and may not open what it is set by.
  if (auto s = os::no_core_dumps(); !s.ok()) std::fprintf(stderr, "holdfast: %s\n", s.error().message.c_str());
  Context context{os::real_fs(), os::real_clock(), os::real_random()};
  if (argc > 0 && std::string_view(argv[0]).find('/') != std::string_view::npos) context.program = argv[0];
  CLI::App app{"Holdfast: an AI factory that you own and run"};
  app.name("holdfast");
  Work work;
  build(app, context, work);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e, std::cout, std::cerr), kDone;
    return wrong_usage(argc, argv, std::string(e.what()) + " ('holdfast --help' lists what there is)");
  }
  if (!work) {
    say(app.help());
    return wrong_usage(argc, argv, "expected a command");
  }
  try {
    auto result = work();
    return result.ok() ? *result : report(context, result.error());
  } catch (const std::exception& e) {  // an answer of another shape than ours, or no memory
    return report(context, fail(Code::internal, std::string("unexpected: ") + e.what()));
  }
}

}  // namespace hf::app
