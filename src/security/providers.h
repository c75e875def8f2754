// OpenID Connect providers of an account, as IAM keeps them, and the key sets that their tokens are verified with. In
// the caller's transaction. Errors carry IAM's names.
#pragma once

#include <string>
#include <vector>

#include "security/iam.h"
#include "security/web_identity.h"

namespace hf::security {

struct Provider {
  std::string account, url;  // url: without "https://", as in its ARN: "id.example.net/realm"
  std::vector<std::string> client_ids, thumbprints;
  iam::Tags tags;
  Micros created = 0;
  std::string keys;    // its key set (RFC 7517), "": none was given yet
  Micros fetched = 0;  // when `keys` came
  Micros asked = 0;    // when it was last asked for them because of a token
  std::string door;    // the egress door that leads to it; "": the key set is given by hand
  std::string keys_url,
      ca;  // through the door: where the key set is ("": the provider's discovery says), whom TLS trusts
};
std::string arn_of(const Provider& provider);  // arn:aws:iam::ACCOUNT:oidc-provider/URL

// At most 100 an account, 100 client ids and 5 thumbprints. invalid: what was expected and where.
Status check_provider(const Provider& provider);
Status insert(store::Txn& txn, const Provider& provider);  // EntityAlreadyExists, LimitExceeded
Status update(store::Txn& txn, const Provider& provider);
Result<Provider> provider_by_url(store::Txn& txn, const std::string& account, const std::string& url);  // NoSuchEntity
Result<Provider> provider_by_arn(store::Txn& txn, const std::string& account, const std::string& arn);
Result<std::vector<Provider>> providers(store::Txn& txn, const std::string& account);  // by url
Status erase(store::Txn& txn, const Provider& provider);

// "https://id.example.net/realm/" -> "id.example.net/realm". invalid: no https URL of a host and perhaps a path.
Result<std::string> provider_url(std::string_view url);

// The token's issuer is the provider, one of its audiences is a client id of it, and its key set has signed it.
// denied: UnknownSigner, InvalidIdentityToken, ExpiredTokenException.
Status verify(const Provider& provider, const WebToken& token, Micros now);

}  // namespace hf::security
