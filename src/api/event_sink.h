#pragma once

#include <memory>

#include "api/errors.h"

namespace hf::api {

// AWS event stream frames, or SSE lines for OpenAI. A sink that is dropped before finish() or error() ends its stream
// with an error of its own: a client never waits for ever.
std::shared_ptr<EventSink> make_event_sink(std::shared_ptr<http::Exchange> exchange, ErrorForm form,
                                           std::string request_id);

}  // namespace hf::api
