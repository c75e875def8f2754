// Key sets of OpenID Connect providers: given by hand, or fetched through an egress door of the account.
#pragma once

#include <functional>
#include <string>

#include "api/call.h"
#include "security/providers.h"

namespace hf::api {

// The provider of the account that has signed the token. One with a door is asked for its key set anew if no key of the
// one that is here has signed it, at most once a minute. denied (InvalidIdentityToken, ExpiredTokenException).
// Blocks while it fetches.
Result<security::Provider> verified_provider(Site& site, const std::string& account, const security::WebToken& token);

// The key set of the provider, through its door: at keys_url, or where its discovery document says, on the same host.
// `actor`: of the door's entries; `may`: asked before each connection. Blocks.
Result<std::string> fetch_keys(Site& site, const security::Provider& provider, security::Entry actor,
                               const std::function<Status()>& may);

}  // namespace hf::api
