// Our own API, /holdfast/v1: what AWS has no API for. JSON, members in snake_case, times as ISO 8601, hashes and
// digests as hex. Actions are "holdfast:" and the operation's name. One function a file adds its rows.
//
// What belongs to the whole site (keys, accounts, the ledger's entries, evidence, importing from the site's disk) has
// resources of the account "site", which is nobody's: only an administrator passes evaluate() for them.
#pragma once

#include <string>

#include "api/service.h"

namespace hf::api::holdfast_api {

void add_keys(Service& service);      // keys, accounts
void add_log_in(Service& service);    // people: a password for temporary credentials
void add_quotas(Service& service);    // of identities
void add_oidc(Service& service);      // key sets of OpenID Connect providers
void add_ledger(Service& service);    // head, entries, proofs, verify
void add_receipts(Service& service);  // list, get, replay
void add_evidence(Service& service);  // export, and its files
void add_site(Service& service);      // status, usage, probe
void add_try_job(Service& service);   // a program in the job's sandbox
void add_egress(Service& service);    // doors: the ways out
void add_models(Service& service);    // list, get, files, import, a training job's progress

// arn:aws:holdfast:REGION:site:WHAT, and :ACCOUNT: for the caller's own (or a named account, "" being the caller's).
std::string site_arn(const Call& call, std::string_view what);
std::string own_arn(const Call& call, std::string_view what, const std::string& account = "");

struct Nothing {
  static void fields(wire::Fields<Nothing>&) {}
};

inline std::string account_or_own(const Call& call, const std::optional<std::string>& account) {
  return account && !account->empty() ? *account : call.account();
}

}  // namespace hf::api::holdfast_api
