// up, down, status, env, doctor, service.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>

#include "app/cli.h"
#include "app/doctor.h"
#include "app/service_unit.h"
#include "app/settings.h"
#include "app/site.h"
#include "app/state.h"
#include "app/training.h"
#include "base/text.h"
#include "fleet/fleet.h"
#include "os/doorkeeper.h"
#include "os/process.h"
#include "os/signals.h"
#include "os/thread.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr int kStartTimeoutMs = 60'000;  // a first start makes keys and a certificate: well under a second
constexpr int kStopTimeoutMs = 30'000;   // the drain of the site itself is 20 s

Result<json::object> site_file(const Context& context) {
  std::string text = TRY(context.fs.read_file(context.state + "/site.json", 1 << 20));
  boost::system::error_code ec;
  json::value v = json::parse(text, ec);
  if (ec || !v.is_object()) return fail(Code::corrupt, context.state + "/site.json: expected a JSON object");
  return v.as_object();
}

void show_site(const Context& context, const json::value& status) {
  if (context.json) return print_json(status);
  std::string models;
  if (const json::object* o = status.if_object(); o && o->contains("models") && o->at("models").is_array())
    for (const auto& m : o->at("models").as_array())
      models += " " + std::string(m.is_string() ? m.as_string().c_str() : "");
  print("site      " + member(status, "site") + " (region " + member(status, "region") + ", residency " +
        member(status, "residency") + ", account " + member(status, "account") + ")");
  print("endpoint  " + member(status, "endpoint") + "  (TLS; authority " + member(status, "ca") + ")");
  print("          " + member(status, "http_endpoint") + "  (clear text, loopback only)");
  if (!member(status, "listen").empty()) print("open at   " + member(status, "listen") + "  (TLS only)");
  print("version   " + member(status, "version"));
  print("process   " + member(status, "pid") + ", worker " + member(status, "worker_pid"));
  const Walls walls = walls_of(member(status, "isolation"));
  print("isolation " + std::to_string(walls.hold.size()) + " walls round a worker hold (" + context.program +
        " doctor names and tries them)");
  for (const std::string& wall : walls.missing) print("          NOT here: " + wall);
  print("egress    " + member(status, "egress"));
  print("loaded   " + (models.empty() ? " nothing" : models));
  print("next      eval \"$(" + context.program + " env --state " + context.state + ")\"");
}

struct UpArguments {
  std::map<std::string, std::string> given;
  bool foreground = false;
};

// HOLDFAST_ISA is for this run alone, and the setting goes before it.
Result<Settings> with_environment(Settings settings) {
  const char* isa = std::getenv("HOLDFAST_ISA");
  if (!isa || !settings.text("isa").empty()) return settings;
  if (Status set = settings.set("isa", isa); !set.ok())
    return fail(Code::invalid, "HOLDFAST_ISA in the environment: " + set.error().message);
  return settings;
}

