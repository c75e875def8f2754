#include "os/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hf::os {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
  return set;
}

}  // namespace

void block_stop_signals() {
  sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int wait_for_stop_signal() {
  sigset_t set = stop_signals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  return signal;
}

std::string program_of(int pid) {
  char path[4096];
  std::string link = "/proc/" + std::to_string(pid) + "/exe";
  ssize_t n = readlink(link.c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : std::string();
}

Status send_signal(int pid, int signal) {
  if (::kill(pid, signal) == 0) return {};
  return fail(errno == ESRCH ? Code::not_found : Code::denied,
              "signal " + std::to_string(signal) + " to process " + std::to_string(pid) + ": " + std::strerror(errno));
}

}  // namespace hf::os
