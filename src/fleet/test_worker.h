// A worker for tests: speaks the real protocol, and does what its prompt says instead of running a model.
//   raw prompt "say A B C"    the words, one text each, then finished
//              "hang"         "..." and then nothing until it is cancelled
//              "die"          "..." and then the process ends
//              "step N"       N texts "x", each after the pause and the resume that follow the one before
//              "refuse"       failed
//   train      hyperparameter "do": "learn" (3 steps, writes the outputs), "wait" (until stop), "die", "refuse"
#pragma once

namespace hf::fleet {

int test_worker(int argc, char** argv);  // 0 when the site closed the socket

}  // namespace hf::fleet
