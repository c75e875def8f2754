// Who is it? The only place that turns a request into an identity.
#pragma once

#include <memory>

#include "api/payload.h"
#include "api/router.h"

namespace hf::api {

struct Caller {
  security::Identity identity;
  std::shared_ptr<Payload> payload;  // the body, checked as it is read
};

// Blocks: where no hash was signed beforehand the whole body is read first, at most `limit` bytes. Every failure that
// is the caller's is Code::denied with SigV4's name for it (api/errors.h); a body over the limit is too_large.
Result<Caller> authenticate(Site& site, const std::shared_ptr<http::Exchange>& exchange, const Match& match,
                            const Credentials& credentials, uint64_t limit);

}  // namespace hf::api
