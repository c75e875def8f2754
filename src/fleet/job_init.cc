// The container's process 1: lays the last layers round itself, hands the listener of its refusals to the site, and
// starts the user's program. When that ends, so does this, and the kernel ends whatever else was started.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text.h"
#include "fleet/sandbox_job.h"
#include "os/process.h"

namespace hf::fleet {
namespace {

struct Arguments {
  int socket = -1;
  os::JobLimits limits;
  std::vector<char*> command;
};

Result<Arguments> parse(int argc, char** argv) {
  Arguments out;
  int i = 2;
  for (; i < argc && std::string_view(argv[i]) != "--"; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return fail(Code::invalid, std::string(name) + ": expected a value");
    const int64_t value = TRY(parse_int(argv[i + 1], name));
    if (value < 0) return fail(Code::invalid, std::string(name) + ": expected no negative number");
    const auto count = static_cast<uint64_t>(value);
    if (name == "--socket" && value < 1 << 20) {
      out.socket = static_cast<int>(value);
    } else if (name == "--memory") {
      out.limits.memory_bytes = count;
    } else if (name == "--files") {
      out.limits.file_bytes = count;
    } else if (name == "--processes") {
      out.limits.processes = count;
    } else if (name == "--descriptors") {
      out.limits.descriptors = count;
    } else {
      return fail(Code::invalid, std::string(name) + " " + argv[i + 1] + ": unknown, or out of range");
    }
  }
  for (++i; i < argc; ++i) out.command.push_back(argv[i]);
  if (out.socket < 0 || out.command.empty()) return fail(Code::invalid, "expected --socket FD ... -- PROGRAM");
  out.command.push_back(nullptr);
  return out;
}

Status hand_over(const Arguments& arguments) {
  os::Sandbox sandbox = TRY(os::enter_job_sandbox(arguments.limits, {arguments.socket}));
  const int listener = sandbox.refusals.get();
  return os::send_all(arguments.socket, "holds\n" + sandbox.words(), {&listener, 1});
}

// "LENGTH\n", then so many bytes: NAME=value, each ended by a zero byte.
Result<std::vector<std::string>> receive_environment(int socket) {
  constexpr size_t kMost = 16 << 20;
  std::string text;
  std::vector<os::Fd> none;
  for (char block[4096];;) {
    const size_t line = text.find('\n');
    if (line != text.npos) {
      const auto length = static_cast<size_t>(TRY(parse_int(text.substr(0, line))));
      if (length > kMost) return fail(Code::too_large, "an environment of more than 16 MiB");
      if (text.size() >= line + 1 + length) {
        std::vector<std::string> out;
        for (const std::string_view v : split(std::string_view(text).substr(line + 1, length), '\0'))
          if (!v.empty()) out.emplace_back(v);
        return out;
      }
    }
    const size_t n = TRY(os::receive(socket, block, none));
    if (n == 0) return fail(Code::unavailable, "the site is gone");
    text.append(block, n);
  }
}

int supervise(pid_t child, os::Fd socket) {
  socket = os::Fd();
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);  // and reaps what has lost its parent
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) return 126;
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

}  // namespace

int job_init_entry(int argc, char** argv) {
  auto arguments = parse(argc, argv);
  if (!arguments.ok()) {
    std::fprintf(stderr, "holdfast job-init: %s\n", arguments.error().message.c_str());
    return 64;
  }
  os::Fd socket(arguments->socket);
  const auto tell = [&](const std::string& message) { (void)os::send_all(socket.get(), "failed\n" + message); };
  if (Status laid = hand_over(*arguments); !laid.ok()) return tell(laid.error().message), 126;
  // The site answers once it watches: a refused call before that would find nobody.
  auto environment = receive_environment(socket.get());
  if (!environment.ok()) return 126;
  const pid_t child = fork();
  if (child < 0) return tell(std::string("fork: ") + std::strerror(errno)), 126;
  if (child > 0) return supervise(child, std::move(socket));
  // Closed on exec, which is how the site learns that the program has started.
  (void)fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  for (std::string& variable : *environment) putenv(variable.data());  // they live until exec
  char* const* command = arguments->command.data();
  execvp(command[0], command);
  tell(std::string(command[0]) + ": " + std::strerror(errno));
  _exit(127);
}

}  // namespace hf::fleet
