// What every streamed answer does alike: the receipt's header, back-pressure, a client that goes away, and an error
// before or after the first token. A protocol adds its events.
#pragma once

#include <memory>
#include <string>

#include "api/inference.h"
#include "api/service.h"

namespace hf::api {

class StreamAnswer : public StreamListener {
 public:
  explicit StreamAnswer(std::shared_ptr<EventSink> sink) : sink_(std::move(sink)) {}
  void begin(const StreamHandle& handle) final;
  bool text(std::string piece) final;
  void done(const Answer& answer) final;
  void failed(const Error& error) final;

 protected:
  using Push = http::Exchange::Push;
  virtual Push piece(std::string text, bool first) = 0;
  virtual void end(const Answer& answer, bool empty) = 0;  // its events; finish() follows
  EventSink& sink() { return *sink_; }

 private:
  std::shared_ptr<EventSink> sink_;
  std::function<void()> cancel_;
  bool started_ = false;  // written and read in the order text()... then done()/failed()
};

}  // namespace hf::api
