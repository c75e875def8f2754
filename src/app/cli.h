// The command line. Every command has an example in its help; --json prints one JSON value on standard output and all
// else on standard error; the exit status is 0 only where the command's goal is met:
//   0 done   1 failed   2 wrong usage   3 no site runs there
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>

#include "app/client.h"
#include "base/result.h"
#include "os/clock.h"
#include "os/fs.h"

namespace CLI {
class App;
}

namespace hf::app {

struct Context {
  os::Fs& fs;
  os::Clock& clock;
  os::Random& random;
  std::string state = "var";
  bool json = false;
  std::string program = "holdfast";  // as a shell finds it: for the commands that are printed to go on with
};

enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2, kNoSite = 3 };

// A command's work, chosen by the parser and run after it.
using Work = std::function<Result<int>()>;

int run(int argc, char** argv);

// One function a family of commands (cmd_*.cc): adds its subcommands to the parser.
void add_site_commands(CLI::App& app, Context& context, Work& work);       // up down status env doctor service
void add_model_commands(CLI::App& app, Context& context, Work& work);      // models train jobs chat
void add_try_command(CLI::App& jobs, Context& context, Work& work);        // jobs try
void add_access_commands(CLI::App& app, Context& context, Work& work);     // keys accounts
void add_evidence_commands(CLI::App& app, Context& context, Work& work);   // ledger receipt evidence coverage
void add_login_command(CLI::App& app, Context& context, Work& work);       // login
void add_usage_commands(CLI::App& app, Context& context, Work& work);      // usage quotas
void add_oidc_commands(CLI::App& app, Context& context, Work& work);       // oidc
void add_egress_commands(CLI::App& app, Context& context, Work& work);     // egress
void add_s3_commands(CLI::App& app, Context& context, Work& work);         // s3
void add_quickstart_command(CLI::App& app, Context& context, Work& work);  // quickstart
void add_help_commands(CLI::App& app, Context& context, Work& work);       // completion man

// For commands.
// As the administrator of the state folder's site; or as the session that 'holdfast login' has put into the
// environment, at the site that it names. unavailable: no site runs there.
Result<std::unique_ptr<ApiClient>> connect(const Context& context);
// What the site says of itself, with its addresses.
Result<boost::json::value> status_of(const Context& context);
// Writes the answer's body into a file as it comes, synced; its size.
Result<uint64_t> fetch(const Context& context, ApiClient& client, const ApiClient::Request& request,
                       const std::string& path);
void print_json(const boost::json::value& value);  // standard output, one line
void print(const std::string& text);               // standard output
// A text that is the command's result: as it is, or with --json as the one member `name` of an object.
void print_text(const Context& context, const char* name, const std::string& text);
void say(const std::string& text);  // standard error
// A table with aligned columns; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);
std::string member(const boost::json::value& object, std::string_view name);  // as text; "" if absent

// What a site says of its workers' isolation, a wall an item: those that hold, and those that do not hold here and why.
struct Walls {
  std::vector<std::string> hold, missing;
};
Walls walls_of(std::string_view isolation);

std::string shell_quoted(const std::string& text);  // one word of a shell, whatever is in it

std::string bash_completion(const CLI::App& root);
std::string man_page(const CLI::App& root);

}  // namespace hf::app
