// One worker: the process, and the channel to it. Its socket is descriptor 3 there; nothing else is handed over.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fleet/fleet.h"
#include "os/process.h"
#include "os/refusals.h"
#include "rpc/channel.h"

namespace hf::fleet {

struct WorkerProcess {
  std::unique_ptr<os::RefusalWatch> refusals;  // before child: it watches until the child has ended
  std::unique_ptr<os::Child> child;            // destroyed: killed and reaped
  std::shared_ptr<rpc::Channel> channel;       // shared with whoever sends at the time
  rpc::Hello hello;
};

// Starts one and waits for its hello, at most 30 seconds. unavailable: it did not start, with what is known of why.
Result<WorkerProcess> start_worker(const FleetOptions& options);

// The next frame. unavailable: the worker ended, or nothing came for timeout_ms (-1: no limit). A frame that has begun
// is timed by the channel.
Result<rpc::Frame> receive_within(rpc::Channel& channel, int timeout_ms);

// What a worker says becomes records, receipts and answers, and a worker parses foreign files: its words are held
// against what they may be. unavailable: text that is not UTF-8 or too long, a number that is none, a count below zero.
Status check_words(const ModelCard& card);
Status check_words(const Finished& finished);
Status check_words(const rpc::TrainDone& done);
Status check_words(const rpc::TrainProgress& progress);
template <class T>
Status check_words(const T&) {
  return {};
}
Error worker_error(const rpc::Failed& failed);  // clipped to what an error may say

// A last event as what was asked for: T where the type is `expected`, else the error that the worker gave.
template <class T>
Result<T> last_event(const rpc::Frame& frame, rpc::Type expected) {
  if (frame.type == expected) {
    T message = TRY(rpc::decode<T>(frame.body));
    TRY(check_words(message));
    return message;
  }
  if (frame.type == rpc::Type::failed) return worker_error(TRY(rpc::decode<rpc::Failed>(frame.body)));
  return fail(Code::unavailable, "the worker answered out of order");
}

// A model's files, open for a load or an inspection; `descriptors` are those of `files`.
struct OpenModel {
  rpc::LoadTask task;
  std::vector<std::unique_ptr<os::File>> files;
  std::vector<int> descriptors;
};
// `cache`: with the file for the kernels' form of its weights, where it can be opened: a load goes without it.
Result<OpenModel> open_model(Models& models, const std::string& digest, bool cache = false);

Error worker_ended();  // Code::unavailable, "the worker ended ..."

}  // namespace hf::fleet
