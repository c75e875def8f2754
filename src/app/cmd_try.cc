// jobs try: a program in the job's sandbox.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <map>

#include "app/cli.h"
#include "base/text.h"

namespace hf::app {
namespace json = boost::json;
namespace {

constexpr uint64_t kMaxFile = 1 << 20;

struct TryArguments {
  std::vector<std::string> command, files, environment, doors;
  int64_t seconds = 60, memory_mib = 1024;
};

Result<json::object> body_of(const Context& context, const TryArguments& arguments) {
  json::object files, environment;
  for (const std::string& path : arguments.files) {
    const std::string name = path.substr(path.rfind('/') + 1), text = TRY(context.fs.read_file(path, kMaxFile));
    if (!valid_utf8(text)) return fail(Code::invalid, path + ": expected text (UTF-8)");
    if (files.contains(name)) return fail(Code::invalid, path + ": another file has the name " + name);
    files[name] = text;
  }
  for (const std::string& pair : arguments.environment) {
    const size_t equals = pair.find('=');
    if (equals == pair.npos) return fail(Code::invalid, "--env: expected NAME=VALUE, found '" + pair + "'");
    environment[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return json::object{{"command", json::array(arguments.command.begin(), arguments.command.end())},
                      {"doors", json::array(arguments.doors.begin(), arguments.doors.end())},
                      {"environment", environment},
                      {"files", files},
                      {"memory_mib", arguments.memory_mib},
                      {"seconds", arguments.seconds}};
}

Result<int> try_job(const Context& context, const TryArguments& arguments) {
  const json::value body = TRY(body_of(context, arguments));
  auto client = TRY(connect(context));
  const json::value end = TRY(client->holdfast("POST", "/try-job", &body));
  const bool done = member(end, "ended") == "exited" && member(end, "status") == "0";
  if (context.json) {
    print_json(end);
    return done ? kDone : kFailed;
  }
  if (const std::string output = member(end, "output"); !output.empty()) print(output);
  if (member(end, "output_cut") == "true") say("(the rest of its output was dropped)");
  if (const json::object* o = end.if_object(); o && o->contains("files") && o->at("files").is_array())
    for (const auto& file : o->at("files").as_array())
      say("wrote   /opt/ml/" + member(file, "name") + ", " + member(file, "bytes") + " bytes");
  const auto us = parse_int(member(end, "microseconds"));
  say(member(end, "ended") + " with status " + member(end, "status") + " after " +
      std::to_string(us.ok() ? *us / 1000 : 0) + " ms; " + member(end, "refused") +
      " system calls were refused it (holdfast ledger entries names them)");
  return done ? kDone : kFailed;
}

}  // namespace

void add_try_command(CLI::App& jobs, Context& context, Work& work) {
  auto arguments = std::make_shared<TryArguments>();
  auto* command = jobs.add_subcommand("try", "run a program in the sandbox of jobs, and say what it was refused");
  command->add_option("--file", arguments->files, "a text file that it finds below /opt/ml/code")
      ->allow_extra_args(false);
  command->add_option("--env", arguments->environment, "NAME=VALUE for its environment")->allow_extra_args(false);
  command->add_option("--door", arguments->doors, "an egress door that it finds as the socket /opt/ml/doors/NAME")
      ->allow_extra_args(false);
  command->add_option("--seconds", arguments->seconds, "it is ended after so many")->capture_default_str();
  command->add_option("--memory-mib", arguments->memory_mib, "of data for each process")->capture_default_str();
  command->add_option("command", arguments->command, "program and arguments, after --")->required()->expected(1, -1);
  command->footer("example: holdfast jobs try --file train.py -- python3 /opt/ml/code/train.py");
  command->callback(
      [&context, &work, arguments] { work = [&context, arguments] { return try_job(context, *arguments); }; });
}

}  // namespace hf::app
