// Inference, for every protocol alike: model -> admission -> engine -> receipt -> ledger -> usage.
// Bedrock Runtime, SageMaker Runtime and OpenAI translate to this and back; none of them talks to the fleet itself.
#pragma once

#include <memory>
#include <string>

#include "api/call.h"
#include "fleet/fleet.h"

namespace hf::api {

// What a model id of a request stands for: a deployment ARN, custom model name or ARN, foundation model id, endpoint's
// model, or the plain registered name. Own account's, or the site's shared ones.
struct Target {
  std::string digest;  // model folder
  std::string name;    // registered name: in receipts
  std::string arn;
};
Result<Target> resolve_model(Call& call, const std::string& model_id);  // ResourceNotFoundException

struct Answer {
  std::string text;
  fleet::Finished finished;
  std::string receipt_id;
};
// Blocks until done. The receipt is signed, stored and in the ledger, and usage is counted, before it returns. A client
// that goes away cancels it: unavailable, with a receipt of stop_reason "cancelled" for the tokens that were computed.
Result<Answer> generate(Call& call, const Target& target, fleet::GenerateRequest request);

struct StreamHandle {
  std::string receipt_id;                // known before the first token: goes into the header
  std::function<void()> cancel, resume;  // any thread, at any time, also after the end
};

// Streamed. begin() comes first, on the thread of generate_stream() and before it returns: the place for the header
// x-holdfast-receipt. text() comes on the fleet's reader thread and must not block; false pauses until resume().
// done() or failed() comes last, exactly once, on a finishing thread, after the receipt is stored. No begin(): no more.
class StreamListener {
 public:
  virtual ~StreamListener() = default;
  virtual void begin(const StreamHandle& handle) { (void)handle; }
  virtual bool text(std::string piece) = 0;
  virtual void done(const Answer& answer) = 0;  // answer.text is empty
  virtual void failed(const Error& error) = 0;
};
// An error here: nothing was recorded but (where begin() was called) the start, and nothing more comes.
Result<StreamHandle> generate_stream(Call& call, const Target& target, fleet::GenerateRequest request,
                                     std::shared_ptr<StreamListener> listener);

// For Operation::resource: the ARN of what a model id stands for, or of a model of that name that could be.
std::string model_resource(const Call& call, const std::string& model_id);
Result<int64_t> count_tokens(Call& call, const Target& target, const rpc::Prompt& prompt);

// Stop sequences are the caller's words, so a receipt holds their digests alone: SHA-256(salt || text), hex.
std::vector<std::string> stop_digests(const std::vector<std::string>& stop, std::string_view salt);

// For requests that name no seed: from the site's randomness.
uint64_t fresh_seed(Call& call);

// Usage rows (tokens, requests) by account, principal, model and day, exactly the engine's counts.
// The response header that names the receipt: "x-holdfast-receipt".

}  // namespace hf::api
