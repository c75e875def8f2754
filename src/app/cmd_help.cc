// completion and man: both are written from the parser's own tree, so they cannot fall behind it.
#include <CLI/CLI.hpp>

#include "app/cli.h"
#include "base/text.h"

namespace hf::app {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty(); });
}

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* sub : commands_of(app)) words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  return words;
}

// case of "command subcommand": the words that may follow.
void bash_cases(const CLI::App& app, const std::string& path, std::string& out) {
  out += "    '" + path + "') words='" + words_of(app) + "' ;;\n";
  for (const CLI::App* sub : commands_of(app))
    bash_cases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
}

// All that may stand in the way to a command: "|models|models import|...|".
void bash_paths(const CLI::App& app, const std::string& path, std::string& out) {
  if (!path.empty()) out += path + "|";
  for (const CLI::App* sub : commands_of(app))
    bash_paths(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
}

// roff wants a backslash before a leading dot or quote and before every '-' that is an option's.
std::string roff(std::string_view text) {
  std::string out;
  bool start = true;
  for (char c : text) {
    if (start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') out += '\\';
    if (c == '-') out += '\\';
    out += c;
    start = c == '\n';
  }
  return out;
}

void man_command(const CLI::App& app, const std::string& path, std::string& out) {
  out += ".SS " + roff(path) + "\n" + roff(app.get_description()) + "\n";
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty() && option->get_positional()) {
      out += ".TP\n.I " + roff(option->get_name(true)) + "\n" + roff(option->get_description()) + "\n";
    } else if (!option->get_lnames().empty() && option->get_lnames()[0] != "help") {
      out += ".TP\n.B \\-\\-" + roff(option->get_lnames()[0]) + "\n" + roff(option->get_description()) + "\n";
    }
  }
  if (!app.get_footer().empty()) out += ".PP\n.nf\n" + roff(app.get_footer()) + "\n.fi\n";
  for (const CLI::App* sub : commands_of(app)) man_command(*sub, path + " " + sub->get_name(), out);
}

}  // namespace

// Words that are no command (a file, an option's value) do not change what may follow.
std::string bash_completion(const CLI::App& root) {
  std::string out =
      "# bash completion for holdfast: source it, or put it into /etc/bash_completion.d/\n"
      "_holdfast() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} path='' words='' known='|";
  bash_paths(root, "", out);
  out +=
      "' next i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    next=\"${path:+$path }${COMP_WORDS[i]}\"\n"
      "    case $known in *\"|$next|\"*) path=$next ;; esac\n"
      "  done\n"
      "  case $path in\n";
  bash_cases(root, "", out);
  out +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words --state --json --help\" -- \"$word\"))\n"
      "}\n"
      "complete -o default -F _holdfast holdfast\n";
  return out;
}

std::string man_page(const CLI::App& root) {
  std::string out =
      ".TH HOLDFAST 1\n.SH NAME\nholdfast \\- an AI factory that you own and run\n.SH SYNOPSIS\n.B holdfast\n"
      "[\\-\\-state DIR] [\\-\\-json] COMMAND ...\n.SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 no site runs "
      "there\n.SH COMMANDS\n";
  for (const CLI::App* sub : commands_of(root)) man_command(*sub, sub->get_name(), out);
  return out;
}

void add_help_commands(CLI::App& app, Context& context, Work& work) {
  auto* completion = app.add_subcommand("completion", "print the completion script for bash");
  completion->footer("example: holdfast completion > /etc/bash_completion.d/holdfast");
  completion->callback([&] {
    work = [&]() -> Result<int> {
      print_text(context, "completion", bash_completion(app));
      return kDone;
    };
  });
  auto* man = app.add_subcommand("man", "print the manual page");
  man->footer("example: holdfast man > /usr/share/man/man1/holdfast.1");
  man->callback([&] {
    work = [&]() -> Result<int> {
      print_text(context, "man", man_page(app));
      return kDone;
    };
  });
}

}  // namespace hf::app
