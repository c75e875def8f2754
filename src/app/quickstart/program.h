// Other programs: apt-cache, python3, and this one ("" as program).
#pragma once

#include <string>
#include <vector>

#include "app/cli.h"

namespace hf::app {

// NAME=value of what programs that we start are given of our environment.
std::vector<std::string> passed_environment();

struct ProgramOutput {
  int status = 0;  // exit status; 128 + N if signal N ended it
  std::string out, err;
};
// Waits for it; its outputs go through files in `scratch` (made if it is not there). unavailable: it took longer than
// timeout_s, and was killed. too_large: it printed over `limit` bytes.
Result<ProgramOutput> run_program(const Context& context, const std::string& scratch, const std::string& program,
                                  const std::vector<std::string>& arguments, int timeout_s = 120,
                                  uint64_t limit = 512u << 20);

// scripts/verify-evidence: beside the program in a source tree, or where `service install` puts it; "" : nowhere.
std::string evidence_verifier(os::Fs& fs);

}  // namespace hf::app
