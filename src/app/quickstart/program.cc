#include "app/quickstart/program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "os/process.h"
#include "os/signals.h"

namespace hf::app {

std::vector<std::string> passed_environment() {
  std::vector<std::string> out;
  for (const char* name : {"PATH", "HOME", "LANG", "TMPDIR", "HOLDFAST_ISA"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

std::string evidence_verifier(os::Fs& fs) {
  std::string program = os::program_of(getpid());
  std::string folder = program.substr(0, program.find_last_of('/'));
  auto up = [](const std::string& path) { return path.substr(0, path.find_last_of('/')); };
  for (const auto& path : {up(up(folder)) + "/scripts/verify-evidence", folder + "/verify-evidence",
                           up(folder) + "/share/holdfast/verify-evidence", std::string("scripts/verify-evidence")}) {
    if (fs.exists(path)) return path;
  }
  return {};
}

Result<ProgramOutput> run_program(const Context& context, const std::string& scratch, const std::string& program,
                                  const std::vector<std::string>& arguments, int timeout_s, uint64_t limit) {
  TRY(context.fs.make_dirs(scratch));
  const std::string out_path = scratch + "/program.out", err_path = scratch + "/program.err";
  auto out = TRY(context.fs.open(out_path, os::Open::create));
  auto err = TRY(context.fs.open(err_path, os::Open::create));
  TRY(out->truncate(0));
  TRY(err->truncate(0));
  os::Spawn spec;
  spec.program = program;
  spec.arguments = arguments;
  spec.environment = passed_environment();
  spec.descriptors = {{out->fd(), 1}, {err->fd(), 2}};
  auto child = TRY(os::spawn(spec));
  auto ended = child->wait(timeout_s * 1000);
  const std::string name = program.empty() ? "holdfast" : program;
  if (!ended.ok()) {
    child->kill(SIGKILL);
    return fail(Code::unavailable, name + " did not end within " + std::to_string(timeout_s) + " s");
  }
  ProgramOutput result;
  result.status = WIFEXITED(*ended) ? WEXITSTATUS(*ended) : 128 + WTERMSIG(*ended);
  result.out = TRY(context.fs.read_file(out_path, limit));
  result.err = TRY(context.fs.read_file(err_path, limit));
  (void)context.fs.remove(out_path);
  (void)context.fs.remove(err_path);
  return result;
}

}  // namespace hf::app