Result<int> serve(const Context& context, const Settings& settings) {
  auto keeper = TRY(os::Doorkeeper::start());  // first: the helper knows nothing, and from here on there is no network
  os::block_stop_signals();
  const Settings effective = TRY(with_environment(settings));
  auto site =
      TRY(RunningSite::start(context.fs, context.clock, context.random, context.state, effective, keeper.get()));
  say("holdfast: " + keeper->words());
  TRY(settings.save(context.fs, context.state));  // only what a site could start with is kept for the next start
  say("holdfast: serving at " + site->endpoint());
  int signal = os::wait_for_stop_signal();
  say("holdfast: signal " + std::to_string(signal) + ", stopping");
  bool whole = site->stop(20'000);
  say(whole ? "holdfast: stopped" : "holdfast: stopped; requests that took too long were cut");
  return kDone;
}

// Starts this program again in the background and waits until it serves, or says why it does not.
Result<int> launch(const Context& context, const std::map<std::string, std::string>& given) {
  os::Spawn spec;
  spec.arguments = {"up", "--foreground", "--state", context.state};
  for (const auto& [name, value] : given) {
    spec.arguments.push_back("--" + name);
    spec.arguments.push_back(value);
  }
  for (const char* name : {"HOLDFAST_ISA", "PATH", "HOME", "LANG", "TMPDIR"})
    if (const char* value = std::getenv(name)) spec.environment.push_back(std::string(name) + "=" + value);
  const std::string log_path = context.state + "/log/site.log";
  TRY(context.fs.make_dirs(context.state + "/log"));
  auto log = TRY(context.fs.open(log_path, os::Open::create));
  uint64_t before = TRY(log->size());
  spec.descriptors = {{log->fd(), 1}, {log->fd(), 2}};
  spec.append_outputs = true;
  spec.die_with_parent = false;
  spec.new_session = true;
  auto child = TRY(os::spawn(spec));
  for (int waited = 0; waited < kStartTimeoutMs; waited += 50) {
    auto ended = child->wait(50);
    if (ended.ok()) {
      std::string text = TRY(context.fs.read_file(log_path, 1 << 30));
      return fail(Code::internal,
                  "the site did not start: " + std::string(trim(text.substr(std::min<size_t>(before, text.size())))));
    }
    auto file = site_file(context);
    if (!file.ok() || member(json::value(*file), "pid") != std::to_string(child->pid())) continue;
    auto status = status_of(context);
    if (!status.ok()) continue;
    child->detach();
    show_site(context, *status);
    return kDone;
  }
  return fail(Code::unavailable, "the site did not answer within a minute: see " + log_path);
}

// The one that runs, once it answers: it may just be starting.
Result<json::value> wait_for_site(const Context& context) {
  auto status = status_of(context);
  for (int waited = 0; !status.ok() && waited < kStartTimeoutMs && site_pid(context.fs, context.state) != 0;
       waited += 50) {
    context.clock.sleep_us(50'000);
    status = status_of(context);
  }
  return status;
}

// Settings are read at the start: those of a running site that are asked for otherwise would be ignored in silence.
Status same_settings(const Context& context, const Settings& settings, const UpArguments& arguments) {
  for (const auto& [name, value] : arguments.given)
    if (settings.text(name) != value)
      return fail(Code::conflict, "a site already runs on '" + context.state + "' with --" + name + " '" +
                                      settings.text(name) + "', not '" + value +
                                      "': stop it first with 'holdfast down --state " + context.state + "'");
  return {};
}

Result<int> up(const Context& context, UpArguments arguments) {
  for (const Setting& row : settings())  // the next start may be from another folder
    if (auto it = arguments.given.find(row.name);
        it != arguments.given.end() && std::string_view(row.form) == "file" && !it->second.empty())
      it->second = TRY(absolute_path(it->second));
  if (int pid = site_pid(context.fs, context.state); pid != 0) {
    if (arguments.foreground)
      return fail(Code::conflict, "a site (process " + std::to_string(pid) + ") already runs on the state folder '" +
                                      context.state + "'");
    json::value status = TRY(wait_for_site(context));
    TRY(same_settings(context, TRY(Settings::load(context.fs, context.state)), arguments));
    show_site(context, status);
    return kDone;
  }
  TRY(context.fs.make_dirs(context.state));
  Settings settings = TRY(Settings::load(context.fs, context.state));
  for (const auto& [name, value] : arguments.given) TRY(settings.set(name, value));
  if (settings.text("cert").empty() != settings.text("key").empty())
    return fail(Code::invalid, "--cert and --key belong together: only one was given");
  if (!settings.text("listen").empty() && settings.text("host").empty() && settings.text("cert").empty())
    return fail(Code::invalid, "--listen needs --host NAME: the name others use, which the certificate must hold");
  return arguments.foreground ? serve(context, settings) : launch(context, arguments.given);
}

Result<int> down(const Context& context) {
  int pid = site_pid(context.fs, context.state);
  if (pid == 0) {
    if (context.json) print_json(json::object{{"stopped", false}});
    say("no site runs on '" + context.state + "'");
    return kDone;
  }
  TRY(os::send_signal(pid, SIGTERM));
  for (int waited = 0; waited < kStopTimeoutMs; waited += 50) {
    if (site_pid(context.fs, context.state) != pid) {
      if (context.json) print_json(json::object{{"stopped", true}, {"pid", pid}});
      say("stopped (process " + std::to_string(pid) + ")");
      return kDone;
    }
    context.clock.sleep_us(50'000);
  }
  return fail(Code::unavailable, "process " + std::to_string(pid) + " did not stop within 30 s");
}

// What the clients' own variables are called; CA variables for Python's and Node's.
Result<int> env(const Context& context) {
  Connection c = TRY(read_connection(context.fs, context.state));
  std::vector<std::pair<std::string, std::string>> rows = {
      {"AWS_ENDPOINT_URL", c.endpoint},
      {"AWS_REGION", c.region},
      {"AWS_DEFAULT_REGION", c.region},
      {"AWS_ACCESS_KEY_ID", c.credentials.access_key_id},
      {"AWS_SECRET_ACCESS_KEY", std::string(c.credentials.secret.reveal())},
      {"AWS_CA_BUNDLE", c.ca_path},
      {"NODE_EXTRA_CA_CERTS", c.ca_path},
      {"OPENAI_BASE_URL", c.endpoint + "/v1"},
      {"OPENAI_API_KEY", std::string(c.api_key.reveal())},
      {"HOLDFAST_ENDPOINT", c.endpoint},
      {"HOLDFAST_HTTP_ENDPOINT", c.http_endpoint},
      {"HOLDFAST_ACCOUNT", c.account},
      {"HOLDFAST_STATE", context.state},
  };
  if (context.json) {
    json::object object;
    for (const auto& [name, value] : rows) object[name] = value;
    print_json(object);
    return kDone;
  }
  for (const auto& [name, value] : rows) {
    print("export " + name + "=" + shell_quoted(value));
  }
  return kDone;
}

void add_up(CLI::App& app, Context& context, Work& work) {
  auto* command = app.add_subcommand("up", "start the site in the background (or print the one that runs)");
  auto arguments = std::make_shared<UpArguments>();
  for (const Setting& row : settings()) {
    std::string name = row.name;
    command
        ->add_option_function<std::string>(
            "--" + name, [arguments, name](const std::string& value) { arguments->given[name] = value; },
            std::string(row.help) + (*row.value ? " (default " + std::string(row.value) + ")" : ""))
        ->type_name(row.form);
  }
  command->add_flag("--foreground", arguments->foreground, "serve in this process until SIGTERM");
  command->footer("example: holdfast up --listen 0.0.0.0:8443 --host factory.example.org");
  command->callback([&context, &work, arguments] { work = [&context, arguments] { return up(context, *arguments); }; });
}

void add_service(CLI::App& app, Context& context, Work& work) {
  auto* service = app.add_subcommand("service", "run the site as a systemd service with a user of its own");
  service->require_subcommand(1);
  service->footer("example: sudo holdfast service install");
  auto options = std::make_shared<ServiceOptions>();
  auto add_options = [&](CLI::App* command) {
    command->add_option("--listen", options->listen, "open it to others at ADDR:PORT, TLS only");
    command->add_option("--host", options->host, "the name others use");
    command->add_option("--cert", options->cert, "a certificate of your own (PEM, with its chain)");
    command->add_option("--key", options->key, "the key of --cert (PEM)");
  };
  auto* install =
      service->add_subcommand("install", "make the user, install program and unit, start it; or upgrade it");
  install->add_option("--root", options->root, "install below this folder instead of / (nothing is started)");
  add_options(install);
  install->footer("example: sudo holdfast service install --listen 0.0.0.0:8443 --host factory.example.org");
  install->callback([&context, &work, &app, options] {
    work = [&context, &app, options] {
      return install_service(context, *options, {man_page(app), bash_completion(app)});
    };
  });
  auto* uninstall = service->add_subcommand("uninstall", "stop it, remove program and unit; its state stays");
  uninstall->add_option("--root", options->root, "below this folder instead of /");
  uninstall->footer("example: sudo holdfast service uninstall");
  uninstall->callback(
      [&context, &work, options] { work = [&context, options] { return uninstall_service(context, *options); }; });
  auto* show = service->add_subcommand("show", "print the unit");
  add_options(show);
  show->footer("example: holdfast service show");
  show->callback([&context, &work, options] {
    work = [&context, options]() -> Result<int> {
      print_text(context, "unit", service_unit(TRY(checked(*options))));
      return kDone;
    };
  });
}

}  // namespace

Result<json::value> status_of(const Context& context) {
  auto client = TRY(connect(context));
  json::value status = TRY(client->holdfast("GET", "/status"));
  if (json::object* o = status.if_object()) {
    (*o)["endpoint"] = client->connection().endpoint;
    (*o)["http_endpoint"] = client->connection().http_endpoint;
    (*o)["ca"] = client->connection().ca_path;
  }
  return status;
}

void add_site_commands(CLI::App& app, Context& context, Work& work) {
  add_up(app, context, work);
  auto* down_command = app.add_subcommand("down", "stop the site");
  down_command->footer("example: holdfast down --state ./var");
  down_command->callback([&] { work = [&] { return down(context); }; });

  auto* status = app.add_subcommand("status", "what runs here; exit status 3 if nothing does");
  auto quiet = std::make_shared<bool>(false);
  status->add_flag("--quiet", *quiet, "print nothing, only set the exit status");
  status->footer("example: holdfast status --json");
  status->callback([&context, &work, quiet] {
    work = [&context, quiet]() -> Result<int> {
      auto answer = status_of(context);
      if (*quiet) return answer.ok() ? kDone : kNoSite;
      show_site(context, TRY(std::move(answer)));
      return kDone;
    };
  });

  auto* env_command = app.add_subcommand("env", "print endpoint, region, keys and CA for eval");
  env_command->footer("example: eval \"$(holdfast env)\"");
  env_command->callback([&] { work = [&] { return env(context); }; });

  auto* doctor_command = app.add_subcommand("doctor", "say which isolation this machine allows, by trying");
  doctor_command->footer("example: holdfast doctor");
  doctor_command->callback([&] { work = [&] { return doctor(context); }; });
  add_service(app, context, work);
}

}  // namespace hf::app
