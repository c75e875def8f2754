// What this machine allows, by trying: the walls round the site, its workers and its jobs.
#pragma once

#include "app/cli.h"

namespace hf::app {

// 0: nothing got out of a worker or a job; 1: something did, or a role cannot be tried here.
Result<int> doctor(const Context& context);

}  // namespace hf::app
