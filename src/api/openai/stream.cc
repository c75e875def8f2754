// Chat completions, streamed: one chunk a piece of text.
#include "api/openai/openai.h"
#include "base/bytes.h"
#include "wire/json.h"

namespace hf::api::openai_api {
namespace {

class Chunks : public StreamListener {
 public:
  Chunks(std::shared_ptr<EventSink> sink, std::string id, std::string model, int64_t created, bool usage)
      : sink_(std::move(sink)), usage_(usage) {
    head_ = "{\"id\":";
    wire::write_json_string(head_, id);
    head_ += ",\"object\":\"chat.completion.chunk\",\"created\":" + std::to_string(created) + ",\"model\":";
    wire::write_json_string(head_, model);
  }

  // The callback holds the sink's exchange only through the sink, and this only weakly: nobody keeps himself alive.
  void begin(const StreamHandle& handle) override {
    sink_->header("x-holdfast-receipt", handle.receipt_id);
    std::weak_ptr<EventSink> sink = sink_;
    sink_->on_room([sink, handle] {
      auto s = sink.lock();
      if (!s || s->closed()) {
        handle.cancel();
      } else {
        handle.resume();
      }
    });
    cancel_ = handle.cancel;
  }

  bool text(std::string piece) override {
    std::string delta = first_ ? "{\"role\":\"assistant\",\"content\":" : "{\"content\":";
    first_ = false;
    wire::write_json_string(delta, piece);
    auto pushed = sink_->event("", chunk(delta + "}", "null"));
    if (pushed == http::Exchange::Push::closed && cancel_) cancel_();
    return pushed == http::Exchange::Push::ok;
  }

  void done(const Answer& answer) override {
    const auto& f = answer.finished;
    std::string reason = std::string("\"") + finish_reason(f.stop_reason) + "\"";
    (void)sink_->event("", chunk(first_ ? "{\"role\":\"assistant\",\"content\":\"\"}" : "{}", reason));
    if (usage_) {
      (void)sink_->event("", head_ + ",\"choices\":[],\"usage\":{\"prompt_tokens\":" + std::to_string(f.input_tokens) +
                                 ",\"completion_tokens\":" + std::to_string(f.output_tokens) +
                                 ",\"total_tokens\":" + std::to_string(f.input_tokens + f.output_tokens) + "}}");
    }
    sink_->finish();
  }

  void failed(const Error& error) override { sink_->error(error); }

 private:
  std::string chunk(const std::string& delta, const std::string& reason) const {
    return head_ + ",\"choices\":[{\"index\":0,\"delta\":" + delta + ",\"logprobs\":null,\"finish_reason\":" + reason +
           "}]" + (usage_ ? ",\"usage\":null}" : "}");
  }
  std::shared_ptr<EventSink> sink_;
  std::string head_;
  bool usage_, first_ = true;
  std::function<void()> cancel_;
};

}  // namespace

Status chat_stream(Call& call, const ChatRequest& request, std::shared_ptr<EventSink> sink) {
  const Target target = TRY(resolve_model(call, request.model));
  auto generate_request = TRY(to_generate(request, fresh_seed(call)));
  const bool usage = request.stream_options && request.stream_options->include_usage;
  auto chunks = std::make_shared<Chunks>(std::move(sink), "chatcmpl-" + hex(call.site().random.bytes(12)),
                                         request.model, call.now() / 1'000'000, usage);
  (void)TRY(generate_stream(call, target, std::move(generate_request), chunks));
  return {};
}

}  // namespace hf::api::openai_api
