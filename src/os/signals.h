// Signals, as values: the site waits for them on one thread; no handler runs anywhere.
#pragma once

#include <csignal>
#include <string>

#include "base/result.h"

namespace hf::os {

void block_stop_signals();   // SIGTERM, SIGINT, SIGHUP; ignores SIGPIPE. Call before any thread starts
int wait_for_stop_signal();  // blocks until one of them comes; its number
// A running process's program, "" if there is none: is this pid still the one we started?
std::string program_of(int pid);
Status send_signal(int pid, int signal);

}  // namespace hf::os
